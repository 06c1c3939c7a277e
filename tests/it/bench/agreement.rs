//! The figures of a benchmark beside the engine's own timings of the same work.
//!
//! Needs a quiet machine, and is only run when asked for:
//! `TAPER_TEST_MODEL=model.gguf cargo test --release --test it figures_agree -- --ignored --nocapture`

use std::{ops::ControlFlow, path::Path, time::Duration};
use taper::{
    TokenId,
    backend::{Compute, DeviceChoice},
    bench::{Lab, Sample, Test, Wall, Work, stats},
    engine::{Engine, ModelFiles, Request},
    sampling::SamplingParams,
};

const N_PROMPT: usize = 256;
const N_GEN: usize = 32;
const N_PAIRS: usize = 9;

/// A prompt that has no beginning in common with another.
fn prompt(number: usize) -> Vec<TokenId> {
    (0..N_PROMPT).map(|i| ((i * i + 31 * number + 5) % 251) as TokenId).collect()
}

/// One sample of a prompt and one of a generation after it.
fn samples(lab: &mut Lab<'_>) -> [Sample; 2] {
    [(Work::Prompt(N_PROMPT), 0), (Work::Generation(N_GEN), N_PROMPT)].map(|(work, n_depth)| {
        let test = Test { work, n_depth, n_batch: 1, n_threads: 1 };
        let ControlFlow::Continue(mut ready) = lab.prepare(test).unwrap() else { panic!("nobody stops it") };
        let ControlFlow::Continue(sample) = lab.sample(&mut ready).unwrap() else { panic!("nobody stops it") };
        lab.clear(test);
        sample
    })
}

#[test]
#[ignore = "needs a model of some size and a machine that does nothing else"]
fn figures_agree_with_the_timings_of_the_engine() {
    let Some(path) = std::env::var_os("TAPER_TEST_MODEL") else { return eprintln!("skipped: no TAPER_TEST_MODEL") };
    let files = ModelFiles::open(Path::new(&path)).unwrap();
    let compute = Compute { device: DeviceChoice::Cpu, n_threads: Some(1), ..Compute::default() };
    let mut model = files.source().load(compute, 1024).unwrap();
    let tokens: Vec<TokenId> = (0..251).collect();
    let clock = Wall::new();
    let mut lab = Lab::new(model.as_mut(), &tokens, &clock, &|| false);
    let engine_model = files.source().load(compute, 4096).unwrap();
    let mut engine = Engine::new(engine_model, files.tokenizer().unwrap(), 4096);
    let mut seconds: [[Vec<f64>; 2]; 2] = Default::default();
    // What is read for the first time is slower, in the engine as here; the first pair does not count.
    for number in 0..=N_PAIRS {
        let request = Request {
            prompt: prompt(number),
            max_tokens: Some(N_GEN + 1),
            sampling: SamplingParams { temperature: 0.0, ..SamplingParams::default() },
            ignore_end: true,
            ..Request::default()
        };
        let completion = engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((completion.n_reused, completion.tokens.len()), (0, N_GEN + 1));
        let [prompt, generation] = samples(&mut lab);
        if number > 0 {
            let pairs = [
                (completion.timings.prompt, prompt.forward),
                // The engine's time contains the choice of the tokens.
                (completion.timings.generation, generation.forward + generation.sampling),
            ];
            for (all, (theirs, ours)) in seconds.iter_mut().zip(pairs) {
                all[0].push(Duration::as_secs_f64(&theirs));
                all[1].push(Duration::as_secs_f64(&ours));
            }
        }
    }
    for ([theirs, ours], what) in seconds.iter().zip(["prompt", "generation"]) {
        let ratio = stats::median(ours) / stats::median(theirs);
        eprintln!("{what}: engine {theirs:.4?} s, benchmark {ours:.4?} s, ratio of medians {ratio:.4}");
        assert!((0.98..=1.02).contains(&ratio), "{what}: {ratio}");
    }
}
