//! What OpenAI's API promises of each field.

use super::{Server, question, with};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

/// The texts of all choices of a completion that differs from the usual one by `fields`.
fn texts(server: &Server, fields: Value) -> Vec<String> {
    let body = with(json!({ "prompt": "exit code", "max_tokens": 12, "temperature": 1.2, "ignore_eos": true }), fields);
    let (status, answer) = server.post(TEXT, &body);
    assert_eq!(status, 200, "{answer}");
    answer["choices"].as_array().unwrap().iter().map(|choice| choice["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_field_of_sampling_does_what_it_says() {
    let server = Server::start(&[]);
    let plain = texts(&server, json!({}));
    assert_eq!(plain, texts(&server, json!({ "seed": 0, "n": 1, "logit_bias": {}, "stop": null, "user": "me" })));
    let several = texts(&server, json!({ "n": 3 }));
    assert!(several[0] == plain[0] && several[1] != several[0] && several[2] != several[1]);
    assert_eq!(several[1], texts(&server, json!({ "seed": 1 }))[0]);

    let stop = plain[0].split_whitespace().nth(1).unwrap();
    let before = plain[0].split(stop).next().unwrap();
    assert_eq!(texts(&server, json!({ "stop": stop })), [before]);
    assert_eq!(texts(&server, json!({ "stop": ["never said", stop] })), [before]);

    let tokens = server.post("/tokenize", &json!({ "content": plain[0] })).1["tokens"].clone();
    let first = tokens[0].to_string();
    assert_ne!(texts(&server, json!({ "logit_bias": { first: -100 } })), plain);
    let forced = texts(&server, json!({ "logit_bias": { "300": 100 }, "frequency_penalty": 0 }));
    let piece = server.post("/detokenize", &json!({ "tokens": [300] })).1["content"].as_str().unwrap().to_owned();
    assert_eq!(forced, [piece.repeat(12)]);
    // 100 against 2 for each time that it was said.
    assert_ne!(texts(&server, json!({ "logit_bias": { "300": 15 }, "frequency_penalty": 2 })), [piece.repeat(12)]);
    assert_ne!(texts(&server, json!({ "logit_bias": { "300": 15 }, "presence_penalty": 2, "max_tokens": 40 })), plain);
}

#[test]
fn the_length_is_kept_and_told() {
    let server = Server::start(&[]);
    for field in ["max_tokens", "max_completion_tokens"] {
        let (_, answer) = server.post(CHAT, &with(question("exit code 5"), json!({ field: 3 })));
        let (choice, usage) = (&answer["choices"][0], &answer["usage"]);
        assert_eq!((&choice["finish_reason"], &usage["completion_tokens"]), (&json!("length"), &json!(3)));
    }
    // Completions that do not say it have 16, as OpenAI's.
    let (_, answer) = server.post(TEXT, &json!({ "prompt": "a", "ignore_eos": true }));
    assert_eq!(answer["usage"]["completion_tokens"], 16);
}

#[test]
fn forms_are_kept_as_far_as_the_length_allows() {
    let server = Server::start(&[]);
    let schema = json!({ "type": "object", "properties": { "s": { "type": "string", "minLength": 200, "maxLength": 200 } },
        "required": ["s"], "additionalProperties": false });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "s", "strict": true, "schema": schema } });
    let body = |n: usize| with(question("hi"), json!({ "response_format": format, "max_tokens": n, "temperature": 1 }));
    let cut = |n| {
        let (_, answer) = server.post(CHAT, &body(n));
        let choice = &answer["choices"][0];
        (choice["finish_reason"].clone(), choice["message"]["content"].as_str().unwrap().to_owned())
    };
    let (reason, whole) = cut(900);
    assert_eq!(reason, "stop");
    assert_eq!(serde_json::from_str::<Value>(&whole).unwrap()["s"].as_str().unwrap().chars().count(), 200);
    let (reason, part) = cut(20);
    assert_eq!(reason, "length");
    assert!(whole.starts_with(&part) && part.len() > 5, "{part}");

    let (_, answer) = server.post(CHAT, &with(question("hi"), json!({ "response_format": { "type": "json_object" } })));
    let choice = &answer["choices"][0];
    let content = choice["message"]["content"].as_str().unwrap();
    assert!(content.trim_start().starts_with('{'));
    assert!(choice["finish_reason"] == "length" || serde_json::from_str::<Value>(content).unwrap().is_object());
}

