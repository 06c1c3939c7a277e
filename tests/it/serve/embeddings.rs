//! Vectors over HTTP.

use super::Server;
use crate::support::tiny::{Architecture, TinyModel, Types};
use serde_json::{Value, json};
use std::{io::Write, net::TcpStream};
use taper::tensor::Dtype;

const PATH: &str = "/v1/embeddings";

fn vectors(answer: &Value) -> Vec<Vec<f64>> {
    let data = answer["data"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let numbers = |entry: &Value| entry["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    data.iter().map(numbers).collect()
}

fn ask(server: &Server, body: &Value) -> Vec<Vec<f64>> {
    let (status, answer) = server.post(PATH, body);
    assert_eq!(status, 200, "{answer}");
    vectors(&answer)
}

#[test]
fn every_form_of_input_gives_the_same_vectors() {
    let server = Server::start(&[]);
    let texts = ["exit code 5", "how do I serve a model?"];
    let tokens = texts
        .map(|text| server.post("/tokenize", &json!({ "content": text, "add_special": true })).1["tokens"].clone());
    let (status, answer) = server.post(PATH, &json!({ "model": "demo", "input": texts }));
    assert_eq!((status, &answer["object"], &answer["model"]), (200, &json!("list"), &json!("demo")));
    let n_tokens: usize = tokens.iter().map(|tokens| tokens.as_array().unwrap().len()).sum();
    assert_eq!(answer["usage"], json!({ "prompt_tokens": n_tokens, "total_tokens": n_tokens }));
    for (i, entry) in answer["data"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&entry["object"], &entry["index"]), (&json!("embedding"), &json!(i)));
    }
    let both = vectors(&answer);
    assert_ne!(both[0], both[1]);
    assert_eq!(ask(&server, &json!({ "input": tokens })), both);
    for i in [0, 1] {
        assert_eq!(ask(&server, &json!({ "input": texts[i], "encoding_format": "float" })), [both[i].clone()]);
        assert_eq!(ask(&server, &json!({ "input": tokens[i], "pooling": "mean" })), [both[i].clone()]);
    }
    // More texts than places, each in its place.
    let many: Vec<&str> = (0..300).map(|i| texts[i % 2]).collect();
    let vectors = ask(&server, &json!({ "input": many }));
    assert!(vectors.iter().enumerate().all(|(i, vector)| *vector == both[i % 2]) && vectors.len() == 300);
    assert_eq!(server.metric("vllm:num_requests_running") + server.metric("taper:cache_positions_held"), 0.0);
}

#[test]
fn vectors_can_be_short_and_in_base64() {
    let server = Server::start(&[]);
    let whole = ask(&server, &json!({ "input": "exit code 5" })).remove(0);
    let norm = |vector: &[f64]| vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    assert!((norm(&whole) - 1.0).abs() < 1e-5);
    let short = ask(&server, &json!({ "input": "exit code 5", "dimensions": 8 })).remove(0);
    let cut = norm(&whole[..8]);
    assert_eq!(short.len(), 8);
    assert!(short.iter().zip(&whole).all(|(short, whole)| (short - whole / cut).abs() < 1e-6));

    let (_, answer) = server.post(PATH, &json!({ "input": "exit code 5", "encoding_format": "base64" }));
    let text = answer["data"][0]["embedding"].as_str().unwrap();
    // Four bytes for each number, four letters for three bytes.
    assert_eq!(text.len(), (whole.len() * 4).div_ceil(3) * 4);
    let last = ask(&server, &json!({ "input": "exit code 5", "pooling": "last" })).remove(0);
    assert_ne!(last, whole);
}

#[test]
fn what_is_wrong_with_a_request_for_vectors_is_named() {
    let server = Server::start(&["--ctx-size", "64"]);
    let cases = [
        (json!({}), "input"),
        (json!({ "input": null }), "input"),
        (json!({ "input": "" }), "input"),
        (json!({ "input": [] }), "input"),
        (json!({ "input": [[]] }), "input"),
        (json!({ "input": ["a", ""] }), "input"),
        (json!({ "input": [1, "a"] }), "input"),
        (json!({ "input": [999999] }), "input"),
        (json!({ "input": vec!["a"; 2049] }), "input"),
        (json!({ "input": ["a", "a ".repeat(500)] }), "input"),
        (json!({ "input": "a", "dimensions": 0 }), "dimensions"),
        (json!({ "input": "a", "dimensions": 100000 }), "dimensions"),
        (json!({ "input": "a", "encoding_format": "hex" }), "encoding_format"),
        (json!({ "input": "a", "pooling": "first" }), "pooling"),
    ];
    for (body, param) in cases {
        let (status, answer) = server.post(PATH, &body);
        assert_eq!((status, answer["error"]["param"].as_str()), (400, Some(param)), "{answer}");
        assert_eq!(answer["error"]["type"], "invalid_request_error");
    }
    let (_, answer) = server.post(PATH, &json!({ "input": "a ".repeat(500) }));
    assert_eq!(answer["error"]["code"], "context_length_exceeded");
}

#[test]
fn texts_of_a_client_that_has_left_are_given_up() {
    let server = Server::start(&["--parallel", "2"]);
    ask(&server, &json!({ "input": "exit code 5" }));
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    let body = json!({ "input": vec!["how do I serve a model? ".repeat(40); 2000] }).to_string();
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
    server.wait("its texts", |server| server.metric("vllm:num_requests_running") > 0.0);
    // Others come in between.
    assert_eq!(ask(&server, &json!({ "input": "exit code 5" })).len(), 1);
    drop(stream);
    server.wait("an empty server", |server| {
        server.metric("vllm:num_requests_running") + server.metric("vllm:num_requests_waiting") == 0.0
    });
    assert_eq!(server.metric("taper:cache_positions_held"), 0.0);
}

/// A copy of the tiny model with one key more.
fn with_pooling(number: u32) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".gguf").tempfile().unwrap();
    let model = TinyModel::new(Architecture::Qwen3, Types::Only(Dtype::F32));
    std::fs::write(file.path(), model.gguf_with(|file| file.u32("qwen3.pooling_type", number))).unwrap();
    file
}

#[test]
fn the_file_says_how_its_vectors_are_made() {
    for (number, expected, other) in [(1, "mean", "last"), (3, "last", "mean"), (0, "mean", "last")] {
        let file = with_pooling(number);
        let server = Server::start_with(file.path().to_str().unwrap(), &[]);
        let ask = |pooling: Value| ask(&server, &json!({ "input": [5, 6, 7], "pooling": pooling }));
        assert_eq!(ask(Value::Null), ask(expected.into()));
        assert_ne!(ask(Value::Null), ask(other.into()));
    }
}
