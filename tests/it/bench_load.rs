//! Load tests of servers that behave, stall, hang up, and talk rubbish. Delays of the stand-in are lower bounds of what is
//! measured, however busy the machine is.

use crate::support::openai_stub::{Stub, event, head, three_tokens, whole};
use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use taper::bench::load::{
    Arrivals, Counted, Endpoint, Failure, Level, LoadError, Plan, Prompt, Route, Summary, Wish, alone, notes, run,
    synthetic_prompts, table,
};

fn plan(stub: &Stub, levels: &[Level], n_requests: usize) -> Plan {
    let mut endpoint = Endpoint::new(&stub.url).unwrap();
    endpoint.route = Some(Route::Chat);
    endpoint.timeout = Duration::from_secs(30);
    Plan {
        endpoint,
        levels: levels.to_vec(),
        n_requests,
        prompts: (0..n_requests.max(1)).map(|i| Prompt::Text(format!("prompt {i}"))).collect(),
        wish: Wish { max_tokens: 3, ignore_end: false },
        max_in_flight: 64,
        seed: 1,
    }
}

fn summaries(plan: &Plan) -> Vec<Summary> {
    run(plan, &|| false, &|_| {}).unwrap().levels
}

const MS: Duration = Duration::from_millis(1);
const NOW: Duration = Duration::ZERO;

#[test]
fn every_level_answers_and_its_times_are_at_least_those_of_the_server() {
    let stub = Stub::start(|_, stream| three_tokens(stream, 20 * MS, 10 * MS));
    let plan = plan(&stub, &[Level::Concurrency { n: 1 }, Level::Concurrency { n: 4 }], 8);
    let summaries = summaries(&plan);
    for summary in &summaries {
        assert_eq!((summary.n_requests, summary.n_answered, summary.n_tokens), (8, 8, 24));
        assert_eq!((summary.counted, summary.n_prompt_tokens), (Some(Counted::Usage), Some(40)));
        let (first, end) = (summary.first_token_ms.unwrap(), summary.end_to_end_ms.unwrap());
        assert!(first.p50 >= 20.0 && first.p50 <= first.p90 && first.p90 <= first.p99, "{summary:?}");
        // Only the sum of the gaps is certain: a chunk that is read late is nearer to the next.
        assert!(end.p50 >= 40.0 && summary.seconds >= 0.08, "{summary:?}");
    }
    // One client waits for each answer before it asks again.
    assert!(summaries[0].seconds >= 8.0 * 0.04, "{summaries:?}");
    assert_eq!(table(&summaries).to_text().lines().count(), 3);
    assert!(notes(&summaries).is_empty(), "{:?}", notes(&summaries));
}

#[test]
fn slow_answers_show_in_the_upper_percentiles_only() {
    let stub = Stub::start(|asked, stream| {
        let slow = ["prompt 8", "prompt 9"].contains(&asked.prompt());
        three_tokens(stream, if slow { 3000 * MS } else { NOW }, NOW)
    });
    let summary = &summaries(&plan(&stub, &[Level::Concurrency { n: 10 }], 10))[0];
    let first = summary.first_token_ms.unwrap();
    assert!(first.p90 >= 3000.0 && first.p99 >= 3000.0, "{first:?}");
    // Eight of ten have seconds to spare.
    assert!(first.p50 < 3000.0, "{first:?}");
}

#[test]
fn a_stall_is_charged_to_every_request_that_was_due() {
    let stub = Stub::start(|_, stream| three_tokens(stream, 100 * MS, NOW));
    let level = Level::Rate { per_sec: 100.0, arrivals: Arrivals::Constant };
    let plan = Plan { max_in_flight: 1, ..plan(&stub, &[level], 8) };
    let end = summaries(&plan)[0].end_to_end_ms.unwrap();
    // Request i is due at 10·i ms and cannot be answered before 100·(i + 1) ms.
    assert!(end.p50 >= 100.0 + 90.0 * 3.5 && end.p99 >= 700.0, "{end:?}");
}

#[test]
fn requests_at_a_rate_do_not_come_before_they_are_due() {
    let stub = Stub::start(|_, stream| three_tokens(stream, NOW, NOW));
    let level = Level::Rate { per_sec: 20.0, arrivals: Arrivals::Constant };
    let summary = &summaries(&plan(&stub, &[level], 5))[0];
    assert!(summary.seconds >= 0.2 && summary.n_answered == 5, "{summary:?}");
}

