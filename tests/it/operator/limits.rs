//! How much, how slowly, from where and how often clients may ask, and the figures about it.

use super::super::serve::{Server, question, with};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

/// What comes over a connection until the server closes it, and how long that takes.
fn until_closed(mut connection: TcpStream, request: &[u8]) -> (String, Duration) {
    let started = Instant::now();
    let mut answer = Vec::new();
    // A connection that is reset is closed too.
    let _ = connection.write_all(request);
    let _ = connection.read_to_end(&mut answer);
    (String::from_utf8_lossy(&answer).into_owned(), started.elapsed())
}

#[cfg(unix)]
#[test]
fn what_takes_too_long_or_is_too_large_is_ended() {
    let server = Server::start(&["--idle-seconds", "1"]);
    let connect = || TcpStream::connect(server.address()).unwrap();
    let soon = Duration::from_millis(900)..Duration::from_secs(20);
    // A head that never ends, a connection without a request, and one that is idle after its request.
    for (request, status) in [
        ("GET /livez HTTP/1.1\r\nHost: ", None),
        ("", None),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", Some("200")),
        ("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{", Some("408")),
    ] {
        let (answer, took) = until_closed(connect(), request.as_bytes());
        assert_eq!(answer.split(' ').nth(1).filter(|_| status.is_some()), status, "{answer}");
        assert!(soon.contains(&took), "{took:?} for {request}");
    }
    let long = "x".repeat(400_000);
    let (answer, _) = until_closed(connect(), format!("GET /livez HTTP/1.1\r\nX-Long: {long}\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let (answer, _) = until_closed(
        connect(),
        b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn a_stream_that_waits_shows_that_it_lives() {
    let server = Server::start(&["--parallel", "1", "--ping-seconds", "1"]);
    let others = [(); 12].map(|()| server.begin_waiting(1_000_000));
    let mut last = server.begin_waiting(3);
    let mut beginning = [0; 2000];
    let mut n = 0;
    while !String::from_utf8_lossy(&beginning[..n]).contains(": ping\n\n") {
        let read = last.read(&mut beginning[n..]).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&beginning[..n]));
        n += read;
    }
    drop((others, last));
    server.wait("an empty server", |server| server.metric("vllm:num_requests_waiting") == 0.0);
}

#[test]
fn browsers_get_what_is_allowed_and_never_credentials() {
    let preflight = |server: &Server, origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,x-stainless-os"),
        ];
        server.request("OPTIONS", "/v1/chat/completions", &headers, b"").1
    };
    let of = |headers: &[(String, String)], name: &str| {
        headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
    };
    for (flag, origin, allowed) in [
        ("*", "https://any.example", Some("*")),
        ("https://app.example", "https://app.example", Some("https://app.example")),
        ("https://app.example", "https://evil.example", None),
    ] {
        let server = Server::start(&["--cors", flag]);
        let headers = preflight(&server, origin);
        assert_eq!(of(&headers, "access-control-allow-origin").as_deref(), allowed, "{headers:?}");
        assert_eq!(of(&headers, "access-control-allow-credentials"), None);
        assert!(of(&headers, "access-control-allow-headers").is_none_or(|names| names.contains("x-stainless-os")));
        let body = with(question("a"), json!({ "max_tokens": 1 })).to_string();
        let (status, headers, _) =
            server.request("POST", "/v1/chat/completions", &[("origin", origin)], body.as_bytes());
        assert_eq!(status, if allowed.is_some() { 200 } else { 403 });
        assert_eq!(of(&headers, "access-control-allow-credentials"), None);
    }
}

#[test]
fn hosts_that_are_named_count_beside_keys_too() {
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), "key\n").unwrap();
    let file = keys.path().to_str().unwrap();
    let models = |server: &Server, host: &str| {
        server.request("GET", "/v1/models", &[("host", host), ("authorization", "Bearer key")], b"").0
    };
    let any = Server::start(&["--api-key-file", file]);
    assert_eq!(models(&any, "llm.example"), 200);
    let named = Server::start(&["--api-key-file", file, "--allow-host", "llm.example"]);
    assert_eq!(
        ["llm.example:80", "LLM.example", "10.0.0.7", "other.example"].map(|host| models(&named, host)),
        [200, 200, 200, 403]
    );
}

