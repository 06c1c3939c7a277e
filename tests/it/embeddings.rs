//! Vectors of texts: as transformers' hidden states make them (by tests/reference/embeddings.py), and the same bits however
//! the work is divided.

use crate::support::{
    compare::largest_difference,
    tiny::{Architecture, TinyModel, Types},
};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path, sync::Arc};
use taper::{
    TokenId,
    backend::{CacheType, Candle, Cpu},
    engine::{Engine, FinishReason, Pooling, Request},
    gguf::Gguf,
    kernels::Isa,
    model::{Forward, Source},
    tensor::Dtype,
    text::Tokenizer,
};

/// tests/data/embeddings.json, described in the script.
#[derive(Deserialize)]
struct References {
    tokens: Vec<TokenId>,
    models: BTreeMap<String, Reference>,
}

#[derive(Deserialize)]
struct Reference {
    sha256: String,
    mean: Vec<f32>,
    last: Vec<f32>,
}

fn references() -> References {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/embeddings.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn tiny(architecture: Architecture) -> TinyModel {
    TinyModel::new(architecture, Types::Only(Dtype::F32))
}

fn source(model: &TinyModel) -> Source {
    Source::Gguf(Gguf::from_bytes(model.gguf().into()).unwrap())
}

/// An engine with room for `n_cells` positions, of which one request may have 400.
fn engine(model: &TinyModel, n_cells: usize, n_parallel: usize) -> Engine {
    let cpu = Cpu::with(Isa::detect(), 2, CacheType::F32).unwrap();
    with(model, source(model).load_on(cpu, n_cells).unwrap(), n_parallel)
}

fn with(model: &TinyModel, forward: Box<dyn Forward>, n_parallel: usize) -> Engine {
    let gguf = Gguf::from_bytes(model.gguf().into()).unwrap();
    Engine::new(forward, Arc::new(Tokenizer::from_gguf(gguf.metadata()).unwrap()), 400).with_parallel(n_parallel)
}

fn request(tokens: &[TokenId], pooling: Pooling) -> Request {
    Request { prompt: tokens.to_vec(), pooling: Some(pooling), ..Request::default() }
}

fn vector(engine: &mut Engine, tokens: &[TokenId], pooling: Pooling) -> Vec<f32> {
    let done = engine.generate(&request(tokens, pooling), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((done.finish_reason, done.tokens.len(), done.n_prompt), (FinishReason::Stop, 0, tokens.len()));
    done.embedding
}

#[test]
fn vectors_are_those_of_transformers_on_every_backend() {
    let References { tokens, models } = references();
    for architecture in [Architecture::Llama, Architecture::Qwen2, Architecture::Qwen3] {
        let model = tiny(architecture);
        let reference = &models[&model.to_string()];
        let sha256 = crate::support::hash::sha256(model.gguf());
        assert_eq!(reference.sha256, sha256, "{model}: run tests/reference/embeddings.py again");
        let candle = with(&model, source(&model).load_on(Candle::cpu(), 512).unwrap(), 1);
        for mut engine in [engine(&model, 512, 1), candle] {
            for (pooling, expected) in [(Pooling::Mean, &reference.mean), (Pooling::Last, &reference.last)] {
                let vector = vector(&mut engine, &tokens, pooling);
                let difference = largest_difference(expected, &vector);
                assert!(difference < 5e-5, "{model}, {pooling:?}: {difference}");
                let norm = vector.iter().map(|x| x * x).sum::<f32>();
                assert!((norm - 1.0).abs() < 1e-5, "{norm}");
            }
        }
    }
}

#[test]
fn a_vector_has_the_same_bits_alone_and_among_others_and_leaves_nothing_behind() {
    let model = tiny(Architecture::Qwen3);
    let texts: Vec<Vec<TokenId>> =
        (1..12).map(|i| (0..i * 31).map(|j| (j * j + i) as TokenId % 251).collect()).collect();
    let alone: Vec<Vec<u32>> = texts
        .iter()
        .flat_map(|text| {
            [Pooling::Mean, Pooling::Last].map(|pooling| vector(&mut engine(&model, 400, 1), text, pooling))
        })
        .map(|vector| vector.iter().map(|x| x.to_bits()).collect())
        .collect();

    // So small a cache that jobs wait for one another, with answers that falter if a text takes too much.
    let mut engine = engine(&model, 1024, 4);
    let n_positions = engine.load().n_positions;
    let mut ids = Vec::new();
    for text in &texts {
        for pooling in [Pooling::Mean, Pooling::Last] {
            let answer = Request { prompt: text.clone(), max_tokens: Some(20), ignore_end: true, ..Request::default() };
            engine.submit(answer).unwrap();
            ids.push(engine.submit(request(text, pooling)).unwrap());
        }
    }
    let mut vectors = BTreeMap::new();
    let mut n_answers = 0;
    while engine.load().n_running + engine.load().n_waiting > 0 || n_answers == 0 {
        for (id, outcome) in engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap() {
            let done = outcome.unwrap();
            n_answers += usize::from(done.tokens.len() == 20);
            vectors.insert(id, done.embedding);
        }
    }
    assert_eq!(n_answers, ids.len());
    for (id, alone) in ids.iter().zip(&alone) {
        assert_eq!(&vectors[id].iter().map(|x| x.to_bits()).collect::<Vec<_>>(), alone);
    }
    engine.forget();
    assert_eq!(engine.model().n_free(), n_positions);
}

#[test]
fn a_vector_that_nobody_wants_any_more_frees_its_cells() {
    let model = tiny(Architecture::Llama);
    let mut engine = engine(&model, 400, 1);
    let text: Vec<TokenId> = (0..400).map(|i| i % 251).collect();
    let id = engine.submit(request(&text, Pooling::Mean)).unwrap();
    engine.cancel(id);
    let finished = engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap();
    let done = finished[0].1.as_ref().unwrap();
    assert_eq!((done.finish_reason, done.embedding.len()), (FinishReason::Cancelled, 0));
    let n_free = engine.model().n_free();
    assert_eq!(n_free, engine.load().n_positions);
    assert_eq!(vector(&mut engine, &text, Pooling::Mean).len(), 256);
    assert_eq!(engine.model().n_free(), n_free);
}
