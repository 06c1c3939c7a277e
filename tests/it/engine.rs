//! Requests that are answered together get the answers that they get alone.

use std::{collections::BTreeMap, ops::ControlFlow};
use taper::{
    backend::{Compute, DeviceChoice},
    engine::{Completion, Engine, Event, FinishReason, JobId, ModelFiles, Request},
    sampling::SamplingParams,
};

/// The demo with a cache of `n_cells` positions for all requests, of which one may have 512.
fn engine(n_cells: usize, n_parallel: usize) -> Engine {
    let files = ModelFiles::demo().unwrap();
    let tokenizer = files.tokenizer().unwrap();
    let model = files
        .source()
        .load(Compute { device: DeviceChoice::Cpu, n_threads: Some(2), cache_type: None }, n_cells)
        .unwrap();
    Engine::new(model, tokenizer, 512).with_parallel(n_parallel)
}

/// A prompt of `n` tokens that begins like others of the same `kind`.
fn request(engine: &Engine, kind: &str, n: usize, seed: u64) -> Request {
    let text = format!("{kind} how do I serve a model? ").repeat(n);
    let mut prompt = engine.tokenizer().encode(&text, taper::text::Special::AsText).unwrap();
    prompt.truncate(n - 1);
    prompt.push(300 + seed as u32);
    let sampling = SamplingParams { seed, temperature: 1.0, ..SamplingParams::default() };
    Request { prompt, max_tokens: Some(40), sampling, n_logprobs: Some(2), ignore_end: true, ..Request::default() }
}

/// What tells one answer from another; not how long it took, nor what the cache had.
fn essence(completion: &Completion) -> (Vec<u32>, String, Vec<u32>, FinishReason) {
    let bits = completion.logprobs.iter().map(|logprobs| logprobs.chosen.logprob.to_bits());
    (completion.tokens.clone(), completion.text.clone(), bits.collect(), completion.finish_reason)
}

