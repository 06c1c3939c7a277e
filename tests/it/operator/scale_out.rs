//! Three replicas behind nginx, with the configuration of `dist/scale-out`, and the manifests beside it.

use super::super::serve::{Server, question, with};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{
    fs,
    io::BufRead,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/scale-out");

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn replica(port: u16) -> Server {
    Server::start(&["--port", &port.to_string()])
}

/// nginx as any user, in a folder of its own.
struct Nginx {
    process: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Nginx {
    fn start(replicas: &[u16]) -> Option<Nginx> {
        let program = ["nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .find(|name| Command::new(name).arg("-v").output().is_ok_and(|output| output.status.success()))?;
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut config = fs::read_to_string(Path::new(FOLDER).join("nginx.conf")).unwrap();
        for (address, port) in ["10.0.0.1", "10.0.0.2", "10.0.0.3"].iter().zip(replicas) {
            let given = format!("{address}:8080");
            assert!(config.contains(&given));
            config = config.replace(&given, &format!("127.0.0.1:{port}"));
        }
        assert!(config.contains("listen 8000;"));
        config = config.replace("listen 8000;", &format!("listen 127.0.0.1:{port};"));
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let log = fs::File::create(folder.path().join("stderr")).unwrap();
        let mut command = Command::new(program);
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).args(["-e", "stderr", "-g", "daemon off;"]);
        let process = command.stdin(Stdio::null()).stderr(Stdio::from(log)).spawn().unwrap();
        let nginx = Nginx { process, url: format!("http://127.0.0.1:{port}"), folder };
        let started = Instant::now();
        while nginx.agent().get(format!("{}/livez", nginx.url)).call().is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "{}", nginx.log());
            thread::sleep(Duration::from_millis(50));
        }
        Some(nginx)
    }

    fn agent(&self) -> ureq::Agent {
        ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// The answer to a question, streamed or whole.
    fn ask(&self, agent: &ureq::Agent, body: &Value) -> Result<String, String> {
        let url = format!("{}/v1/chat/completions", self.url);
        let response = agent.post(&url).content_type("application/json").send(body.to_string());
        let mut response = response.map_err(|error| error.to_string())?;
        let status = response.status();
        if status != 200 {
            return Err(format!("{status}: {}", response.body_mut().read_to_string().unwrap_or_default()));
        }
        if body["stream"] != true {
            let answer = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
            let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
            return Ok(answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned());
        }
        let (mut text, mut is_done) = (String::new(), false);
        for line in std::io::BufReader::new(response.body_mut().as_reader()).lines() {
            let line = line.map_err(|error| error.to_string())?;
            match line.strip_prefix("data: ") {
                Some("[DONE]") => is_done = true,
                Some(data) => {
                    let event: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
                    text.push_str(event["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
                }
                None => {}
            }
        }
        if is_done { Ok(text) } else { Err("the stream has no end".into()) }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers when it is asked to, and not when it is killed.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, Signal::SIGTERM);
        let _ = self.process.wait();
    }
}

#[test]
fn replicas_are_restarted_one_by_one_under_load_and_no_request_fails() {
    let ports = [(); 3].map(|()| free_port());
    let mut replicas = ports.map(|port| Some(replica(port)));
    let Some(nginx) = Nginx::start(&ports) else {
        eprintln!("skipped: no nginx");
        return;
    };
    let body = |stream: bool| with(question("exit code 5"), json!({ "stream": stream, "max_tokens": 40 }));
    let expected = nginx.ask(&nginx.agent(), &body(false)).unwrap();
    let (over, n) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failed: Vec<String> = thread::scope(|scope| {
        let client = |i: usize| {
            let (agent, mut failed) = (nginx.agent(), Vec::new());
            while !over.load(Ordering::Relaxed) {
                match nginx.ask(&agent, &body(i.is_multiple_of(2))) {
                    Ok(answer) if answer == expected => _ = n.fetch_add(1, Ordering::Relaxed),
                    Ok(answer) => failed.push(format!("other answer: {answer}")),
                    Err(error) => failed.push(error),
                }
            }
            failed
        };
        let clients: Vec<_> = (0..6).map(|i| scope.spawn(move || client(i))).collect();
        for _ in 0..2 {
            for (place, port) in replicas.iter_mut().zip(ports) {
                let mut old = place.take().unwrap();
                old.signal(Signal::SIGTERM);
                assert_eq!(old.process.wait().unwrap().code(), Some(0));
                *place = Some(replica(port));
                let (started, before) = (Instant::now(), n.load(Ordering::Relaxed));
                while n.load(Ordering::Relaxed) < before + 12 && started.elapsed() < Duration::from_secs(60) {
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{} of {}: {failed:#?}\n{}", failed.len(), n.into_inner(), nginx.log());
    assert!(n.into_inner() > 60);
    // All of them have worked, and operators' paths stay inside.
    for replica in replicas.iter().flatten() {
        assert!(replica.metric("vllm:generation_tokens_total") > 0.0);
    }
    for path in ["/metrics", "/admin/reload"] {
        assert_eq!(nginx.agent().get(format!("{}{path}", nginx.url)).call().unwrap().status(), 404);
    }
}

fn manifests() -> Vec<(PathBuf, String)> {
    let files = fs::read_dir(Path::new(FOLDER).join("kubernetes")).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).unwrap());
    files.map(read).collect()
}

#[test]
fn manifests_use_flags_and_paths_that_there_are() {
    let help = assert_cmd::Command::cargo_bin("taper").unwrap().args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let server = Server::start(&[]);
    let (mut n_flags, mut n_paths, mut n_metrics) = (0, 0, 0);
    for (file, text) in manifests() {
        for line in text.lines().map(str::trim) {
            if let Some(flag) = line.strip_prefix("- --") {
                let flag = format!("--{} ", flag.split('=').next().unwrap());
                assert!(help.replace('\n', " ").contains(&flag), "{} has {flag}", file.display());
                n_flags += 1;
            }
            if let Some((_, path)) = line.split_once("path: /") {
                let path = format!("/{}", path.split([',', '}']).next().unwrap());
                assert_eq!(server.request("GET", &path, &[], b"").0, 200, "{} asks {path}", file.display());
                n_paths += 1;
            }
            for metric in line.split("vllm:").skip(1) {
                let name: String = metric.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                server.metric(&format!("vllm:{name}{{"));
                n_metrics += 1;
            }
        }
    }
    assert!(n_flags > 15 && n_paths > 5 && n_metrics > 2, "{n_flags} {n_paths} {n_metrics}");
}
