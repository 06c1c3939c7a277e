//! What a sample is made of.

use super::fake::{FakeClock, FakeModel, source};
use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
    time::Duration,
};
use taper::{
    TokenId,
    backend::CacheType,
    bench::{Clock, Lab, Plan, Test, Traffic, Work, stats},
    engine::{Engine, ModelFiles, Request},
    model::Batch,
    sampling::SamplingParams,
};

const TOKENS: [TokenId; 4] = [1, 2, 3, 4];

fn test(work: Work) -> Test {
    Test { work, n_depth: 0, n_batch: 1, n_threads: 1 }
}

/// The batches of one sample of `test`, after its warm-up.
fn batches_of(test: Test, mut model: FakeModel) -> Vec<Batch> {
    let clock = FakeClock::default();
    let batches = Arc::clone(&model.batches);
    let mut lab = Lab::new(&mut model, &TOKENS, &clock, &|| false);
    let ControlFlow::Continue(mut ready) = lab.prepare(test).unwrap() else { panic!("nobody stops it") };
    assert!(lab.sample(&mut ready).unwrap().is_continue());
    batches.lock().unwrap().clear();
    assert!(lab.sample(&mut ready).unwrap().is_continue());
    let batches = batches.lock().unwrap();
    batches.clone()
}

fn shapes(batches: &[Batch]) -> Vec<(usize, Vec<usize>)> {
    let wanted =
        |batch: &Batch| batch.rows.iter().enumerate().filter(|(_, row)| row.wants_logits).map(|(i, _)| i).collect();
    batches.iter().map(|batch| (batch.rows.len(), wanted(batch))).collect()
}

/// The passes that the engine does for a prompt of `n_prompt` tokens and an answer of `n_gen`.
fn engine_passes(n_prompt: usize, n_gen: usize) -> Vec<(usize, Vec<usize>)> {
    let model = FakeModel::new(Box::new(|_| {}));
    let batches = Arc::clone(&model.batches);
    let tokenizer = ModelFiles::demo().unwrap().tokenizer().unwrap();
    let mut engine = Engine::new(Box::new(model), tokenizer, 4096);
    let request = Request {
        prompt: vec![1; n_prompt],
        max_tokens: Some(n_gen),
        sampling: SamplingParams { temperature: 0.0, ..SamplingParams::default() },
        ignore_end: true,
        ..Request::default()
    };
    engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    let batches = batches.lock().unwrap();
    shapes(&batches)
}

#[test]
fn a_sample_is_made_of_the_passes_that_the_engine_does() {
    for n in [1, 511, 512, 513, 1500] {
        let ours = shapes(&batches_of(test(Work::Prompt(n)), FakeModel::new(Box::new(|_| {}))));
        assert_eq!(ours, engine_passes(n, 1), "{n} tokens");
    }
    let ours = shapes(&batches_of(test(Work::Generation(9)), FakeModel::new(Box::new(|_| {}))));
    // The engine's first token comes out of the prompt's pass.
    assert_eq!(ours, engine_passes(3, 10)[1..]);
}

#[test]
fn only_forward_passes_count() {
    let clock = FakeClock::default();
    let moved = clock.clone();
    let mut model = FakeModel::new(Box::new(move |n_rows| moved.advance(Duration::from_micros(n_rows as u64))));
    let mut lab = Lab::new(&mut model, &TOKENS, &clock, &|| false);
    for (work, n_batch, expected) in
        [(Work::Prompt(700), 1, 700), (Work::Prompt(300), 3, 900), (Work::Generation(20), 4, 80)]
    {
        let test = Test { n_batch, n_depth: 50, ..test(work) };
        let ControlFlow::Continue(mut ready) = lab.prepare(test).unwrap() else { panic!("nobody stops it") };
        for _ in 0..2 {
            let ControlFlow::Continue(sample) = lab.sample(&mut ready).unwrap() else { panic!("nobody stops it") };
            assert_eq!((sample.forward, sample.sampling), (Duration::from_micros(expected), Duration::ZERO), "{test}");
        }
        lab.clear(test);
    }
}

#[test]
fn the_depth_is_filled_once_unless_the_model_cannot_go_back() {
    let test = Test { n_depth: 700, ..test(Work::Generation(3)) };
    let n_rows = |batches: &[Batch]| batches.iter().map(|batch| batch.rows.len()).collect::<Vec<_>>();
    assert_eq!(n_rows(&batches_of(test, FakeModel::new(Box::new(|_| {})))), [1, 1, 1]);
    let mut recurrent = FakeModel::new(Box::new(|_| {}));
    recurrent.is_recurrent = true;
    assert_eq!(n_rows(&batches_of(test, recurrent)), [512, 188, 1, 1, 1]);
}

#[test]
fn sequences_at_once_advance_together() {
    let test = Test { n_batch: 3, ..test(Work::Generation(2)) };
    for batch in batches_of(test, FakeModel::new(Box::new(|_| {}))) {
        let sequences: Vec<usize> = batch.rows.iter().map(|row| row.sequence.0).collect();
        assert_eq!(sequences, [0, 1, 2]);
        assert!(batch.rows.iter().all(|row| row.wants_logits && row.token == 5), "the likeliest token goes on");
    }
}