fn alone(request: &Request) -> Completion {
    engine(512, 1).generate(request, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Steps until all requests have ended.
fn run(engine: &mut Engine) -> BTreeMap<JobId, Completion> {
    let mut all = BTreeMap::new();
    for _ in 0..10_000 {
        for (id, outcome) in engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap() {
            assert!(all.insert(id, outcome.unwrap()).is_none(), "ended twice");
        }
        if engine.load().n_running + engine.load().n_waiting == 0 {
            return all;
        }
    }
    panic!("no end: {:?}", engine.load());
}

#[test]
fn requests_that_come_together_or_later_are_answered_as_alone() {
    let mut engine = engine(4096, 4);
    let sizes = [(1, "a"), (200, "b"), (33, "a"), (200, "b"), (470, "c"), (64, "b"), (5, "d"), (300, "c")];
    let requests: Vec<_> = (0..).zip(sizes).map(|(seed, (n, kind))| request(&engine, kind, n, seed)).collect();
    let mut ids = Vec::new();
    let mut answers = BTreeMap::new();
    for request in &requests {
        ids.push(engine.submit(request.clone()).unwrap());
        for (id, outcome) in engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap() {
            answers.insert(id, outcome.unwrap());
        }
    }
    answers.extend(run(&mut engine));
    for (id, request) in ids.iter().zip(&requests) {
        assert_eq!(essence(&answers[id]), essence(&alone(request)), "{} tokens", request.prompt.len());
    }
}

#[test]
fn what_requests_have_in_common_is_computed_once() {
    let mut engine = engine(4096, 8);
    let [first, second, third] = [7, 8, 9].map(|seed| request(&engine, "together", 300, seed));
    let at_once = [&first, &second].map(|request| engine.submit(request.clone()).unwrap());
    let answers = run(&mut engine);
    let reused = at_once.map(|id| answers[&id].n_reused);
    assert_eq!(reused, [0, 288], "whole blocks of 32 of what is being computed for the other");
    let later = engine.generate(&third, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(later.n_reused, 288);
    assert_eq!(essence(&later), essence(&alone(&third)));
}

#[test]
fn a_conversation_that_goes_on_computes_only_what_is_new() {
    let mut engine = engine(512, 1);
    let mut request = request(&engine, "chat", 100, 1);
    let mut n_known = 0;
    for _ in 0..4 {
        let answer = engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(answer.n_reused, n_known);
        assert_eq!(essence(&answer), essence(&alone(&request)));
        // The last token of an answer is never computed.
        n_known = request.prompt.len() + answer.tokens.len() - 1;
        request.prompt.extend(answer.tokens);
        request.prompt.extend([300, 301, 302]);
    }
}

#[test]
fn what_the_last_requests_left_is_kept_and_the_cache_does_not_fill_up() {
    let mut engine = engine(4096, 1);
    let kinds: Vec<String> = (0..20).map(|i| format!("{i} kind")).collect();
    let mut ask = |kind: &str| {
        let request = Request { max_tokens: Some(1), ..request(&engine, kind, 65, 1) };
        let answer = engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
        (answer.n_reused, engine.load().n_free)
    };
    let free: Vec<usize> = kinds.iter().map(|kind| ask(kind).1).collect();
    assert_eq!(free[4..], [free[4]; 16], "the sixth request takes what the second had");
    assert_eq!(ask("19 kind").0, 64, "the last is still there");
    assert_eq!(ask("3 kind").0, 0, "one of the first is gone");
    engine.forget();
    assert_eq!(engine.load().n_free, engine.load().n_positions);
}

#[test]
fn a_cache_that_is_too_small_for_all_costs_time_and_no_answer() {
    let mut engine = engine(512, 6);
    let requests: Vec<_> = (0..6).map(|seed| request(&engine, &seed.to_string(), 150, seed)).collect();
    let ids: Vec<_> = requests.iter().map(|request| engine.submit(request.clone()).unwrap()).collect();
    let answers = run(&mut engine);
    for (id, request) in ids.iter().zip(&requests) {
        assert_eq!(essence(&answers[id]), essence(&alone(request)));
    }
}

#[test]
fn answers_go_on_while_a_long_prompt_is_read() {
    let mut engine = engine(4096, 2);
    let short = engine.submit(Request { max_tokens: Some(400), ..request(&engine, "short", 5, 1) }).unwrap();
    let mut none = |_: JobId, _: Event<'_>| ControlFlow::Continue(());
    (0..3).for_each(|_| drop(engine.step(&mut none).unwrap()));
    let long = engine.submit(request(&engine, "long", 500, 2)).unwrap();
    let (mut n_between, mut n_steps) = (0, 0);
    let mut reading = true;
    while reading {
        let mut heard = false;
        engine
            .step(&mut |id, event| {
                heard |= id == short && matches!(event, Event::Text(..));
                reading &= !(id == long && matches!(event, Event::Text(..)));
                ControlFlow::Continue(())
            })
            .unwrap();
        (n_between, n_steps) = (n_between + usize::from(heard), n_steps + 1);
    }
    assert!(n_steps >= 2 && n_between * 2 >= n_steps, "{n_between} texts in {n_steps} steps");
}

#[test]
fn a_request_that_is_cancelled_leaves_no_cell_behind() {
    let mut engine = engine(1024, 2);
    let n_free = engine.model().n_free();
    let ids = [1, 2, 3].map(|seed| engine.submit(request(&engine, &seed.to_string(), 60, seed)).unwrap());
    let mut sink =
        |id: JobId, _: Event<'_>| if id == ids[0] { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let mut ended: Vec<_> =
        engine.step(&mut sink).unwrap().into_iter().map(|(id, outcome)| (id, outcome.unwrap())).collect();
    engine.cancel(ids[1]);
    engine.cancel(ids[2]);
    ended.extend(run(&mut engine));
    assert_eq!(ended.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
    assert!(ended.iter().all(|(_, answer)| answer.finish_reason == FinishReason::Cancelled));
    // What is kept for others goes when it is in the way.
    engine.score(&[1]).unwrap();
    assert_eq!(engine.model().n_free(), n_free);
}
