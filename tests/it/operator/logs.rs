//! A line a request, and nothing in it that is not to be there.

use super::super::serve::{Server, question, with};
use serde_json::{Value, json};
use std::{fs, process::Stdio, time::Duration, time::Instant};

/// A server with its log in a file.
struct Logged {
    server: Server,
    log: tempfile::NamedTempFile,
}

impl Logged {
    fn start(flags: &[&str]) -> Logged {
        let log = tempfile::NamedTempFile::new().unwrap();
        let file = log.reopen().unwrap();
        let server = Server::launch(flags, |command| _ = command.stderr(Stdio::from(file)));
        Logged { server, log }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// The lines about requests, when there are `n`.
    fn requests(&self, n: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let text = self.text();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            let requests: Vec<Value> = lines.filter(|line| line["message"] == "request").collect();
            if requests.len() >= n {
                assert_eq!(requests.len(), n, "{text}");
                return requests;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "waited for {n} lines in {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn each_request_is_a_line_of_json_without_its_text_or_key() {
    let keys = tempfile::NamedTempFile::new().unwrap();
    fs::write(keys.path(), "sesame-key\n").unwrap();
    let logged = Logged::start(&["--log-format", "json", "--api-key-file", keys.path().to_str().unwrap()]);
    let chat = "/v1/chat/completions";
    let ask = |headers: &[(&str, &str)], stream: bool| {
        let body = with(question("exit code 5"), json!({ "stream": stream }));
        logged.server.request("POST", chat, headers, body.to_string().as_bytes())
    };
    let key = ("authorization", "Bearer sesame-key");
    let (_, _, whole) = ask(&[key, ("x-request-id", "mine-1")], false);
    let (_, headers, _) = ask(&[key], true);
    let given = headers.iter().find(|(name, _)| name == "x-request-id").unwrap().1.as_str();
    assert_eq!(ask(&[("x-request-id", "not an id")], false).0, 401);
    assert_eq!(logged.server.request("GET", "/readyz", &[], b"").0, 200);

    let lines = logged.requests(3);
    let usage = &serde_json::from_str::<Value>(&whole).unwrap()["usage"];
    for (line, id) in lines.iter().zip([Some("mine-1"), Some(given), None]) {
        assert_eq!((&line["method"], &line["path"], &line["level"]), (&json!("POST"), &json!(chat), &json!("INFO")));
        assert!(line["ms"].as_f64().unwrap() > 0.0 && line["timestamp"].as_str().unwrap().contains('T'));
        assert!(id.is_none_or(|id| line["request_id"] == id), "{line}");
        assert_eq!(line["outcome"], "sent", "{line}");
    }
    for line in &lines[..2] {
        assert_eq!(
            (&line["status"], &line["finish_reason"], &line["model"]),
            (&json!(200), &json!("stop"), &json!("demo"))
        );
        assert_eq!(line["prompt_tokens"], usage["prompt_tokens"]);
        assert_eq!(line["completion_tokens"], usage["completion_tokens"]);
        assert!(line["first_token_ms"].as_f64().unwrap() <= line["ms"].as_f64().unwrap());
    }
    assert_eq!((&lines[2]["status"], lines[2].get("prompt_tokens")), (&json!(401), None));
    let text = logged.text();
    for secret in ["sesame", "exit code 5", "denied", "readyz"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn texts_are_logged_when_they_are_asked_for_and_a_client_that_leaves_is_told() {
    let logged = Logged::start(&["--log-format", "json", "--log-text"]);
    logged.server.post("/v1/chat/completions", &question("exit code 5"));
    let lines = logged.requests(1);
    assert!(lines[0]["request"].as_str().unwrap().contains("exit code 5"));
    assert!(lines[0]["answer"].as_str().unwrap().contains("denied"));
    drop(logged.server.begin_long(2000));
    let lines = logged.requests(2);
    // A fast machine may have sent all of it.
    if lines[1]["outcome"] != "sent" {
        assert_eq!((&lines[1]["outcome"], &lines[1]["finish_reason"]), (&json!("client left"), &json!("cancelled")));
    }
}

#[test]
fn without_flags_only_what_is_wrong_is_told() {
    let logged = Logged::start(&[]);
    logged.server.post("/v1/chat/completions", &question("exit code 5"));
    assert_eq!(logged.text(), "");
}