#[test]
fn every_way_to_fail_has_its_name_and_the_others_are_still_answered() {
    let stub = Stub::start(|asked, stream| match asked.prompt() {
        "prompt 0" => whole(stream, 503, "{\"error\":\"busy\"}"),
        "prompt 1" => false,
        "prompt 2" => {
            head(stream);
            event(stream, "{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}");
            false
        }
        "prompt 3" => {
            head(stream);
            event(stream, "{\"choices\": oh no");
            false
        }
        "prompt 4" => whole(stream, 200, "{\"choices\":[]}"),
        "prompt 5" => {
            head(stream);
            event(stream, "{\"error\":{\"message\":\"out of memory\"}}");
            stream.write_all(b"0\r\n\r\n").is_ok()
        }
        "prompt 6" => {
            head(stream);
            event(stream, "[DONE]") && stream.write_all(b"0\r\n\r\n").is_ok()
        }
        "prompt 7" => {
            let _ = stream.write_all(b"\x00\xff garbage that is no HTTP\r\n\r\n");
            false
        }
        _ => three_tokens(stream, NOW, NOW),
    });
    let summary = &summaries(&plan(&stub, &[Level::Concurrency { n: 2 }], 12))[0];
    assert_eq!((summary.n_requests, summary.n_answered), (12, 4), "{summary:?}");
    for kind in [Failure::Status(503), Failure::HungUp, Failure::Truncated, Failure::Reported, Failure::Empty] {
        assert_eq!(summary.n_failed(&kind), 1, "{kind}: {summary:?}");
    }
    assert_eq!(summary.n_failed(&Failure::Malformed), 3, "{summary:?}");
    assert_eq!(summary.failures["status 503"].example, "{\"error\":\"busy\"}");
    assert_eq!(notes(std::slice::from_ref(summary)).len(), 6, "a line for each kind");
}

