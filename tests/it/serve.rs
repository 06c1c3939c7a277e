//! `taper serve` as clients see it: over HTTP, from outside of its process.

mod clients;
mod echo;
mod embeddings;
mod malformed;
mod openai;
mod same;

use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A server on a free port, which ends with the test.
pub(super) struct Server {
    pub(super) process: Child,
    pub(super) url: String,
}

impl Server {
    pub(super) fn start(flags: &[&str]) -> Server {
        Server::launch(flags, |_| {})
    }

    fn start_with(model: &str, flags: &[&str]) -> Server {
        Server::launch(&[&["-m", model], flags].concat(), |_| {})
    }

    /// The same, after `change` has seen the command.
    pub(super) fn launch(flags: &[&str], change: impl FnOnce(&mut Command)) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taper"));
        command.args(["serve", "-t", "2"]).args(flags);
        if !flags.contains(&"-m") {
            command.args(["-m", "demo"]);
        }
        if !flags.contains(&"--port") {
            command.args(["--port", "0"]);
        }
        command.env_remove("TAPER_MODEL").stdout(Stdio::piped()).stderr(Stdio::null());
        change(&mut command);
        let mut process = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{url:?}");
        Server { process, url: url.trim().to_owned() }
    }

    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, Vec<(String, String)>, String) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = agent.run(request.body(body.to_vec()).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        (response.status().as_u16(), response.headers().iter().map(header).collect(), text)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, _, text) = self.request("POST", path, &[], body.to_string().as_bytes());
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")))
    }

    /// The events of a stream up to `[DONE]`.
    pub(super) fn stream(&self, path: &str, body: &Value) -> Vec<Value> {
        let (status, headers, text) = self.request("POST", path, &[], body.to_string().as_bytes());
        assert_eq!(status, 200, "{text}");
        assert!(headers.contains(&("x-accel-buffering".into(), "no".into())));
        assert!(headers.contains(&("content-type".into(), "text/event-stream".into())));
        let mut events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(events.pop(), Some("[DONE]"));
        events.into_iter().map(|event| serde_json::from_str(event).unwrap()).collect()
    }

    pub(super) fn metric(&self, name: &str) -> f64 {
        let (_, _, text) = self.request("GET", "/metrics", &[], b"");
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Waits until `holds`, for a moment that is long enough on any machine.
    pub(super) fn wait(&self, what: &str, holds: impl Fn(&Server) -> bool) {
        let started = Instant::now();
        while !holds(self) {
            assert!(started.elapsed() < Duration::from_secs(60), "waited for {what}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a request whose answer takes its time, and reads the beginning of that.
    pub(super) fn begin_long(&self, n: usize) -> TcpStream {
        let mut stream = self.begin_waiting(n);
        let mut beginning = [0; 64];
        stream.read_exact(&mut beginning).unwrap();
        assert!(beginning.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&beginning));
        stream
    }

    /// Sends the same, and reads nothing.
    pub(super) fn begin_waiting(&self, n: usize) -> TcpStream {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let body = json!({ "prompt": "a", "max_tokens": n, "ignore_eos": true, "stream": true }).to_string();
        let head =
            format!("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).unwrap();
        stream
    }
}

#[cfg(unix)]
impl Server {
    /// Sends a signal to the process.
    pub(super) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Where it listens, without the scheme.
    pub(super) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn question(text: &str) -> Value {
    json!({ "model": "demo", "messages": [{ "role": "user", "content": text }] })
}

pub(super) fn with(mut body: Value, fields: Value) -> Value {
    let fields = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

#[test]
fn a_chat_says_the_same_whole_streamed_and_on_the_command_line() {
    let server = Server::start(&[]);
    let (status, whole) = server.post("/v1/chat/completions", &question("exit code 5"));
    assert_eq!((status, &whole["object"]), (200, &json!("chat.completion")));
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    let usage = &whole["usage"];
    assert_eq!(
        usage["total_tokens"],
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap()
    );

    let body = with(question("exit code 5"), json!({ "stream": true, "stream_options": { "include_usage": true } }));
    let mut events = server.stream("/v1/chat/completions", &body);
    let last = events.pop().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &usage["total_tokens"]));
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let pieces = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    assert_eq!(pieces.collect::<String>(), text);
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "stop");

    let mut run = assert_cmd::Command::cargo_bin("taper").unwrap();
    let output = run.env_remove("TAPER_MODEL").args(["run", "exit code 5"]).assert().code(0).get_output().clone();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), text.trim_end());
}

