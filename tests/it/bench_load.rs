//! Load tests of servers that behave, stall, hang up, and talk rubbish. Delays of the stand-in are lower bounds of what is
//! measured, however busy the machine is.

use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use taper::bench::load::{
    Arrivals, Counted, Endpoint, Failure, Level, LoadError, Plan, Prompt, Route, Summary, alone, notes, run,
    synthetic_prompts, table,
};

/// A server on a free port whose answers are written by hand, and the bodies that it has been sent.
struct Stub {
    url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

/// What a request was.
struct Asked {
    path: String,
    key: Option<String>,
    body: Value,
}

impl Asked {
    fn prompt(&self) -> &str {
        self.body["messages"][0]["content"].as_str().or(self.body["prompt"].as_str()).unwrap_or_default()
    }

    fn is_warm_up(&self) -> bool {
        self.prompt() == "Count to three."
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_string();
    let (mut length, mut key) = (0, None);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("authorization:") {
            key = Some(value.trim().to_string());
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { path, key, body: serde_json::from_slice(&body).unwrap_or_default() })
}

impl Stub {
    /// Lists one model; all else is answered by `answer`, which returns whether the connection stays open.
    fn start(answer: impl Fn(&Asked, &mut TcpStream) -> bool + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), bodies.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, seen, mut stream) = (answer.clone(), seen.clone(), stream.unwrap());
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(asked) = read_request(&mut reader) {
                        let open = if asked.path.ends_with("/models") {
                            whole(&mut stream, 200, "{\"data\":[{\"id\":\"stub-model\"}]}")
                        } else {
                            seen.lock().unwrap().push(asked.body.clone());
                            answer(&asked, &mut stream)
                        };
                        if !open {
                            return;
                        }
                    }
                });
            }
        });
        Stub { url, bodies }
    }

    fn plan(&self, levels: &[Level], n_requests: usize) -> Plan {
        let mut endpoint = Endpoint::new(&self.url).unwrap();
        endpoint.timeout = Duration::from_secs(30);
        Plan {
            endpoint,
            route: Route::Chat,
            levels: levels.to_vec(),
            n_requests,
            prompts: (0..n_requests.max(1)).map(|i| Prompt::Text(format!("prompt {i}"))).collect(),
            max_tokens: 3,
            max_in_flight: 64,
            seed: 1,
        }
    }
}

fn summaries(plan: &Plan) -> Vec<Summary> {
    run(plan, &|| false, &|_| {}).unwrap()
}

fn whole(stream: &mut TcpStream, status: u16, body: &str) -> bool {
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).is_ok()
}

fn head(stream: &mut TcpStream) -> bool {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).is_ok()
}

fn event(stream: &mut TcpStream, data: &str) -> bool {
    let text = format!("data: {data}\n\n");
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).is_ok()
}

/// An answer of three tokens: the first after `first`, the others `between` apart.
fn three_tokens(stream: &mut TcpStream, first: Duration, between: Duration) -> bool {
    let usage = "{\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3}}";
    thread::sleep(first);
    head(stream);
    for i in 0..3 {
        thread::sleep(if i == 0 { Duration::ZERO } else { between });
        event(stream, "{\"choices\":[{\"delta\":{\"content\":\"x\"},\"text\":\"x\"}]}");
    }
    event(stream, usage);
    event(stream, "[DONE]") && stream.write_all(b"0\r\n\r\n").is_ok()
}

const MS: Duration = Duration::from_millis(1);
const NOW: Duration = Duration::ZERO;

#[test]
fn every_level_answers_and_its_times_are_at_least_those_of_the_server() {
    let stub = Stub::start(|_, stream| three_tokens(stream, 20 * MS, 10 * MS));
    let plan = stub.plan(&[Level::Concurrency { n: 1 }, Level::Concurrency { n: 4 }], 8);
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
    let summary = &summaries(&stub.plan(&[Level::Concurrency { n: 10 }], 10))[0];
    let first = summary.first_token_ms.unwrap();
    assert!(first.p90 >= 3000.0 && first.p99 >= 3000.0, "{first:?}");
    // Eight of ten have seconds to spare.
    assert!(first.p50 < 3000.0, "{first:?}");
}

#[test]
fn a_stall_is_charged_to_every_request_that_was_due() {
    let stub = Stub::start(|_, stream| three_tokens(stream, 100 * MS, NOW));
    let level = Level::Rate { per_sec: 100.0, arrivals: Arrivals::Constant };
    let plan = Plan { max_in_flight: 1, ..stub.plan(&[level], 8) };
    let end = summaries(&plan)[0].end_to_end_ms.unwrap();
    // Request i is due at 10·i ms and cannot be answered before 100·(i + 1) ms.
    assert!(end.p50 >= 100.0 + 90.0 * 3.5 && end.p99 >= 700.0, "{end:?}");
}

