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

/// The same request with the log-probabilities of its prompt.
fn scored(request: Request) -> Request {
    Request { n_prompt_logprobs: Some(1), ..request }
}

fn bits_of_prompt(completion: &Completion) -> Vec<u32> {
    completion.prompt_logprobs.iter().map(|each| each.chosen.logprob.to_bits()).collect()
}

/// The same by the way that `perplexity` takes.
fn bits_of_score(prompt: &[u32]) -> Vec<u32> {
    let scores = engine(512, 1).score(prompt).unwrap();
    scores.into_iter().flatten().map(f32::to_bits).collect()
}

#[test]
fn a_prompt_is_scored_alike_alone_and_among_others_from_a_cold_cache_and_a_warm_one() {
    let mut engine = engine(4096, 4);
    let sizes = [(1, "a"), (200, "b"), (33, "a"), (200, "b"), (512, "c"), (64, "b"), (2, "d"), (32, "c")];
    let requests: Vec<_> = (0..).zip(sizes).map(|(seed, (n, kind))| request(&engine, kind, n, seed)).collect();
    for _ in 0..2 {
        let mut ids = Vec::new();
        let mut answers = BTreeMap::new();
        for (i, request) in requests.iter().enumerate() {
            // Every third only shares the batch.
            let request = if i % 3 == 2 { request.clone() } else { scored(request.clone()) };
            ids.push(engine.submit(request).unwrap());
            for (id, outcome) in engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap() {
                answers.insert(id, outcome.unwrap());
            }
        }
        answers.extend(run(&mut engine));
        for (i, (id, request)) in ids.iter().zip(&requests).enumerate() {
            let answer = &answers[id];
            assert_eq!(essence(answer), essence(&alone(request)), "{} tokens", request.prompt.len());
            if i % 3 == 2 {
                assert!(answer.prompt_logprobs.is_empty());
            } else {
                assert_eq!((bits_of_prompt(answer), answer.n_reused), (bits_of_score(&request.prompt), 0));
            }
        }
    }
}