#[test]
fn requests_at_once_get_the_answers_that_they_get_alone() {
    let server = Server::start(&["--parallel", "4"]);
    let body = |seed: usize| {
        let text = "how do I serve a model? ".repeat(1 + seed % 5);
        json!({ "prompt": text, "max_tokens": 40, "seed": seed, "temperature": 1, "ignore_eos": true, "logprobs": 1 })
    };
    let answer = |server: &Server, seed| {
        let (status, answer) = server.post("/v1/completions", &body(seed));
        assert_eq!(status, 200, "{answer}");
        answer["choices"].clone()
    };
    let together: Vec<Value> = thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|seed| {
                scope.spawn({
                    let server = &server;
                    move || answer(server, seed)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let fresh = Server::start(&["--parallel", "1"]);
    for (seed, together) in together.into_iter().enumerate() {
        assert_eq!(together, answer(&fresh, seed), "seed {seed}");
    }
}

#[test]
fn choices_stops_echo_and_logprobs_are_as_the_api_has_them() {
    let server = Server::start(&[]);
    let body =
        json!({ "prompt": ["one", "two"], "n": 2, "max_tokens": 5, "temperature": 1, "logprobs": 2, "echo": true });
    let (_, answer) = server.post("/v1/completions", &body);
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 4);
    for (i, choice) in choices.iter().enumerate() {
        assert_eq!(choice["index"], i);
        assert!(choice["text"].as_str().unwrap().starts_with(["one", "two"][i / 2]));
        let logprobs = &choice["logprobs"];
        let n = logprobs["tokens"].as_array().unwrap().len();
        assert_eq!(n, logprobs["text_offset"].as_array().unwrap().len());
        let top = logprobs["top_logprobs"].as_array().unwrap();
        // Nothing comes before the first.
        assert!(top[0].is_null() && top[1..].iter().all(|top| !top.as_object().unwrap().is_empty()), "{top:?}");
    }
    let body = with(question("exit code 5"), json!({ "stop": ["denied"], "logprobs": true, "top_logprobs": 3 }));
    let (_, answer) = server.post("/v1/chat/completions", &body);
    let choice = &answer["choices"][0];
    assert!(choice["message"]["content"].as_str().unwrap().ends_with("access "), "{answer}");
    let tokens = choice["logprobs"]["content"].as_array().unwrap();
    assert!(tokens.iter().all(|token| token["top_logprobs"].as_array().unwrap().len() == 3));
}

#[test]
fn answers_have_the_form_that_is_asked_for() {
    let server = Server::start(&[]);
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer", "maximum": 9, "minimum": 0 } },
        "required": ["n"], "additionalProperties": false });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": schema } });
    let (_, answer) = server.post("/v1/chat/completions", &with(question("hi"), json!({ "response_format": format })));
    let content: Value = serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    assert!((0..=9).contains(&content["n"].as_i64().unwrap()));

    let tools = json!([{ "type": "function", "function": { "name": "count", "parameters": schema } }]);
    let body = with(question("hi"), json!({ "tools": tools, "tool_choice": "required" }));
    let (_, answer) = server.post("/v1/chat/completions", &body);
    let choice = &answer["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &Value::Null),
        "{answer}"
    );
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "count");
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert!(arguments["n"].is_i64());
    let events = server.stream("/v1/chat/completions", &with(body, json!({ "stream": true })));
    let streamed: Vec<&Value> =
        events.iter().filter_map(|event| event["choices"][0]["delta"].get("tool_calls")).collect();
    assert_eq!(streamed[0][0]["function"], call["function"]);
}

