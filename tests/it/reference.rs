//! The forward pass against values that transformers and llama.cpp computed (by tests/reference/logits.py).

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use serde::Deserialize;
use taper::{
    TokenId,
    backend::{CacheType, Candle, Cpu},
    gguf::Gguf,
    kernels::Isa,
    model::{Batch, SequenceId, Source},
    tensor::Dtype,
};

use crate::support::compare::{divergence, largest_difference, log_softmax};
use crate::support::hash::sha256;
use crate::support::tiny::{TinyModel, Types};

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Device {
    Cpu,
    Candle,
}

/// Logits after each of `tokens`, in one batch at positions from 0.
fn taper_logits(model: &TinyModel, device: Device, tokens: &[TokenId]) -> Vec<Vec<f32>> {
    let source = Source::Gguf(Gguf::from_bytes(model.gguf().into()).unwrap());
    // A cache in F16, the default, would hide smaller differences in float models.
    let cache = if model.types == Types::Only(Dtype::F32) { CacheType::F32 } else { CacheType::default() };
    let mut model = match device {
        Device::Cpu => source.load_on(Cpu::with(Isa::detect(), 2, cache).unwrap(), tokens.len()),
        Device::Candle => source.load_on(Candle::cpu(), tokens.len()),
    }
    .unwrap();
    let mut logits = Vec::new();
    model.forward(&Batch::every(SequenceId(0), tokens), &mut logits).unwrap();
    logits.chunks_exact(model.n_vocab()).map(<[f32]>::to_vec).collect()
}

/// One file of tests/data/logits, described in the script.
#[derive(Deserialize)]
struct References {
    tokens: Vec<TokenId>,
    positions: Vec<usize>,
    models: BTreeMap<String, Reference>,
}

#[derive(Deserialize)]
struct Reference {
    sha256: String,
    exact_logits: Vec<Vec<f32>>,
    llama_cpp_logprobs: Vec<f32>,
    llama_cpp_next: Vec<f64>,
    llama_cpp_greedy: Vec<TokenId>,
}

impl References {
    fn of(model: &TinyModel) -> References {
        let file = format!("tests/data/logits/{}.json", model.architecture.name());
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file)).expect("the file is there");
        serde_json::from_str(&text).expect("the script's format")
    }
}

/// A model, what is known about it, and taper's logits after each of the tokens and of llama.cpp's continuation.
struct Case {
    model: TinyModel,
    device: Device,
    tokens: Vec<TokenId>,
    positions: Vec<usize>,
    reference: Reference,
    logits: Vec<Vec<f32>>,
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let on = |device| TinyModel::all().into_iter().map(move |model| Case::new(model, device));
    on(Device::Cpu).chain(on(Device::Candle)).collect()
});

impl Case {
    fn new(model: TinyModel, device: Device) -> Case {
        let References { tokens, positions, mut models } = References::of(&model);
        let reference = models.remove(&model.to_string()).expect("every model has its reference");
        let all = [&tokens[..], &reference.llama_cpp_greedy].concat();
        let logits = taper_logits(&model, device, &all);
        assert_eq!(logits.len(), all.len(), "{model}: a row for each token");
        Case { model, device, tokens, positions, reference, logits }
    }

    /// The largest divergence from the reference that is no error: rounding of activations to 16 or 8 bits.
    fn limit(&self) -> f64 {
        match self.model.types {
            Types::Only(Dtype::F32) => 1e-6,
            Types::Only(Dtype::F16) => 1e-4,
            // candle also rounds the scales of activations, to 16 bits.
            Types::Only(Dtype::Q8_0) if self.device == Device::Candle => 2e-3,
            Types::Only(Dtype::BF16 | Dtype::Q8_0) => 1e-3,
            Types::Only(_) | Types::Q4KM => 1e-2,
        }
    }
}

/// Checks every model and shows all that are too far off, not just the first.
fn check(measured: impl Fn(&Case) -> f64, limit: impl Fn(&Case) -> f64) {
    let failures: Vec<String> = CASES
        .iter()
        .map(|case| (case, measured(case), limit(case)))
        .filter(|(_, measured, limit)| measured.is_nan() || measured > limit)
        .map(|(case, measured, limit)| {
            format!("{} on {:?}: {measured:.1e}, at most {limit:.1e}", case.model, case.device)
        })
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

fn is_f32(case: &Case) -> bool {
    case.model.types == Types::Only(Dtype::F32)
}

/// Like `f64::max`, but what is not a number stays.
fn larger(x: f64, y: f64) -> f64 {
    if x.is_nan() || x > y { x } else { y }
}

#[test]
fn models_are_those_that_the_references_were_made_from() {
    for model in TinyModel::all() {
        let references = References::of(&model);
        let sha256 = sha256(model.gguf());
        assert_eq!(
            references.models[&model.to_string()].sha256,
            sha256,
            "{model}: run tests/reference/logits.py again"
        );
    }
}

#[test]
fn float_models_have_the_logits_of_transformers() {
    let measured = |case: &Case| {
        let rows = case.positions.iter().zip(&case.reference.exact_logits);
        rows.map(|(&at, exact)| largest_difference(exact, &case.logits[at]).into()).fold(0.0, larger)
    };
    check(measured, |case| if is_f32(case) { 1e-3 } else { f64::INFINITY });
}

#[test]
fn every_type_is_close_to_transformers_on_dequantized_weights() {
    let measured = |case: &Case| {
        let rows = case.positions.iter().zip(&case.reference.exact_logits);
        rows.map(|(&at, exact)| divergence(exact, &case.logits[at])).fold(0.0, larger)
    };
    check(measured, Case::limit);
}

#[test]
fn every_type_is_close_to_llama_cpp() {
    let last = |case: &Case| divergence(&case.reference.llama_cpp_logprobs, &case.logits[case.tokens.len() - 1]);
    check(last, Case::limit);
}

#[test]
fn each_token_has_the_probability_that_llama_cpp_gives_it() {
    // Half the mean square of differences of log-probabilities is to second order what a divergence is.
    let measured = |case: &Case| {
        let pairs = case.tokens[1..].iter().zip(&case.logits).zip(&case.reference.llama_cpp_next);
        let squares = pairs.map(|((&token, row), expected)| (log_softmax(row)[token as usize] - expected).powi(2));
        squares.sum::<f64>() / case.reference.llama_cpp_next.len() as f64 / 2.0
    };
    check(measured, Case::limit);
}

#[test]
fn llama_cpps_greedy_continuation_is_ours_but_for_near_ties() {
    let measured = |case: &Case| {
        let rows = case.logits[case.tokens.len() - 1..].iter().zip(&case.reference.llama_cpp_greedy);
        rows.map(|(row, &token)| {
            let logprobs = log_softmax(row);
            let best = logprobs.iter().fold(f64::NEG_INFINITY, |best, &each| larger(best, each));
            best - logprobs[token as usize]
        })
        .fold(0.0, larger)
    };
    // Four standard deviations of the differences that go with the divergence allowed.
    check(measured, |case| 4.0 * (2.0 * case.limit()).sqrt());
}
