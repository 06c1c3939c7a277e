//! Bodies that are wrong or half right, thousands of them: each gets an answer or an error that names the field.

use super::Server;
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::{Map, Value, json};

/// A right body for every path.
fn bodies() -> Vec<(&'static str, Value)> {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    let sampling = json!({ "model": "demo", "max_tokens": 4, "max_completion_tokens": 3, "n": 1, "stream": false,
        "stream_options": { "include_usage": true }, "stop": ["x", "y"], "seed": 7, "temperature": 0.7, "top_p": 0.9,
        "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1, "presence_penalty": 0.5, "frequency_penalty": 0.5,
        "logit_bias": { "17": -3 }, "ignore_eos": false });
    let with = |fields: Value| {
        let mut body = sampling.clone();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let messages = json!([
        { "role": "system", "content": "You help." },
        { "role": "user", "content": [{ "type": "text", "text": "a" }], "name": "me" },
        { "role": "assistant", "content": null,
          "tool_calls": [{ "id": "1", "type": "function", "function": { "name": "f", "arguments": "{\"n\":1}" } }] },
        { "role": "tool", "content": "2", "tool_call_id": "1" },
    ]);
    let tools = json!([{ "type": "function", "function": { "name": "f", "description": "d", "parameters": schema } }]);
    let chat = with(json!({ "messages": messages, "logprobs": true, "top_logprobs": 2, "tools": tools,
        "tool_choice": "auto", "chat_template_kwargs": { "a": 1 } }));
    let formed = with(json!({ "messages": [{ "role": "user", "content": "a" }],
        "response_format": { "type": "json_schema", "json_schema": { "name": "n", "strict": true, "schema": schema } } }));
    let plain = with(json!({ "prompt": "a", "echo": true, "logprobs": 2 }));
    let regular = with(json!({ "prompt": ["a", "b"], "regex": "[ab]{2}" }));
    let grammatical = with(json!({ "prompt": [[1, 2], [3]], "grammar": "start: \"a\" | \"b\"" }));
    vec![
        ("/v1/chat/completions", chat.clone()),
        ("/v1/chat/completions", formed),
        ("/v1/completions", plain),
        ("/v1/completions", regular),
        ("/v1/completions", grammatical),
        (
            "/v1/embeddings",
            json!({ "model": "demo", "input": ["a", "b"], "encoding_format": "float", "dimensions": 8,
            "pooling": "mean" }),
        ),
        ("/tokenize", json!({ "model": "demo", "content": "a", "add_special": true, "parse_special": true })),
        ("/detokenize", json!({ "model": "demo", "tokens": [1, 2] })),
        ("/apply-template", chat),
    ]
}

/// Any JSON, with a liking for what is nearly right.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3i64..70).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3.0..3.0).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[ -~]{0,30}".prop_map(Value::from),
        proptest::sample::select(WORDS).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let key =
            prop_oneof![proptest::sample::select(WORDS).prop_map(str::to_owned), "\\PC{0,6}".prop_map(String::from)];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((key, inner), 0..6).prop_map(|entries| Value::from(Map::from_iter(entries))),
        ]
    })
}

/// Words that mean something somewhere.
const WORDS: &[&str] = &[
    "type",
    "text",
    "function",
    "name",
    "parameters",
    "role",
    "content",
    "json_object",
    "json_schema",
    "schema",
    "object",
    "string",
    "integer",
    "array",
    "properties",
    "required",
    "items",
    "enum",
    "const",
    "anyOf",
    "allOf",
    "oneOf",
    "$ref",
    "#",
    "#/properties/a",
    "pattern",
    "minLength",
    "maxItems",
    "minimum",
    "multipleOf",
    "additionalProperties",
    "format",
    "auto",
    "none",
    "required",
    "a",
    "start: a\na: \"x\"*",
    "root ::= \"a\" root",
    "(a|b)*",
    "[",
    "(?<x>a)\\1",
    "demo",
    "\u{0}",
    "\u{fffd}",
    "<|im_start|>",
    "{{ messages }}",
    "max_tokens",
    "x-guidance",
    "number",
    "null",
    "uuid",
    "date-time",
];

/// One change to a body: where, as numbers that pick a way down, and what is put there.
#[derive(Clone, Debug)]
enum Change {
    Replace(Vec<usize>, Value),
    Remove(Vec<usize>),
    Add(String, Value),
}

fn change() -> impl Strategy<Value = Change> {
    let way = || vec(0usize..64, 1..5);
    prop_oneof![
        6 => (way(), anything()).prop_map(|(way, value)| Change::Replace(way, value)),
        2 => way().prop_map(Change::Remove),
        1 => ("\\PC{0,8}", anything()).prop_map(|(name, value)| Change::Add(format!("_{name}"), value)),
    ]
}