#[test]
fn what_is_wrong_with_a_request_is_named() {
    let server = Server::start(&["--max-body-bytes", "100000"]);
    let chat = "/v1/chat/completions";
    let cases = [
        (chat, json!({}), 400, "messages"),
        (chat, with(question("a"), json!({ "temperature": "hot" })), 400, "temperature"),
        (chat, with(question("a"), json!({ "temperature": -1 })), 400, "temperature"),
        (chat, with(question("a"), json!({ "n": 0 })), 400, "n"),
        (chat, with(question("a"), json!({ "top_logprobs": 99, "logprobs": true })), 400, "top_logprobs"),
        (chat, with(question("a"), json!({ "top_logprobs": 2 })), 400, "top_logprobs"),
        (chat, with(question("a"), json!({ "regex": "(" })), 400, "regex"),
        (chat, with(question("a"), json!({ "grammar": "start: x" })), 400, "grammar"),
        (chat, with(question("a"), json!({ "logit_bias": { "x": 1 } })), 400, "logit_bias"),
        (chat, with(question("a"), json!({ "tool_choice": "required" })), 400, "tool_choice"),
        (chat, json!({ "messages": [{ "content": "a" }] }), 400, "messages[0].role"),
        (
            chat,
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] }),
            400,
            "messages[0].content",
        ),
        (chat, with(question(&"a ".repeat(3000)), json!({})), 400, "messages"),
        (
            chat,
            with(
                question("a"),
                json!({ "response_format": { "type": "json_schema", "json_schema": { "schema": { "type": "x" } } } }),
            ),
            400,
            "response_format",
        ),
        ("/v1/completions", json!({}), 400, "prompt"),
        ("/v1/completions", json!({ "prompt": [999999] }), 400, "prompt"),
        ("/detokenize", json!({ "tokens": [999999] }), 400, "tokens"),
    ];
    for (path, body, expected, param) in cases {
        let (status, answer) = server.post(path, &body);
        assert_eq!((status, answer["error"]["param"].as_str()), (expected, Some(param)), "{answer}");
        assert_eq!(answer["error"]["type"], "invalid_request_error");
    }
    let (status, answer) = server.post(chat, &with(question("a"), json!({ "model": "other" })));
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("model_not_found")));
    assert_eq!(server.request("POST", chat, &[], b"{").0, 400);
    assert_eq!(server.request("POST", chat, &[], &vec![b' '; 100_001]).0, 413);
    assert_eq!(server.request("GET", chat, &[], b"").0, 405);
    assert_eq!(server.request("GET", "/v2", &[], b"").0, 404);
    // A field that nobody knows is no error.
    assert_eq!(
        server.post(chat, &with(question("a"), json!({ "max_tokens": 1, "metadata": {}, "store": true }))).0,
        200
    );
}

#[test]
fn strangers_are_kept_out() {
    let server = Server::start(&[]);
    let models = |headers: &[(&str, &str)]| server.request("GET", "/v1/models", headers, b"").0;
    assert_eq!(models(&[("host", "evil.example")]), 403);
    assert_eq!(models(&[("host", "localhost:1234")]), 200);
    let body = question("a").to_string();
    let post = |headers: &[(&str, &str)]| server.request("POST", "/v1/chat/completions", headers, body.as_bytes());
    assert_eq!(post(&[("origin", "https://evil.example")]).0, 403);
    assert!(!post(&[]).1.iter().any(|(name, _)| name.starts_with("access-control")));

    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), "right\n").unwrap();
    let server = Server::start(&[
        "--api-key-file",
        keys.path().to_str().unwrap(),
        "--cors",
        "https://app.example",
        "--rate-limit",
        "2",
    ]);
    let get = |path: &str, key: &str| server.request("GET", path, &[("authorization", key)], b"").0;
    assert_eq!(get("/v1/models", "Bearer wrong"), 401);
    assert_eq!(server.request("GET", "/v1/models", &[], b"").0, 401);
    assert_eq!([get("/livez", ""), get("/readyz", "")], [200, 200]);
    assert_eq!([(); 3].map(|()| get("/v1/models", "Bearer right")), [200, 200, 429]);
    let (_, headers, _) = server.request(
        "OPTIONS",
        "/v1/models",
        &[("origin", "https://app.example"), ("access-control-request-method", "GET")],
        b"",
    );
    assert!(headers.contains(&("access-control-allow-origin".into(), "https://app.example".into())), "{headers:?}");
    assert!(!headers.iter().any(|(name, _)| name == "access-control-allow-credentials"));
}

#[test]
fn a_full_server_says_when_to_come_back_and_a_client_that_leaves_frees_its_place() {
    let server = Server::start(&["--parallel", "1", "--queue", "0"]);
    let long = server.begin_long(900);
    let (status, headers, _) =
        server.request("POST", "/v1/chat/completions", &[], question("a").to_string().as_bytes());
    // Fast machines may have answered already.
    if status != 200 {
        assert_eq!(status, 429);
        assert!(headers.iter().any(|(name, _)| name == "retry-after"));
        assert_eq!(server.request("GET", "/readyz", &[], b"").0, 503);
    }
    assert_eq!(server.request("GET", "/livez", &[], b"").0, 200);
    drop(long);
    server.wait("an empty server", |server| {
        server.metric("vllm:num_requests_running") == 0.0 && server.metric("vllm:kv_cache_usage_perc") == 0.0
    });
    assert_eq!(server.request("GET", "/readyz", &[], b"").0, 200);
    assert_eq!(server.post("/v1/chat/completions", &with(question("a"), json!({ "max_tokens": 2 }))).0, 200);
}

