//! Signals, and what is read again while requests go on.

use super::super::serve::{Server, question, with};
use nix::sys::signal::Signal;
use serde_json::json;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// What comes for `request` over an open connection, up to its end.
fn ask(connection: &mut TcpStream, request: &str) -> String {
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_server_that_is_about_to_end_says_so_to_whoever_is_connected_already() {
    let mut server = Server::start(&[]);
    let mut long = server.begin_long(1500);
    let mut connections = [(); 2].map(|()| TcpStream::connect(server.address()).unwrap());
    server.signal(Signal::SIGTERM);
    let started = Instant::now();
    while TcpStream::connect(server.address()).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(10), "new connections are refused");
        // More than the system lets wait are asked to come again after a second, when those here are closed.
        std::thread::sleep(Duration::from_millis(5));
    }
    let ready = ask(&mut connections[0], "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let is_draining = ready.starts_with("HTTP/1.1 503") && ready.contains("draining");
    assert!(is_draining && ready.contains("connection: close"), "{ready:?}");
    let body = question("a").to_string();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    let refused = ask(&mut connections[1], &(head + &body));
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after"), "{refused}");
    let mut rest = String::new();
    long.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: [DONE]"));
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}

#[test]
fn connections_without_a_request_do_not_hold_up_the_end() {
    let mut server = Server::start(&[]);
    let connections = [(); 5].map(|()| TcpStream::connect(server.address()).unwrap());
    // One of them is idle after a request, the others have never said anything.
    (&connections[0]).write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    (&connections[0]).read_exact(&mut [0; 15]).unwrap();
    server.signal(Signal::SIGTERM);
    let started = Instant::now();
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_second_signal_ends_at_once_and_so_does_the_time_to_drain() {
    for (flags, signals, code) in [(vec![], 2, 130), (vec!["--drain-seconds", "1"], 1, 0)] {
        let mut server = Server::start(&flags);
        let mut long = server.begin_long(1_000_000);
        // More than a machine does within the time.
        let others = [(); 7].map(|()| server.begin_long(1_000_000));
        server.signal(Signal::SIGTERM);
        for _ in 1..signals {
            std::thread::sleep(Duration::from_millis(200));
            server.signal(Signal::SIGINT);
        }
        let started = Instant::now();
        assert_eq!(server.process.wait().unwrap().code(), Some(code));
        assert!(started.elapsed() < Duration::from_secs(10));
        let mut rest = Vec::new();
        // The system may reset what is cut off.
        let _ = long.read_to_end(&mut rest);
        drop(others);
    }
}

#[test]
fn keys_are_read_again_on_a_signal_and_by_the_admin_and_stay_if_they_cannot_be() {
    let (keys, admin) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    fs::write(keys.path(), "one\n").unwrap();
    fs::write(admin.path(), "boss\n").unwrap();
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
    let server = Server::start(&["--api-key-file", &path(&keys), "--admin-key-file", &path(&admin)]);
    let as_key = |method: &str, path: &str, key: &str| {
        server.request(method, path, &[("authorization", &format!("Bearer {key}"))], b"").0
    };
    let models = |key: &str| as_key("GET", "/v1/models", key);
    assert_eq!([models("one"), models("two")], [200, 401]);
    assert_eq!([as_key("POST", "/admin/reload", "one"), as_key("POST", "/admin/reload", "")], [401, 401]);

    fs::write(keys.path(), "# none\n").unwrap();
    assert_eq!((as_key("POST", "/admin/reload", "boss"), models("one")), (500, 200));
    fs::write(keys.path(), "two\n").unwrap();
    assert_eq!(as_key("POST", "/admin/reload", "boss"), 200);
    assert_eq!([models("one"), models("two")], [401, 200]);
    fs::write(keys.path(), "three\n").unwrap();
    fs::write(admin.path(), "chief\n").unwrap();
    server.signal(Signal::SIGHUP);
    server.wait("the new keys", |_| models("three") == 200);
    assert_eq!(models("two"), 401);
    server.wait("the new admin", |_| as_key("POST", "/admin/reload", "chief") == 200);
    assert_eq!(as_key("POST", "/admin/reload", "boss"), 401);
}

#[test]
fn the_model_is_loaded_once_at_a_time_and_requests_go_on() {
    let admin = tempfile::NamedTempFile::new().unwrap();
    fs::write(admin.path(), "boss\n").unwrap();
    let server = Server::start(&["--admin-key-file", admin.path().to_str().unwrap()]);
    let key = [("authorization", "Bearer boss")];
    let mut long = server.begin_long(1000);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let reload = || server.request("POST", "/admin/reload", &key, b"").0;
        let reloads = [(); 6].map(|()| scope.spawn(reload));
        reloads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200) && statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
    let body = with(question("a"), json!({ "max_tokens": 2 }));
    assert_eq!(server.post("/v1/chat/completions", &body).0, 200);
    let mut rest = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&rest).contains("[DONE]") {
        let n = long.read(&mut buffer).unwrap();
        assert!(n > 0, "the stream ended");
        rest.extend_from_slice(&buffer[..n]);
    }
    // The models before are gone with their requests.
    server.wait("one empty model", |server| {
        server.metric("vllm:num_requests_running") == 0.0 && server.metric("vllm:num_requests_waiting") == 0.0
    });
    let fresh = Server::start(&[]);
    server
        .wait("one cache", |server| server.metric("taper:cache_positions{") == fresh.metric("taper:cache_positions{"));
}