#[test]
fn a_scored_prompt_goes_in_small_chunks_and_is_told_once() {
    let mut engine = engine(1024, 2);
    let request = Request { max_tokens: Some(0), ..scored(request(&engine, "chunks", 300, 1)) };
    let (mut n_before, mut n_told) = (0, 0);
    let answer = engine.generate(&request, &mut |event| {
        match event {
            Event::Prompt { n_done, .. } => {
                assert!(n_done <= n_before + 32 && n_told == 0, "{n_done} after {n_before}");
                n_before = n_done;
            }
            Event::PromptLogprobs(scores) => n_told += scores.len(),
            event => panic!("{event:?}"),
        }
        ControlFlow::Continue(())
    });
    let answer = answer.unwrap();
    assert_eq!((n_told, answer.tokens.len(), answer.finish_reason), (299, 0, FinishReason::Length));
    assert_eq!(bits_of_prompt(&answer), bits_of_score(&request.prompt));
    // What was computed for it serves others.
    let plain = Request { n_prompt_logprobs: None, ..request };
    let later = engine.generate(&plain, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((later.n_reused, later.prompt_logprobs.len()), (299, 0));
}

#[test]
fn requests_that_ask_the_same_of_a_prompt_have_it_scored_once() {
    let mut engine = engine(4096, 4);
    for n_most in [0, 40] {
        let prompt = request(&engine, &format!("once {n_most}"), 150, 1);
        let ids = [1, 2, 3, 4, 5].map(|seed| {
            let sampling = SamplingParams { seed, ..prompt.sampling.clone() };
            let request = Request { max_tokens: Some(n_most), sampling, ..scored(prompt.clone()) };
            engine.submit(request).unwrap()
        });
        let answers = run(&mut engine);
        for (i, id) in ids.iter().enumerate() {
            assert_eq!(bits_of_prompt(&answers[id]), bits_of_score(&prompt.prompt));
            // Whole blocks of it, or all that is needed where its sequence goes on.
            let reused = if i == 0 { 0..=0 } else { 128..=149 };
            assert!(reused.contains(&answers[id].n_reused), "{}", answers[id].n_reused);
        }
    }
}

#[test]
fn scored_prompts_survive_a_cache_that_is_too_small_and_their_cancelling() {
    let mut engine = engine(512, 6);
    let requests: Vec<_> = (0..6).map(|seed| scored(request(&engine, &seed.to_string(), 150, seed))).collect();
    let ids: Vec<_> = requests.iter().map(|request| engine.submit(request.clone()).unwrap()).collect();
    let mut n_told = BTreeMap::<JobId, usize>::new();
    let mut answers = BTreeMap::new();
    while answers.len() < ids.len() {
        let finished = engine.step(&mut |id, event| {
            *n_told.entry(id).or_default() += usize::from(matches!(event, Event::PromptLogprobs(_)));
            ControlFlow::Continue(())
        });
        answers.extend(finished.unwrap().into_iter().map(|(id, outcome)| (id, outcome.unwrap())));
    }
    for (id, request) in ids.iter().zip(&requests) {
        assert_eq!((essence(&answers[id]), n_told[id]), (essence(&alone(request)), 1));
        assert_eq!(bits_of_prompt(&answers[id]), bits_of_score(&request.prompt));
    }

    engine.forget();
    let n_free = engine.model().n_free();
    // The one that scores goes; who waits for what it scores does it then.
    let [first, second] = [1, 2].map(|_| engine.submit(requests[0].clone()).unwrap());
    engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap();
    engine.cancel(first);
    let answers = run(&mut engine);
    assert_eq!((answers[&first].finish_reason, answers[&second].n_reused), (FinishReason::Cancelled, 0));
    assert_eq!(bits_of_prompt(&answers[&second]), bits_of_score(&requests[0].prompt));
    // And so does one that hears of the scores and wants no more.
    let mut leave = |event: Event<'_>| match event {
        Event::PromptLogprobs(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let left = engine.generate(&requests[1], &mut leave).unwrap();
    assert_eq!((left.finish_reason, left.tokens.len()), (FinishReason::Cancelled, 0));
    engine.forget();
    assert_eq!(engine.model().n_free(), n_free);
}

#[test]
fn a_prompt_whose_scoring_is_broken_off_is_scored_anew() {
    // Room for the prompts and a block of the first answer; the second answer takes a block that the last prompt needs.
    let mut engine = engine(128 + 32 + 2 * 448, 3);
    let first = Request { max_tokens: Some(300), ..request(&engine, "first", 120, 1) };
    engine.submit(first).unwrap();
    engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap();
    let requests: Vec<_> = (2..4)
        .map(|seed| Request { max_tokens: None, ..scored(request(&engine, &seed.to_string(), 448, seed)) })
        .collect();
    let ids: Vec<_> = requests.iter().map(|request| engine.submit(request.clone()).unwrap()).collect();
    let (mut n_before, mut n_broken_off) = (0, 0);
    let mut answers = BTreeMap::new();
    while ids.iter().any(|id| !answers.contains_key(id)) {
        let finished = engine.step(&mut |id, event| {
            if let Event::Prompt { n_done, .. } = event
                && id == ids[1]
            {
                n_broken_off += usize::from(n_done < n_before);
                n_before = n_done;
            }
            ControlFlow::Continue(())
        });
        answers.extend(finished.unwrap().into_iter().map(|(id, outcome)| (id, outcome.unwrap())));
    }
    assert!(n_broken_off > 0, "there was room for all");
    for (id, request) in ids.iter().zip(&requests) {
        assert_eq!(essence(&answers[id]), essence(&alone(request)));
        assert_eq!(bits_of_prompt(&answers[id]), bits_of_score(&request.prompt));
    }
}