#[test]
fn garbage_and_clients_that_hang_up_do_no_harm() {
    let server = Server::start(&["--idle-seconds", "2"]);
    let address = server.url.strip_prefix("http://").unwrap();
    for i in 0..60u64 {
        let mut stream = TcpStream::connect(address).unwrap();
        let noise: Vec<u8> = (0..200).map(|j| ((i * 2654435761 + j * 40503) >> 7) as u8).collect();
        let head =
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{\"messages\": [";
        let bytes = match i % 3 {
            0 => noise,
            1 => head[..(i as usize * 7) % head.len()].to_vec(),
            _ => head.to_vec(),
        };
        // The server may have closed its end already.
        let _ = stream.write_all(&bytes);
    }
    for body in [
        "[]",
        "null",
        "\"\"",
        "{\"messages\":[[]]}",
        "{\"messages\":{}}",
        "{\"messages\":[{\"role\":\"user\",\"content\":7}]}",
        "\u{0}",
    ] {
        assert_eq!(server.request("POST", "/v1/chat/completions", &[], body.as_bytes()).0, 400, "{body}");
    }
    for _ in 0..10 {
        drop(server.begin_long(500));
    }
    server.wait("an empty server", |server| server.metric("vllm:num_requests_running") == 0.0);
    assert_eq!(server.post("/v1/chat/completions", &with(question("a"), json!({ "max_tokens": 2 }))).0, 200);
}

#[cfg(unix)]
#[test]
fn a_server_that_is_asked_to_end_finishes_what_it_has_begun() {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    let mut server = Server::start(&[]);
    let mut long = server.begin_long(300);
    let pid = Pid::from_raw(i32::try_from(server.process.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    long.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: [DONE]"), "{}", &rest[rest.len().saturating_sub(300)..]);
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(server.url.strip_prefix("http://").unwrap()).is_err());
}

#[cfg(unix)]
#[test]
fn the_model_is_swapped_while_requests_go_on() {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    let server = Server::start(&["--alias", "mine"]);
    let mut long = server.begin_long(300);
    kill(Pid::from_raw(i32::try_from(server.process.id()).unwrap()), Signal::SIGHUP).unwrap();
    let body = json!({ "model": "mine", "prompt": "a", "max_tokens": 3 });
    (0..20).for_each(|_| assert_eq!(server.post("/v1/completions", &body).0, 200));
    let mut rest = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&rest).contains("[DONE]") {
        let n = long.read(&mut buffer).unwrap();
        assert!(n > 0, "the stream ended");
        rest.extend_from_slice(&buffer[..n]);
    }
}

#[test]
fn tokens_and_prompts_are_told() {
    let server = Server::start(&[]);
    let (_, tokens) = server.post("/tokenize", &json!({ "content": "hello world" }));
    let (_, text) = server.post("/detokenize", &json!({ "tokens": tokens["tokens"] }));
    assert_eq!(text["content"], "hello world");
    let (_, prompt) = server.post("/apply-template", &question("hi"));
    assert!(prompt["prompt"].as_str().unwrap().contains("hi") && prompt["count"].as_u64().unwrap() > 3);
    let (status, _, text) = server.request("GET", "/openapi.json", &[], b"");
    let api: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &api["openapi"]), (200, &json!("3.1.0")));
    for (name, needed, other) in [
        ("ChatRequest", "messages", "prompt"),
        ("TextRequest", "prompt", "tools"),
        ("TemplateRequest", "messages", "n"),
    ] {
        let schema = &api["components"]["schemas"][name];
        assert_eq!(schema["required"], json!([needed]), "{name}");
        assert!(schema["properties"][needed].is_object() && schema["properties"][other].is_null(), "{name}");
    }
    let (status, headers, page) = server.request("GET", "/", &[], b"");
    assert!(
        status == 200
            && page.contains("<title>taper</title>")
            && !page.contains("http://")
            && !page.contains("https://")
    );
    assert!(
        headers.iter().any(|(name, value)| name == "content-security-policy" && value.contains("default-src 'none'"))
    );
}

#[test]
fn the_network_is_let_in_only_with_a_key() {
    let mut serve = assert_cmd::Command::cargo_bin("taper").unwrap();
    let output = serve.args(["serve", "-m", "demo", "--host", "0.0.0.0"]).assert().code(2).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("--api-key-file"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut serve = assert_cmd::Command::cargo_bin("taper").unwrap();
    serve.args(["serve", "-m", "demo", "--port", &port]).assert().code(1);
    let mut serve = assert_cmd::Command::cargo_bin("taper").unwrap();
    serve.args(["serve", "-m", "/no/such/file.gguf"]).assert().code(3);
}