#[test]
fn requests_at_a_rate_do_not_come_before_they_are_due() {
    let stub = Stub::start(|_, stream| three_tokens(stream, NOW, NOW));
    let level = Level::Rate { per_sec: 20.0, arrivals: Arrivals::Constant };
    let summary = &summaries(&stub.plan(&[level], 5))[0];
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
    let summary = &summaries(&stub.plan(&[Level::Concurrency { n: 2 }], 12))[0];
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
    let mut plan = stub.plan(&[Level::Concurrency { n: 2 }], 2);
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
    let plan = stub.plan(&[Level::Concurrency { n: 1 }, Level::Concurrency { n: 2 }], 4);
    let cancelled = || n_done.load(Ordering::Relaxed) == 2;
    let summaries = run(&plan, &cancelled, &|n| n_done.store(n, Ordering::Relaxed)).unwrap();
    assert_eq!(summaries.len(), 1);
    assert!(summaries[0].interrupted && summaries[0].n_answered == 2, "{summaries:?}");
}

#[test]
fn nobody_there_is_an_error_and_not_a_list_of_failures() {
    let stub = Stub::start(|_, _| false);
    let mut plan = stub.plan(&[Level::Concurrency { n: 1 }], 1);
    // Port 1 belongs to a service that nobody runs.
    plan.endpoint = Endpoint::new("http://127.0.0.1:1").unwrap();
    assert!(matches!(run(&plan, &|| false, &|_| {}), Err(LoadError::Unreachable { .. })));
}

#[test]
fn the_first_model_of_the_list_is_asked_with_the_counts_of_tokens() {
    let stub = Stub::start(|_, stream| three_tokens(stream, NOW, NOW));
    summaries(&stub.plan(&[Level::Concurrency { n: 1 }], 2));
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
    let mut plan = stub.plan(&[Level::Concurrency { n: 1 }], 1);
    assert_eq!(summaries(&plan)[0].n_failed(&Failure::Status(401)), 1);
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
        three_tokens(stream, NOW, NOW)
    });
    assert_eq!(summaries(&stub.plan(&[Level::Concurrency { n: 1 }], 3))[0].n_answered, 3);
}

#[test]
fn one_request_at_a_time_gives_the_speed_of_generation_and_says_what_is_not_checked() {
    let stub = Stub::start(|asked, stream| match asked.path.as_str() {
        "/v1/completions" => three_tokens(stream, 20 * MS, 50 * MS),
        _ => whole(stream, 404, "{}"),
    });
    let server = alone(&Endpoint::new(&stub.url).unwrap(), "once upon", 3, 3, &|| false).unwrap();
    assert!(server.table().to_text().contains("stub-model"));
    assert_eq!((server.route, server.n_gen, server.n_prompt), (Route::Completions, 3, Some(5)));
    assert!(server.first_token_ms >= 20.0 && server.first_token_again_ms.unwrap() >= 20.0);
    assert_eq!(server.generation_samples_ts.len(), 3);
    assert!(server.notes()[0].contains("not checked"));
    assert_eq!(stub.bodies.lock().unwrap().last().unwrap()["prompt"], "once upon");
}

#[test]
fn a_server_without_completions_is_asked_in_a_chat_and_one_without_either_is_refused() {
    let chat = Stub::start(|asked, stream| match asked.path.as_str() {
        "/v1/chat/completions" => three_tokens(stream, NOW, NOW),
        _ => whole(stream, 404, "{}"),
    });
    let server = alone(&Endpoint::new(&chat.url).unwrap(), "once", 3, 1, &|| false).unwrap();
    assert_eq!((server.route, server.first_token_again_ms), (Route::Chat, None));
    let neither = Stub::start(|_, stream| whole(stream, 401, "{\"error\":\"no key\"}"));
    let error = alone(&Endpoint::new(&neither.url).unwrap(), "once", 3, 1, &|| false).unwrap_err();
    assert!(error.to_string().contains("status 401: {\"error\":\"no key\"}"), "{error}");
}

/// TAPER_TEST_SERVER names a server that answers as OpenAI's does.
#[test]
fn a_real_server_answers_every_request() {
    let Ok(url) = std::env::var("TAPER_TEST_SERVER") else {
        eprintln!("skipped: TAPER_TEST_SERVER does not name a server");
        return;
    };
    let endpoint = Endpoint::new(&url).unwrap();
    let server = alone(&endpoint, "Once upon a time", 16, 3, &|| false).unwrap();
    eprintln!("{}{}\n", server.table().to_text(), server.notes().join("\n"));
    let rate = Level::Rate { per_sec: 2.0, arrivals: Arrivals::Poisson };
    let plan = Plan {
        endpoint,
        route: Route::Chat,
        levels: vec![Level::Concurrency { n: 1 }, Level::Concurrency { n: 4 }, rate],
        n_requests: 8,
        prompts: synthetic_prompts(&[8, 64], 24, 1),
        max_tokens: 16,
        max_in_flight: 64,
        seed: 1,
    };
    let summaries = summaries(&plan);
    eprintln!("{}{}", table(&summaries).to_text(), notes(&summaries).join("\n"));
    assert!(summaries.iter().all(|summary| summary.n_answered == 8), "{summaries:?}");
}
