//! The CPU backend: close to candle, and the same bits however the work is divided.

use crate::support::compare::{divergence, largest_difference};
use crate::support::tiny::{Architecture, TinyModel, Types};
use taper::{
    TokenId,
    backend::{Backend, CacheType, Candle, Cpu},
    gguf::Gguf,
    kernels::Isa,
    model::{Batch, Forward, SequenceId, Source, Transformer},
    tensor::{Bytes, Dtype},
};

const A: SequenceId = SequenceId(0);
const B: SequenceId = SequenceId(1);
const C: SequenceId = SequenceId(2);

const N_CTX: usize = 2048;

fn load<D: Backend>(model: TinyModel, device: D) -> Transformer<D> {
    let gguf = Gguf::from_bytes(Bytes::from(model.gguf())).expect("a tiny model is whole");
    Transformer::load(&Source::Gguf(gguf), device, N_CTX).expect("a tiny model loads")
}

fn cpu(n_threads: usize) -> Cpu {
    Cpu::new(n_threads).expect("threads")
}

/// `n` tokens that do not repeat soon.
fn tokens(n: usize) -> Vec<TokenId> {
    (0..n).map(|i| (i * i + 31 * i + 5) as TokenId % 251).collect()
}

/// Logits after each of `tokens`, which continue `sequence` in chunks of `chunk`.
fn logits<D: Backend>(model: &mut Transformer<D>, sequence: SequenceId, tokens: &[TokenId], chunk: usize) -> Vec<f32> {
    let (mut all, mut some) = (Vec::new(), Vec::new());
    for tokens in tokens.chunks(chunk) {
        model.forward(&Batch::every(sequence, tokens), &mut some).expect("fits");
        all.extend_from_slice(&some);
    }
    all
}

/// Logits after each of the rows of `batch`.
fn in_batch<D: Backend>(model: &mut Transformer<D>, rows: &[(SequenceId, TokenId)]) -> Vec<Vec<f32>> {
    let rows = rows.iter().flat_map(|&(sequence, token)| Batch::every(sequence, &[token]).rows);
    let mut some = Vec::new();
    model.forward(&Batch { rows: rows.collect() }, &mut some).expect("fits");
    some.chunks_exact(model.n_vocab()).map(<[f32]>::to_vec).collect()
}

#[track_caller]
fn assert_same_bits(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differs = found.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits());
    if let Some(i) = differs {
        panic!("{what}: element {i} is {} and not {}", found[i], expected[i]);
    }
    assert!(expected.iter().all(|x| x.is_finite()), "{what}: not finite");
}

/// A model of each architecture, with every form of activations among them.
fn models() -> [TinyModel; 4] {
    [
        TinyModel::new(Architecture::Llama, Types::Q4KM),
        TinyModel::new(Architecture::Qwen2, Types::Only(Dtype::Q5_0)),
        TinyModel::new(Architecture::Qwen3, Types::Only(Dtype::Q8_0)),
        TinyModel::new(Architecture::Qwen3, Types::Only(Dtype::F16)),
    ]
}

/// The same with a cache of each type of numbers.
fn cached_models() -> Vec<(TinyModel, CacheType)> {
    let [llama, _, qwen3, _] = models();
    let halves = models().map(|model| (model, CacheType::F16));
    halves.into_iter().chain([llama, qwen3].map(|model| (model, CacheType::Q8_0))).collect()
}

fn cpu_with(n_threads: usize, cache_type: CacheType) -> Cpu {
    Cpu::with(Isa::detect(), n_threads, cache_type).expect("threads")
}

/// The mean divergence of the distributions `q` from `p`, row by row.
fn mean_divergence(p: &[f32], q: &[f32], n_vocab: usize) -> f64 {
    let rows = p.chunks(n_vocab).zip(q.chunks(n_vocab));
    rows.map(|(p, q)| divergence(p, q)).sum::<f64>() / (p.len() / n_vocab) as f64
}

/// candle rounds activations to 8 bits as well, but sums and scales round otherwise, and what falls on the other side of
/// a half shows. A mistake in the forward pass changes distributions by 0.1 and more.
#[test]
fn every_architecture_and_type_agrees_with_candle() {
    let tokens = tokens(70);
    for model in TinyModel::all() {
        let limit = match model.types {
            Types::Only(Dtype::F32 | Dtype::F16 | Dtype::BF16) => 1e-9,
            _ => 2e-3,
        };
        let expected = logits(&mut load(model, Candle::cpu()), A, &tokens, 35);
        let device = Cpu::with(Isa::detect(), 2, CacheType::F32).expect("threads");
        let mut ours = load(model, device);
        let found = logits(&mut ours, A, &tokens, 35);
        let divergence = mean_divergence(&expected, &found, ours.n_vocab());
        assert!(divergence.abs() <= limit, "{model}: {divergence:.1e}, at most {limit:.1e}");
    }
}