#[test]
fn tools_are_called_as_the_choice_says() {
    let server = Server::start(&[]);
    let tool = |name: &str, n: usize| {
        let parameters = json!({ "type": "object", "properties": { "n": { "const": n } }, "required": ["n"],
            "additionalProperties": false });
        json!({ "type": "function", "function": { "name": name, "strict": true, "parameters": parameters } })
    };
    let body =
        |choice: Value| with(question("hi"), json!({ "tools": [tool("f", 1), tool("g", 2)], "tool_choice": choice }));
    let calls = |choice: Value| {
        let (status, answer) = server.post(CHAT, &body(choice.clone()));
        assert_eq!(status, 200, "{answer}");
        let streamed = server.stream(CHAT, &with(body(choice), json!({ "stream": true })));
        let deltas = streamed.iter().filter_map(|event| event["choices"][0]["delta"]["tool_calls"][0].as_object());
        let calls = answer["choices"][0]["message"]["tool_calls"].clone();
        for (i, delta) in deltas.enumerate() {
            assert_eq!((&delta["function"], &delta["index"]), (&calls[i]["function"], &json!(i)));
        }
        calls
    };
    assert_eq!(calls(json!("none")), Value::Null);
    assert_eq!(calls(json!("auto")), Value::Null);
    let named = calls(json!({ "type": "function", "function": { "name": "g" } }));
    assert_eq!(named[0]["function"], json!({ "name": "g", "arguments": "{\"n\":2}" }));
    assert!(calls(json!("required"))[0]["id"].as_str().is_some_and(|id| id.starts_with("call_")));
    let (status, answer) = server.post(CHAT, &body(json!({ "type": "function", "function": { "name": "h" } })));
    assert_eq!((status, answer["error"]["param"].as_str()), (400, Some("tool_choice")));
}

#[test]
fn streams_have_the_parts_that_clients_expect() {
    let server = Server::start(&[]);
    let body = with(question("exit code 5"), json!({ "stream": true, "n": 2, "temperature": 1 }));
    let events = server.stream(CHAT, &with(body.clone(), json!({ "stream_options": { "include_usage": true } })));
    let (last, parts) = events.split_last().unwrap();
    assert!(parts.iter().all(|event| event["usage"].is_null() && event.get("usage").is_some()));
    assert!(last["usage"]["total_tokens"].is_u64());
    let id = &events[0]["id"];
    for index in [0, 1] {
        let own: Vec<&Value> = parts.iter().filter(|event| event["choices"][0]["index"] == index).collect();
        assert_eq!(own[0]["choices"][0]["delta"]["role"], "assistant");
        assert!(own[1..].iter().all(|event| event["choices"][0]["delta"].get("role").is_none()));
        assert!(own.iter().all(|event| event["id"] == *id && event["object"] == "chat.completion.chunk"));
        let ends = own.iter().filter(|event| !event["choices"][0]["finish_reason"].is_null());
        assert_eq!(ends.count(), 1);
    }
    // Without the wish there is no such field.
    assert!(server.stream(CHAT, &body).iter().all(|event| event.get("usage").is_none()));
    // What is wrong is told before the stream begins.
    for wrong in [json!({ "messages": [{ "role": "user", "content": "a ".repeat(3000) }] }), json!({ "regex": "(" })] {
        let (status, answer) = server.post(CHAT, &with(body.clone(), wrong));
        assert_eq!((status, &answer["error"]["type"]), (400, &json!("invalid_request_error")), "{answer}");
    }
}

#[test]
fn models_are_found_by_their_names() {
    let server = Server::start(&["--alias", "team/model:1"]);
    let get = |path: &str| server.request("GET", path, &[], b"");
    let (status, _, text) = get("/v1/models/team/model:1");
    let model: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &model["id"], &model["object"]), (200, &json!("team/model:1"), &json!("model")));
    let list: Value = serde_json::from_str(&get("/v1/models").2).unwrap();
    assert_eq!((&list["object"], &list["data"][0]), (&json!("list"), &model));
    for (path, expected) in [("/v1/models/other", 404), ("/v1/models/%ff", 400)] {
        let (status, _, text) = get(path);
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, answer["error"]["param"].as_str()), (expected, Some("model")), "{answer}");
    }
    // OpenAI's newer name of the system's role, and numbers as some clients write them.
    let messages = json!([{ "role": "developer", "content": "b" }, { "role": "user", "content": "a" }]);
    let prompt =
        |messages: &Value| server.post("/apply-template", &json!({ "messages": messages })).1["prompt"].clone();
    let system = json!([{ "role": "system", "content": "b" }, { "role": "user", "content": "a" }]);
    assert_eq!(prompt(&messages), prompt(&system));
    assert_eq!(server.post(TEXT, &json!({ "prompt": "a", "max_tokens": 2.0, "n": 1.0 })).0, 200);
}
