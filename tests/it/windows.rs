//! Sliding windows: as transformers computes them (by tests/reference/windows.py), and the same bits however the work is
//! divided.

use crate::support::compare::{divergence, largest_difference};
use crate::support::hash::sha256;
use crate::support::tiny::Windowed;
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};
use taper::{
    TokenId,
    backend::{Backend, CacheType, Candle, Cpu},
    kernels::Isa,
    model::{Batch, Config, Forward, Safetensors, SequenceId, Source, Transformer},
};

/// tests/data/windows.json, described in the script.
#[derive(Deserialize)]
struct References {
    tokens: Vec<TokenId>,
    positions: Vec<usize>,
    models: BTreeMap<String, Reference>,
}

#[derive(Deserialize)]
struct Reference {
    sha256: String,
    logits: Vec<Vec<f32>>,
}

fn references() -> References {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/windows.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn load<D: Backend>(folder: &Path, device: D) -> Transformer<D> {
    Transformer::load(&Source::Safetensors(Safetensors::open(folder).unwrap()), device, 512).unwrap()
}

fn cpu(isa: Isa, n_threads: usize, cache_type: CacheType) -> Cpu {
    Cpu::with(isa, n_threads, cache_type).unwrap()
}

/// Logits after each of `tokens`, read in chunks of `chunk`.
fn logits<D: Backend>(folder: &Path, device: D, tokens: &[TokenId], chunk: usize) -> Vec<Vec<f32>> {
    let mut model = load(folder, device);
    let (mut all, mut some) = (Vec::new(), Vec::new());
    for tokens in tokens.chunks(chunk) {
        model.forward(&Batch::every(SequenceId(0), tokens), &mut some).unwrap();
        all.extend(some.chunks_exact(model.n_vocab()).map(<[f32]>::to_vec));
    }
    all
}

#[test]
fn windows_are_those_of_transformers_on_every_backend() {
    let References { tokens, positions, models } = references();
    for model in Windowed::ALL {
        let folder = tempfile::tempdir().unwrap();
        model.write(folder.path());
        let reference = &models[model.name()];
        let weights = fs::read(folder.path().join("model.safetensors")).unwrap();
        let sha256 = sha256(weights);
        assert_eq!(sha256, reference.sha256, "{model:?}: run tests/reference/windows.py again");
        let ours = logits(folder.path(), cpu(Isa::detect(), 2, CacheType::F32), &tokens, 64);
        let candle = logits(folder.path(), Candle::cpu(), &tokens, 64);
        let one_by_one = logits(folder.path(), Candle::cpu(), &tokens, 1);
        for (&at, expected) in positions.iter().zip(&reference.logits) {
            for (found, what) in [(&ours, "cpu"), (&candle, "candle"), (&one_by_one, "candle, token by token")] {
                let difference = largest_difference(&found[at], expected);
                assert!(difference < 1e-3, "{model:?} on {what} after token {at}: {difference:.1e}");
            }
        }
    }
}

#[test]
fn a_window_makes_a_difference_where_it_ends_and_not_before() {
    let tokens = references().tokens;
    for (model, window) in Windowed::ALL.into_iter().zip([24, 40, 33]) {
        let folder = tempfile::tempdir().unwrap();
        model.write(folder.path());
        let slid = logits(folder.path(), cpu(Isa::detect(), 2, CacheType::F16), &tokens, 512);
        let mut config = model.config();
        config["sliding_window"] = serde_json::Value::Null;
        config["layer_types"] = serde_json::Value::Null;
        model.write_with(folder.path(), &config);
        let full = logits(folder.path(), cpu(Isa::detect(), 2, CacheType::F16), &tokens, 512);
        assert_eq!(slid[..window], full[..window], "{model:?}: the window holds all");
        assert!(slid[window] != full[window], "{model:?}: the first token is out of sight");
        let divergence = divergence(slid.last().unwrap(), full.last().unwrap());
        assert!(divergence > 1e-3, "{model:?}: {divergence:.1e}");
    }
}

#[test]
fn threads_chunks_instruction_sets_and_types_of_cache_change_no_bit() {
    let tokens = references().tokens;
    for model in Windowed::ALL {
        let folder = tempfile::tempdir().unwrap();
        model.write(folder.path());
        for cache_type in CacheType::ALL {
            let expected = logits(folder.path(), cpu(Isa::detect(), 1, cache_type), &tokens, 512);
            for (n_threads, chunk) in [(1, 1), (2, 7), (3, 64), (8, 100)] {
                let found = logits(folder.path(), cpu(Isa::detect(), n_threads, cache_type), &tokens, chunk);
                assert!(found == expected, "{model:?}, {cache_type}, {n_threads} threads, chunks of {chunk}");
            }
            for isa in Isa::available() {
                let found = logits(folder.path(), cpu(isa, 2, cache_type), &tokens[..70], 33);
                assert!(found == expected[..70], "{model:?}, {cache_type}, {}", isa.name());
            }
        }
    }
}

#[test]
fn a_configuration_says_which_layers_slide() {
    let windows = |model: Windowed, changes: &[(&str, serde_json::Value)]| {
        let mut config = model.config();
        for (key, value) in changes {
            config[key] = value.clone();
        }
        Config::from_json(&config.to_string()).map(|config| [0, 1].map(|layer| config.attention(layer).window))
    };
    let all = |window| [Some(window); 2];
    assert_eq!(windows(Windowed::Mistral, &[]).unwrap(), all(24));
    assert_eq!(windows(Windowed::Mistral, &[("sliding_window", None::<u8>.into())]).unwrap(), [None; 2]);
    assert_eq!(windows(Windowed::Mistral, &[("model_type", "llama".into())]).unwrap(), [None; 2]);
    assert_eq!(windows(Windowed::Qwen2, &[]).unwrap(), [None, Some(40)]);
    assert_eq!(windows(Windowed::Qwen2, &[("max_window_layers", 0.into())]).unwrap(), all(40));
    assert_eq!(windows(Windowed::Qwen2, &[("max_window_layers", 2.into())]).unwrap(), [None; 2]);
    assert_eq!(windows(Windowed::Qwen2, &[("use_sliding_window", false.into())]).unwrap(), [None; 2]);
    assert_eq!(windows(Windowed::Qwen3, &[]).unwrap(), [Some(33), None]);
    // A mistral that does not say how wide has the window of its makers.
    let mut config = Windowed::Mistral.config();
    config.as_object_mut().unwrap().remove("sliding_window");
    assert_eq!(Config::from_json(&config.to_string()).unwrap().attention(1).window, Some(4096));
    let wrong = [("sliding_window", 0.into()), ("layer_types", serde_json::json!(["chunked_attention"]))];
    for change in wrong {
        assert!(windows(Windowed::Qwen3, std::slice::from_ref(&change)).is_err(), "{change:?}");
    }
}