#[test]
fn threads_chunks_and_instruction_sets_change_no_bit() {
    let tokens = tokens(600);
    for (model, cache_type) in cached_models() {
        let expected = logits(&mut load(model, cpu_with(1, cache_type)), A, &tokens, 600);
        for (n_threads, chunk) in [(1, 1), (2, 7), (3, 64), (8, 512), (2, 1)] {
            let found = logits(&mut load(model, cpu_with(n_threads, cache_type)), A, &tokens, chunk);
            let what = format!("{model}, {cache_type}, {n_threads} threads, chunks of {chunk}");
            assert_same_bits(&found, &expected, &what);
        }
        // Enough rows for every kernel, few enough for the plain one.
        let n = 20 * expected.len() / tokens.len();
        for isa in Isa::available() {
            let device = Cpu::with(isa, 2, cache_type).expect("threads");
            let found = logits(&mut load(model, device), A, &tokens[..20], 17);
            assert_same_bits(&found, &expected[..n], &format!("{model}, {cache_type}, {}", isa.name()));
        }
    }
}

#[test]
fn other_sequences_in_the_batch_change_no_bit() {
    let (ours, others) = (tokens(90), tokens(200));
    for (model, cache_type) in cached_models() {
        let mut alone = load(model, cpu_with(2, cache_type));
        let expected = logits(&mut alone, A, &ours, 90);
        let n_vocab = alone.n_vocab();
        let mut shared = load(model, cpu_with(2, cache_type));
        logits(&mut shared, B, &others[..45], 45);
        for (i, &token) in ours.iter().enumerate() {
            let rows = [(B, others[45 + i]), (A, token), (C, others[i]), (C, others[i + 1]), (B, others[i])];
            let found = &in_batch(&mut shared, &rows)[1];
            assert_same_bits(found, &expected[i * n_vocab..][..n_vocab], &format!("{model}, {cache_type}, token {i}"));
        }
    }
}

#[test]
fn rows_of_one_sequence_apart_in_a_batch_change_no_bit() {
    let (ours, others) = (tokens(40), tokens(80));
    let model = models()[0];
    let mut alone = load(model, cpu(1));
    let expected = logits(&mut alone, A, &ours, 40);
    let mut shared = load(model, cpu(3));
    let rows: Vec<_> = ours.iter().zip(others).flat_map(|(&ours, other)| [(A, ours), (B, other)]).collect();
    let found: Vec<f32> = in_batch(&mut shared, &rows).into_iter().step_by(2).flatten().collect();
    assert_same_bits(&found, &expected, "interleaved");
}

#[test]
fn scattered_and_used_blocks_change_no_bit() {
    let (ours, others) = (tokens(300), tokens(500));
    for (model, cache_type) in cached_models() {
        let expected = logits(&mut load(model, cpu_with(2, cache_type)), A, &ours, 300);
        let mut used = load(model, cpu_with(2, cache_type));
        // Blocks of the three are handed out in turn, then given back in part.
        for chunk in others[..240].chunks(40) {
            logits(&mut used, B, chunk, 40);
            logits(&mut used, C, chunk, 40);
            logits(&mut used, A, chunk, 40);
        }
        used.truncate(B, 70);
        used.truncate(A, 0);
        logits(&mut used, A, &ours[..100], 100);
        logits(&mut used, A, &others[..90], 90);
        used.truncate(C, 10);
        used.truncate(A, 100);
        let n = expected.len() / ours.len() * 100;
        let found = logits(&mut used, A, &ours[100..], 33);
        assert_same_bits(&found, &expected[n..], &format!("{model}, {cache_type}, scattered blocks"));
    }
}

#[test]
fn smaller_caches_are_close_to_one_of_32_bits() {
    let tokens = tokens(200);
    for model in models() {
        let with = |cache_type| {
            let mut model = load(model, cpu_with(2, cache_type));
            (logits(&mut model, A, &tokens, 200), model.n_vocab())
        };
        let (floats, n_vocab) = with(CacheType::F32);
        for cache_type in [CacheType::F16, CacheType::Q8_0] {
            let (found, _) = with(cache_type);
            assert!(largest_difference(&found, &floats) > 0.0, "{model}: the types are told apart");
            let limit = match (cache_type, model.types) {
                (CacheType::F16, Types::Only(Dtype::F16)) => 1e-6,
                (_, Types::Only(Dtype::F16)) => 1e-3,
                // The smallest change to activations can round one of their 8 bits the other way.
                _ => 2e-3,
            };
            let divergence = mean_divergence(&floats, &found, n_vocab);
            assert!(divergence.abs() <= limit, "{model}, {cache_type}: {divergence:.1e}, at most {limit:.1e}");
        }
    }
}

#[test]
fn only_the_rows_that_want_logits_get_them() {
    let model = models()[0];
    let expected = logits(&mut load(model, cpu(2)), A, &tokens(20), 20);
    let mut last = load(model, cpu(2));
    let mut found = vec![0.0; 7];
    last.forward(&Batch::last(A, &tokens(20)), &mut found).expect("fits");
    assert_same_bits(&found, &expected[19 * last.n_vocab()..], "the last row");
    let mut silent = Batch::last(A, &tokens(3));
    silent.rows.truncate(2);
    last.forward(&silent, &mut found).expect("fits");
    assert_eq!((found.len(), last.len(A)), (0, 22));
}
