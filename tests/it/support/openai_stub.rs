//! A server that speaks OpenAI's API by hand: it behaves, stalls, hangs up and talks rubbish as a test wants it.

use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A server on a free port whose answers are written by hand, and the bodies that it has been sent.
pub(crate) struct Stub {
    pub(crate) url: String,
    pub(crate) bodies: Arc<Mutex<Vec<Value>>>,
}

/// What a request was.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn prompt(&self) -> &str {
        self.body["messages"][0]["content"].as_str().or(self.body["prompt"].as_str()).unwrap_or_default()
    }

    pub(crate) fn is_warm_up(&self) -> bool {
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
    pub(crate) fn start(answer: impl Fn(&Asked, &mut TcpStream) -> bool + Send + Sync + 'static) -> Stub {
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
}

pub(crate) fn whole(stream: &mut TcpStream, status: u16, body: &str) -> bool {
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).is_ok()
}

pub(crate) fn head(stream: &mut TcpStream) -> bool {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).is_ok()
}

pub(crate) fn event(stream: &mut TcpStream, data: &str) -> bool {
    let text = format!("data: {data}\n\n");
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).is_ok()
}

/// An answer of three tokens: the first after `first`, the others `between` apart.
pub(crate) fn three_tokens(stream: &mut TcpStream, first: Duration, between: Duration) -> bool {
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