#[test]
fn a_server_that_never_answers_or_never_ends_runs_into_the_time_limit() {
    let stub = Stub::start(|asked, stream| match asked.prompt() {
        "prompt 0" => {
            thread::sleep(Duration::from_secs(20));
            false
        }
        "prompt 1" => {
            head(stream);
            while event(stream, "{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}") {
                thread::sleep(5 * MS);
            }
            false
        }
        _ => three_tokens(stream, NOW, NOW),
    });
    let mut plan = plan(&stub, &[Level::Concurrency { n: 2 }], 2);
    plan.endpoint.timeout = 500 * MS;
    let start = Instant::now();
    let summary = &summaries(&plan)[0];
    assert_eq!((summary.n_answered, summary.n_failed(&Failure::Timeout)), (0, 2), "{summary:?}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn an_interrupt_keeps_what_is_done() {
    let stub = Stub::start(|asked, stream| {
        if !["prompt 0", "prompt 1"].contains(&asked.prompt()) && !asked.is_warm_up() {
            thread::sleep(Duration::from_secs(20));
        }
        three_tokens(stream, NOW, NOW)
    });
    let n_done = AtomicUsize::new(0);
    let plan = plan(&stub, &[Level::Concurrency { n: 1 }, Level::Concurrency { n: 2 }], 4);
    let cancelled = || n_done.load(Ordering::Relaxed) == 2;
    let summaries = run(&plan, &cancelled, &|n| n_done.store(n, Ordering::Relaxed)).unwrap().levels;
    assert_eq!(summaries.len(), 1);
    assert!(summaries[0].interrupted && summaries[0].n_answered == 2, "{summaries:?}");
}

#[test]
fn nobody_there_is_an_error_and_not_a_list_of_failures() {
    let stub = Stub::start(|_, _| false);
    let mut plan = plan(&stub, &[Level::Concurrency { n: 1 }], 1);
    // Port 1 belongs to a service that nobody runs.
    plan.endpoint = Endpoint::new("http://127.0.0.1:1").unwrap();
    assert!(matches!(run(&plan, &|| false, &|_| {}), Err(LoadError::Unreachable { .. })));
}

#[test]
fn the_first_model_of_the_list_is_asked_with_the_counts_of_tokens() {
    let stub = Stub::start(|_, stream| three_tokens(stream, NOW, NOW));
    summaries(&plan(&stub, &[Level::Concurrency { n: 1 }], 2));
    let bodies = stub.bodies.lock().unwrap();
    assert_eq!(bodies.len(), 3, "one request warms up");
    assert_eq!((&bodies[2]["model"], &bodies[2]["max_tokens"]), (&"stub-model".into(), &3.into()));
    assert_eq!(bodies[2]["stream_options"]["include_usage"], true);
    assert_eq!(bodies[1]["messages"][0]["content"], "prompt 0");
}

#[test]
fn a_key_is_sent_where_there_is_one() {
    let stub = Stub::start(|asked, stream| match asked.key.as_deref() {
        Some("bearer secret") => three_tokens(stream, NOW, NOW),
        _ => whole(stream, 401, "{}"),
    });
    let mut plan = plan(&stub, &[Level::Concurrency { n: 1 }], 1);
    let error = run(&plan, &|| false, &|_| {}).unwrap_err();
    assert!(matches!(error, LoadError::Denied { .. }) && error.to_string().contains("status 401"), "{error}");
    plan.endpoint.api_key = Some("secret".into());
    assert_eq!(summaries(&plan)[0].n_answered, 1);
}

#[test]
fn a_server_that_refuses_an_option_is_asked_without_it() {
    let stub = Stub::start(|asked, stream| {
        if asked.body.get("stream_options").is_some() {
            return whole(stream, 400, "{\"error\":{\"message\":\"unknown field stream_options\"}}");
        }
        if asked.body.get("max_tokens").is_some() {
            return whole(stream, 400, "{\"error\":{\"message\":\"use max_completion_tokens\"}}");
        }
        if asked.body.get("temperature").is_some() {
            return whole(stream, 422, "{\"error\":{\"message\":\"temperature does not support 0\"}}");
        }
        three_tokens(stream, NOW, NOW)
    });
    assert_eq!(summaries(&plan(&stub, &[Level::Concurrency { n: 1 }], 3))[0].n_answered, 3);
}

fn texts(texts: &[&str]) -> Vec<Prompt> {
    texts.iter().map(|text| Prompt::Text((*text).into())).collect()
}

const THREE: Wish = Wish { max_tokens: 3, ignore_end: false };

#[test]
fn one_request_at_a_time_gives_the_speed_of_generation_and_says_what_is_not_checked() {
    let stub = Stub::start(|asked, stream| match asked.path.as_str() {
        "/v1/completions" => three_tokens(stream, 20 * MS, 50 * MS),
        _ => whole(stream, 404, "{}"),
    });
    let prompts = texts(&["once upon", "twice upon", "thrice upon"]);
    let server = alone(&Endpoint::new(&stub.url).unwrap(), &prompts, THREE, &|| false).unwrap();
    assert!(server.table().to_text().contains("stub-model"));
    assert_eq!((server.route, server.n_gen, server.n_prompt), (Route::Completions, 3, Some(5)));
    assert!(server.first_token_ms >= 20.0 && server.first_token_samples_ms.len() == 3);
    assert_eq!(server.generation_samples_ts.len(), 3);
    assert!(server.notes()[0].contains("not checked"));
    let bodies = stub.bodies.lock().unwrap();
    let asked: Vec<&str> = bodies[1..].iter().map(|body| body["prompt"].as_str().unwrap()).collect();
    assert_eq!(asked, ["once upon", "twice upon", "thrice upon"]);
}

#[test]
fn a_server_without_completions_is_asked_in_a_chat_and_one_without_either_is_refused() {
    for (status, says) in [(404, "no route"), (400, "this is a chat model")] {
        let chat = Stub::start(move |asked, stream| match asked.path.as_str() {
            "/v1/chat/completions" => three_tokens(stream, NOW, NOW),
            _ => whole(stream, status, says),
        });
        let endpoint = Endpoint::new(&chat.url).unwrap();
        let server = alone(&endpoint, &texts(&["once"]), THREE, &|| false).unwrap();
        assert_eq!(server.route, Route::Chat, "{says}");
        let plan = Plan { endpoint, ..plan(&chat, &[Level::Concurrency { n: 1 }], 2) };
        let outcome = run(&plan, &|| false, &|_| {}).unwrap();
        assert_eq!((outcome.routes.as_slice(), outcome.levels[0].n_answered), (&[Route::Chat][..], 2));
    }
    let neither = Stub::start(|_, stream| whole(stream, 404, "{\"error\":\"nothing here\"}"));
    let endpoint = Endpoint::new(&neither.url).unwrap();
    let error = alone(&endpoint, &texts(&["once"]), THREE, &|| false).unwrap_err();
    assert!(error.to_string().contains("status 404: {\"error\":\"nothing here\"}"), "{error}");
}

#[test]
fn messages_go_to_the_chat_and_texts_beside_them_to_the_completions() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let seen = paths.clone();
    let stub = Stub::start(move |asked, stream| {
        seen.lock().unwrap().push((asked.path.clone(), asked.prompt().to_owned()));
        three_tokens(stream, NOW, NOW)
    });
    let chat = Prompt::Messages(serde_json::json!([{"role": "user", "content": "hello"}]));
    let prompts = vec![Prompt::Text("once".into()), chat];
    let mixed = Plan { prompts, ..plan(&stub, &[Level::Concurrency { n: 1 }], 2) };
    let auto = Plan { endpoint: Endpoint::new(&stub.url).unwrap(), ..mixed.clone() };
    let outcome = run(&auto, &|| false, &|_| {}).unwrap();
    assert_eq!((outcome.routes.len(), outcome.levels[0].n_answered), (2, 2));
    let paths: Vec<(String, String)> = paths.lock().unwrap().drain(..).filter(|(_, text)| text.len() < 6).collect();
    let sent = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    assert_eq!(paths, [sent("/v1/completions", "once"), sent("/v1/chat/completions", "hello")]);
    // All of them to the chat, where that is asked for; messages to the completions are nonsense.
    assert_eq!(run(&mixed, &|| false, &|_| {}).unwrap().routes, [Route::Chat]);
    let mut wrong = mixed;
    wrong.endpoint.route = Some(Route::Completions);
    assert!(matches!(run(&wrong, &|| false, &|_| {}), Err(LoadError::Plan(_))));
}