#[test]
fn figures_have_the_names_that_dashboards_read_and_are_there_from_the_start() {
    let server = Server::start(&["--alias", "mine"]);
    let labels = r#"{model_name="mine",engine="0"}"#;
    for name in [
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:kv_cache_usage_perc",
        "vllm:gpu_cache_usage_perc",
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
        "vllm:prefix_cache_queries_total",
        "vllm:prefix_cache_hits_total",
        r#"vllm:request_success_total{model_name="mine",engine="0",finished_reason="stop"}"#,
    ] {
        let name = if name.contains('{') { name.to_owned() } else { format!("{name}{labels}") };
        assert_eq!(server.metric(&name), 0.0, "{name}");
    }
    let (_, answer) = server.post("/v1/chat/completions", &with(question("exit code 5"), json!({ "model": "mine" })));
    let usage = &answer["usage"];
    let count = |name: &str| server.metric(&format!("{name}{labels}"));
    assert_eq!(count("vllm:prompt_tokens_total"), usage["prompt_tokens"].as_f64().unwrap());
    assert_eq!(count("vllm:generation_tokens_total"), usage["completion_tokens"].as_f64().unwrap());
    for name in [
        "time_to_first_token_seconds",
        "e2e_request_latency_seconds",
        "request_queue_time_seconds",
        "request_prefill_time_seconds",
        "request_decode_time_seconds",
        "request_inference_time_seconds",
        "request_time_per_output_token_seconds",
        "request_prompt_tokens",
        "request_generation_tokens",
    ] {
        assert_eq!(count(&format!("vllm:{name}_count")), 1.0, "{name}");
    }
    for name in ["inter_token_latency_seconds", "time_per_output_token_seconds"] {
        assert!(count(&format!("vllm:{name}_count")) > 3.0, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_socket_in_the_file_system_is_its_owners_and_goes_with_the_server() {
    use std::os::unix::{fs::PermissionsExt, net::UnixStream};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taper.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_taper"));
    command.args(["serve", "-m", "demo", "--unix-socket"]).arg(&path).stdout(std::process::Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut ready = [0; 5];
    process.stdout.take().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"unix:");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!((process.wait().unwrap().code(), path.exists()), (Some(0), false));
}

#[cfg(unix)]
#[test]
fn certificates_are_renewed_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let make = |name: &str| {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        command.args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output()
    };
    if !make("localhost").is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no openssl to make certificates with");
        return;
    }
    let pem = std::fs::read(&certificate).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_taper"));
    command.args(["serve", "-m", "demo", "--port", "0", "--tls-cert"]).arg(&certificate).arg("--tls-key").arg(&key);
    let mut process = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(process.stdout.take().unwrap()), &mut url).unwrap();
    let url = format!("{}/livez", url.trim().replace("127.0.0.1", "localhost"));
    assert!(url.starts_with("https://"), "{url}");
    let reaches = |pem: &[u8]| {
        let root = ureq::tls::Certificate::from_pem(pem).unwrap();
        let tls = ureq::tls::TlsConfig::builder().root_certs(vec![root].into()).build();
        let agent = ureq::Agent::config_builder().proxy(None).tls_config(tls).build().new_agent();
        agent.get(&url).call().is_ok()
    };
    assert!(reaches(&pem));
    make("localhost").unwrap();
    let renewed = std::fs::read(&certificate).unwrap();
    assert!(!reaches(&renewed));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    let started = Instant::now();
    while !reaches(&renewed) {
        assert!(started.elapsed() < Duration::from_secs(30), "the new certificate is served");
        std::thread::sleep(Duration::from_millis(50));
    }
    process.kill().unwrap();
    process.wait().unwrap();
}
