//! The same request gets the same answer, whatever else the server does and has done.

use super::{Server, question, with};
use serde_json::{Value, json};
use std::thread;

/// Requests of every kind, each at the end of a long common beginning.
fn requests() -> Vec<(&'static str, Value)> {
    let text = "how do I serve a model? ".repeat(12);
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" }, "s": { "type": "string" } },
        "required": ["n", "s"], "additionalProperties": false });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": schema } });
    let chat = |fields: Value| ("/v1/chat/completions", with(question(&text), fields));
    vec![
        (
            "/v1/completions",
            json!({ "prompt": text, "max_tokens": 30, "seed": 3, "temperature": 1.5, "logprobs": 3, "n": 2 }),
        ),
        (
            "/v1/completions",
            json!({ "prompt": text, "max_tokens": 20, "seed": 6, "logprobs": 2, "n": 2, "echo": true }),
        ),
        chat(
            json!({ "max_tokens": 30, "seed": 4, "temperature": 1, "logprobs": true, "top_logprobs": 2, "ignore_eos": true }),
        ),
        chat(json!({ "max_tokens": 60, "seed": 5, "temperature": 2, "response_format": format })),
        chat(json!({ "max_tokens": 30, "temperature": 0, "frequency_penalty": 0.5, "logit_bias": { "40": 2 } })),
        ("/v1/embeddings", json!({ "input": [text, "exit code 5"] })),
    ]
}

/// What an answer says, and how much of its prompt was computed before.
fn answer(server: &Server, (path, body): &(&str, Value)) -> (Value, u64) {
    let (status, mut answer) = server.post(path, body);
    assert_eq!(status, 200, "{answer}");
    let n_cached = answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0);
    (answer.get_mut("choices").or(None).map(Value::take).unwrap_or_else(|| answer["data"].take()), n_cached)
}

#[test]
fn answers_are_the_same_cold_cached_and_under_load() {
    let requests = requests();
    let cold: Vec<Value> = requests
        .iter()
        .map(|request| {
            let (answer, n_cached) = answer(&Server::start(&[]), request);
            assert!(n_cached == 0 && answer.as_array().is_some_and(|answers| !answers.is_empty()), "{answer}");
            answer
        })
        .collect();

    let server = Server::start(&["--parallel", "3"]);
    let mut n_reused = 0;
    for _ in 0..2 {
        for (request, cold) in requests.iter().zip(&cold) {
            let (again, n_cached) = answer(&server, request);
            assert_eq!(again, *cold);
            n_reused += n_cached;
        }
    }
    assert!(n_reused > 300, "{n_reused} tokens came from the cache");

    // Streams without end beside them, on a server with fewer places than requests.
    let _long: Vec<_> = (0..2).map(|_| server.begin_long(100_000)).collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            for (request, cold) in requests.iter().zip(&cold) {
                let server = &server;
                scope.spawn(move || assert_eq!(answer(server, request).0, *cold));
            }
        }
    });
}