#[test]
fn a_level_without_answers_is_the_last_and_the_verdict_names_what_failed() {
    let n_asked = AtomicUsize::new(0);
    let stub = Stub::start(move |_, stream| match n_asked.fetch_add(1, Ordering::Relaxed) {
        0..9 => three_tokens(stream, NOW, NOW),
        _ => whole(stream, 500, "{\"error\":\"no memory\"}"),
    });
    let outcome = run(&plan(&stub, &[Level::Concurrency { n: 2 }; 4], 8), &|| false, &|_| {}).unwrap();
    let answered: Vec<usize> = outcome.levels.iter().map(|level| level.n_answered).collect();
    assert_eq!(answered, [8, 0], "the first request warms up");
    let error = outcome.verdict().unwrap_err().to_string();
    assert!(
        error.contains("answered 0 of 8 requests; 8") && error.contains("status 500: {\"error\":\"no memory\"}"),
        "{error}"
    );
    let one = Stub::start(|asked, stream| match asked.prompt() {
        "prompt 7" => whole(stream, 500, "{}"),
        _ => three_tokens(stream, NOW, NOW),
    });
    assert!(run(&plan(&one, &[Level::Concurrency { n: 2 }], 8), &|| false, &|_| {}).unwrap().verdict().is_ok());
}

/// TAPER_TEST_SERVER names a server that answers as OpenAI's does.
#[test]
fn a_real_server_answers_every_request() {
    let Ok(url) = std::env::var("TAPER_TEST_SERVER") else {
        eprintln!("skipped: TAPER_TEST_SERVER does not name a server");
        return;
    };
    let endpoint = Endpoint::new(&url).unwrap();
    let wish = Wish { max_tokens: 16, ignore_end: false };
    let server = alone(&endpoint, &synthetic_prompts(&[16], 3, 2), wish, &|| false).unwrap();
    eprintln!("{}{}\n", server.table().to_text(), server.notes().join("\n"));
    let rate = Level::Rate { per_sec: 2.0, arrivals: Arrivals::Poisson };
    let plan = Plan {
        endpoint,
        levels: vec![Level::Concurrency { n: 1 }, Level::Concurrency { n: 4 }, rate],
        n_requests: 8,
        prompts: synthetic_prompts(&[8, 64], 24, 1),
        wish,
        max_in_flight: 64,
        seed: 1,
    };
    let summaries = summaries(&plan);
    eprintln!("{}{}", table(&summaries).to_text(), notes(&summaries).join("\n"));
    assert!(summaries.iter().all(|summary| summary.n_answered == 8), "{summaries:?}");
}