#[test]
fn a_sample_that_is_interrupted_is_none() {
    let clock = FakeClock::default();
    let n_passes = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&n_passes);
    let mut model = FakeModel::new(Box::new(move |_| *counted.lock().unwrap() += 1));
    let stop = || *n_passes.lock().unwrap() >= 20;
    let mut lab = Lab::new(&mut model, &TOKENS, &clock, &stop);
    let ControlFlow::Continue(mut ready) = lab.prepare(test(Work::Generation(8))).unwrap() else { panic!("not yet") };
    assert!(lab.sample(&mut ready).unwrap().is_continue());
    assert!(lab.sample(&mut ready).unwrap().is_break());
    assert_eq!(*n_passes.lock().unwrap(), 20);
}

#[test]
fn the_tokens_of_a_prompt_are_the_same_every_time_and_not_all_equal() {
    let prompt = || batches_of(test(Work::Prompt(100)), FakeModel::new(Box::new(|_| {})));
    let first = prompt();
    assert_eq!(first, prompt());
    for token in TOKENS {
        assert!(first[0].rows.iter().filter(|row| row.token == token).count() > 5);
    }
}

#[test]
fn traffic_counts_what_a_token_reads_and_computes() {
    // 2 layers, width 256, 4 heads of 64 on 2 for keys and values, feed-forward 512, with an output matrix of its own.
    let source = source();
    let traffic = Traffic::of(&source, CacheType::F16).unwrap();
    let n_vocab = source.tensors().unwrap().iter().find(|(name, _)| name == "output.weight").unwrap().1.shape[0];
    let layer = 256 * 256 + 2 * 128 * 256 + 256 * 256 + 3 * 256 * 512;
    let norms = 2 * 2 * 256 + 256;
    let (matrices, head) = (2 * layer, n_vocab * 256);
    let q8_0 = |n: usize| n / 32 * 34;
    let weights = q8_0(matrices + head) + 4 * norms;
    let others = source
        .tensors()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.starts_with("rope"))
        .map(|(_, t)| t.data.len())
        .sum::<usize>();
    let depth = Test { n_depth: 100, n_batch: 2, ..test(Work::Generation(9)) };
    let positions = 100.0 + 5.0;
    let cache = positions * (2 * 2 * 2 * 2 * 64) as f64;
    assert_eq!(traffic.bytes_per_token(&depth), Some((weights + others) as f64 / 2.0 + cache));
    assert_eq!(traffic.bytes_per_token(&test(Work::Prompt(9))), None);
    let attention = 2.0 * positions * (2 * 4 * 64) as f64;
    assert_eq!(traffic.operations_per_token(&depth), 2.0 * (matrices as f64 + head as f64 + attention));
    let prompt = test(Work::Prompt(9));
    let attention = 2.0 * 5.0 * (2 * 4 * 64) as f64;
    assert_eq!(traffic.operations_per_token(&prompt), 2.0 * (matrices as f64 + head as f64 / 9.0 + attention));
    assert_eq!(traffic.n_params(), matrices + 2 * head + norms + others / 4);
}

#[test]
fn ceilings_are_asked_around_every_sample_and_never_within() {
    use taper::bench::{Ceilings, Loaded, Watch, run};
    let clock = FakeClock::default();
    let (moved, asked) = (clock.clone(), clock.clone());
    let plan = Plan {
        n_prompt: vec![16],
        n_gen: vec![4],
        n_depth: vec![0],
        n_batch: vec![1],
        n_threads: vec![1, 2],
        n_samples: 3,
    };
    let mut watch = Watch {
        clock: &clock,
        stop: &|| false,
        more: &mut |_| false,
        progress: &mut |_, _| {},
        ceilings: &|n_threads| {
            asked.advance(Duration::from_secs(1));
            Some(Ceilings {
                read_bytes_per_sec: 10.0 * n_threads as f64,
                int8_operations_per_sec: asked.now().as_secs_f64().floor(),
            })
        },
    };
    let mut load = |_| {
        let moved = moved.clone();
        let model = FakeModel::new(Box::new(move |_| moved.advance(Duration::from_millis(1))));
        Ok(Loaded { model: Box::new(model), tokens: TOKENS.to_vec(), load: Duration::ZERO })
    };
    let mut done = Vec::new();
    assert!(run(&plan, &mut load, &mut watch, &mut done).unwrap().is_continue());
    assert_eq!(done.len(), 4);
    for measured in &done {
        assert!(measured.samples.iter().all(|sample| sample.forward < Duration::from_millis(10)));
        let read = measured.ceilings.iter().map(|ceilings| ceilings.read_bytes_per_sec);
        assert_eq!(read.collect::<Vec<_>>(), [10.0 * measured.test.n_threads as f64; 3]);
    }
    // The first test asks at 1, 2, 3 and 4 s, and each sample gets the mean of its two sides.
    let int8: Vec<f64> = done[0].ceilings.iter().map(|ceilings| ceilings.int8_operations_per_sec).collect();
    assert_eq!(int8, [1.5, 2.5, 3.5]);
    assert_eq!(stats::median(&int8), 2.5);
}