/// Makes the change; gives the field of the body that it was in.
fn apply(body: &mut Value, change: &Change) -> Option<String> {
    let (way, value) = match change {
        Change::Replace(way, value) => (way, Some(value)),
        Change::Remove(way) => (way, None),
        Change::Add(name, value) => {
            body.as_object_mut()?.insert(name.clone(), value.clone());
            return None;
        }
    };
    let first = body.as_object()?.keys().nth(way[0] % body.as_object()?.len().max(1))?.clone();
    let mut at = body;
    for (i, &step) in way.iter().enumerate() {
        let is_last = i + 1 == way.len();
        let n = at.as_object().map_or(at.as_array().map_or(0, Vec::len), Map::len);
        if n == 0 {
            break;
        }
        let step = step % n;
        if is_last && value.is_none() {
            match at {
                Value::Object(map) => _ = map.keys().nth(step).cloned().map(|key| map.remove(&key)),
                Value::Array(values) => _ = values.remove(step),
                _ => {}
            }
            return Some(first);
        }
        at = match at {
            Value::Object(map) => map.values_mut().nth(step)?,
            Value::Array(values) => &mut values[step],
            _ => break,
        };
    }
    *at = value.cloned().unwrap_or_default();
    Some(first)
}

/// What is wrong with an answer, if anything is.
fn check(server: &Server, path: &str, body: &[u8], field: Option<&str>) -> Result<(), TestCaseError> {
    let (status, headers, text) = server.request("POST", path, &[], body);
    let fail = |what: &str| {
        let body = String::from_utf8_lossy(body);
        Err(TestCaseError::fail(format!("{what}: {path} {body}\ngave {status}: {text}")))
    };
    match status {
        200 => return Ok(()),
        400 | 404 | 429 => {}
        _ => return fail("a status that may not be"),
    }
    if !headers.iter().any(|(name, value)| name == "content-type" && value == "application/json") {
        return fail("an error that is not JSON");
    }
    let Ok(answer) = serde_json::from_str::<Value>(&text) else { return fail("an error that is not JSON") };
    let error = &answer["error"];
    let is_text = |value: &Value| value.is_null() || value.as_str().is_some_and(|text| !text.is_empty());
    let is_complete = ["message", "type", "param", "code"].iter().all(|key| error.get(key).is_some_and(is_text));
    if !is_complete || error["message"].is_null() || error["type"].is_null() {
        return fail("not OpenAI's error object");
    }
    // A field can make another one wrong: a tool that is missing, a template that fails on its variables.
    let related = |field: &str| match field {
        "tools" => &["tools", "tool_choice", "messages"][..],
        "tool_choice" => &["tool_choice", "tools"],
        "chat_template_kwargs" => &["chat_template_kwargs", "messages"],
        "logprobs" => &["logprobs", "top_logprobs"],
        _ => &[],
    };
    let param = error["param"].as_str().unwrap_or_default();
    match field {
        Some(field) if !param.starts_with(field) && !related(field).iter().any(|name| param.starts_with(name)) => {
            fail(&format!("an error about `{param}` and not `{field}`"))
        }
        _ => Ok(()),
    }
}

fn run<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(&strategy, test) {
        panic!("{error}");
    }
}

#[test]
fn no_body_does_harm_and_every_error_names_its_field() {
    let server = Server::start(&["--ctx-size", "256"]);
    let bodies = bodies();
    for (path, body) in &bodies {
        let (status, answer) = server.post(path, body);
        assert_eq!(status, 200, "{path} {body}: {answer}");
    }
    // Half right: one field changed.
    run(4000, (0..bodies.len(), change()), |(at, change)| {
        let (path, mut body) = bodies[at].clone();
        let field = apply(&mut body, &change);
        check(&server, path, body.to_string().as_bytes(), field.as_deref())
    });
    // Several changed.
    run(1000, (0..bodies.len(), vec(change(), 2..6)), |(at, changes)| {
        let (path, mut body) = bodies[at].clone();
        changes.iter().for_each(|change| _ = apply(&mut body, change));
        check(&server, path, body.to_string().as_bytes(), None)
    });
    // Not even JSON: cut off, with bytes changed, or nothing but noise.
    run(1000, (0..bodies.len(), vec((any::<usize>(), any::<u8>()), 0..4), any::<usize>()), |(at, bytes, cut)| {
        let (path, body) = &bodies[at];
        let mut body = body.to_string().into_bytes();
        bytes.iter().for_each(|(at, byte)| {
            let at = at % body.len();
            body[at] = *byte;
        });
        body.truncate(cut % (body.len() * 2));
        check(&server, path, &body, None)
    });
    run(500, (0..bodies.len(), vec(any::<u8>(), 0..200)), |(at, bytes)| check(&server, bodies[at].0, &bytes, None));

    for metric in ["vllm:num_requests_running", "vllm:num_requests_waiting", "taper:cache_positions_held"] {
        assert_eq!(server.metric(metric), 0.0, "{metric}");
    }
    let (path, body) = &bodies[0];
    assert_eq!(server.post(path, body).0, 200);
}
