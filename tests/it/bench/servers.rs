//! `taper bench --serve` and `--vs URL` as scripts use them, against servers that behave and that do not.

use crate::support::openai_stub::{Asked, Stub, three_tokens, whole};
#[cfg(target_os = "linux")]
use crate::support::tiny::{Architecture, TinyModel, Types};
use assert_cmd::Command;
use serde_json::Value;
use std::{
    collections::HashSet,
    fs,
    net::TcpStream,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
#[cfg(target_os = "linux")]
use taper::tensor::Dtype;
use tempfile::TempDir;

const NOW: Duration = Duration::ZERO;

fn taper(flags: &[&str]) -> Command {
    let mut taper = Command::cargo_bin("taper").unwrap();
    taper.env_remove("OPENAI_API_KEY").env_remove("TAPER_MODEL").env_remove("GITHUB_STEP_SUMMARY");
    taper.arg("bench").args(flags);
    taper
}

/// `taper bench --serve` of a server, small.
fn load(url: &str, flags: &[&str]) -> Command {
    let mut taper = taper(&["--serve", url, "-n", "3", "-o", "json"]);
    taper.args(flags);
    taper
}

/// A comparison of the demo model, small, as JSON.
fn versus(flags: &[&str]) -> Command {
    let mut taper = taper(&["-m", "demo", "-p", "8", "-n", "3", "-r", "3", "-t", "2", "-o", "json"]);
    taper.args(flags);
    taper
}

/// Asserts the exit code, and gives the records and stderr.
fn records(command: &mut Command, code: i32) -> (Vec<Value>, String) {
    let output = command.assert().code(code).get_output().clone();
    let records = if output.stdout.is_empty() { Vec::new() } else { serde_json::from_slice(&output.stdout).unwrap() };
    (records, String::from_utf8(output.stderr).unwrap())
}

/// Paths and prompts of requests.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A server that answers, and what it was asked.
fn good() -> (Stub, Seen) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let stub = Stub::start(move |asked, stream| {
        seen.lock().unwrap().push((asked.path.clone(), asked.prompt().to_owned()));
        three_tokens(stream, NOW, NOW)
    });
    (stub, asked)
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn every_request_of_every_level_has_a_prompt_of_its_own() {
    let (stub, asked) = good();
    let flags = ["--concurrency", "1,2,4", "--requests", "6", "-p", "2,9"];
    let (levels, _) = records(&mut load(&stub.url, &flags), 0);
    assert_eq!(levels.len(), 3);
    let first = asked.lock().unwrap().clone();
    assert_eq!(first.len(), 1 + 3 * 6, "one request warms up");
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), first.len(), "{first:?}");
    // A server may have kept the prompts of an earlier run.
    records(&mut load(&stub.url, &flags), 0);
    let all = asked.lock().unwrap().clone();
    let again = all[first.len() + 1..].iter().filter(|prompt| first.contains(prompt));
    assert!(again.count() <= 1, "{all:?}");
    // Unless they are to be the same.
    asked.lock().unwrap().clear();
    records(load(&stub.url, &flags).args(["--seed", "7"]), 0);
    records(load(&stub.url, &flags).args(["--seed", "7"]), 0);
    let twice = asked.lock().unwrap().clone();
    assert_eq!(twice.iter().collect::<HashSet<_>>().len(), 1 + 3 * 6);
}

#[test]
fn prompts_of_a_file_are_sent_in_turn_and_it_is_said_when_they_repeat() {
    let (stub, asked) = good();
    let folder = Folder::new();
    let file = folder.file("prompts.txt", "one\ntwo\nthree\nfour\n");
    let flags = ["--concurrency", "1,2", "--prompts", &file, "-o", "table"];
    let text = |n: &str| {
        let output = taper(&["--serve", &stub.url, "--requests", n]).args(flags).assert().code(0).get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!text("2").contains("sent before"));
    let prompts: Vec<String> = asked.lock().unwrap()[1..].iter().map(|(_, prompt)| prompt.clone()).collect();
    assert_eq!(prompts[..2], ["one", "two"]);
    assert_eq!(prompts[2..].iter().collect::<HashSet<_>>(), HashSet::from([&"three".into(), &"four".into()]));
    let text = text("5");
    assert!(text.contains("6 of the 10 prompts have been sent before"), "{text}");
}

#[test]
fn chats_go_to_the_chat_and_texts_where_they_are_told_to() {
    let (stub, asked) = good();
    let folder = Folder::new();
    let chats = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}\n{\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}\n";
    let file = folder.file("chats.jsonl", chats);
    let flags = ["--concurrency", "1", "--requests", "2"];
    let (levels, _) = records(load(&stub.url, &flags).args(["--prompts", &file]), 0);
    assert_eq!((levels[0]["n_answered"].as_u64(), &levels[0]["routes"][0]), (Some(2), &"chat".into()));
    assert!(asked.lock().unwrap().drain(..).all(|(path, _)| path == "/v1/chat/completions"));
    for (flags_of_route, path) in [
        (&["--endpoint", "chat"][..], "/v1/chat/completions"),
        (&["--endpoint", "/v1/chat/completions"], "/v1/chat/completions"),
        (&["--endpoint", "completions"], "/v1/completions"),
        (&[], "/v1/completions"),
    ] {
        records(load(&stub.url, &flags).args(flags_of_route), 0);
        assert!(asked.lock().unwrap().drain(..).all(|(asked, _)| asked == path), "{path}");
    }
    let (_, error) = records(load(&stub.url, &flags).args(["--prompts", &file, "--endpoint", "completions"]), 2);
    assert!(error.contains("messages of chats"), "{error}");
    // A server that only chats.
    let only = Stub::start(|asked, stream| match asked.path.as_str() {
        "/v1/chat/completions" => three_tokens(stream, NOW, NOW),
        _ => whole(stream, 404, "{\"error\":\"no such route\"}"),
    });
    let (levels, _) = records(&mut load(&only.url, &flags), 0);
    assert_eq!((levels[0]["n_answered"].as_u64(), &levels[0]["routes"][0]), (Some(2), &"chat".into()));
}

#[test]
fn a_server_that_fails_is_a_line_and_an_exit_code_beside_its_results() {
    let flags = ["--concurrency", "2,4", "--requests", "8"];
    let busy = Stub::start(|asked, stream| match asked.is_warm_up() {
        true => three_tokens(stream, NOW, NOW),
        false => whole(stream, 503, "{\"error\":\"busy\"}"),
    });
    let (levels, error) = records(&mut load(&busy.url, &flags), 4);
    assert_eq!((levels.len(), levels[0]["failures"]["status 503"]["n"].as_u64()), (1, Some(8)));
    assert!(error.starts_with("error: ") && error.contains("answered 0 of 8 requests"), "{error}");
    assert!(error.contains("status 503") && error.trim_end().lines().count() == 1, "{error}");
    let missing = Stub::start(|_, stream| whole(stream, 404, "{\"error\":\"nothing here\"}"));
    let (levels, error) = records(&mut load(&missing.url, &flags), 4);
    assert!(levels.is_empty() && error.contains("status 404"), "{error}");
    let (_, error) = records(&mut load("http://127.0.0.1:1", &flags), 4);
    assert!(error.contains("no server answers"), "{error}");
    // One in eight is a result.
    let flaky = Stub::start(|asked, stream| match asked.prompt().len() % 8 {
        0 => whole(stream, 503, "{}"),
        _ => three_tokens(stream, NOW, NOW),
    });
    records(&mut load(&flaky.url, &flags), 0);
}

#[test]
fn requests_come_at_a_rate() {
    let (stub, _) = good();
    let (levels, _) = records(&mut load(&stub.url, &["--rate", "50,100", "--requests", "10"]), 0);
    let rates: Vec<f64> = levels.iter().map(|level| level["rate_per_sec"].as_f64().unwrap()).collect();
    assert_eq!(rates, [50.0, 100.0]);
    for level in &levels {
        assert_eq!((&level["load"], &level["arrivals"]), (&"rate".into(), &"poisson".into()));
        assert_eq!((level["n_answered"].as_u64(), &level["model"]), (Some(10), &"stub-model".into()));
        for times in ["first_token_ms", "between_tokens_ms", "end_to_end_ms"] {
            let p = ["p50", "p90", "p99"].map(|name| level[times][name].as_f64().unwrap());
            assert!(p[0] >= 0.0 && p[0] <= p[1] && p[1] <= p[2], "{times}: {p:?}");
        }
        assert!(level["requests_per_sec"].as_f64() > Some(0.0) && level["tokens_per_sec"].as_f64() > Some(0.0));
        // What it takes to repeat it.
        let named = ["url", "version", "cpu_info", "test_time"].iter().all(|name| level[*name].is_string());
        assert!(named && level["seed"].is_u64() && level["max_tokens"] == 3, "{level}");
    }
    for rate in ["0", "-1", "nan", "inf"] {
        records(&mut load(&stub.url, &[&format!("--rate={rate}")]), 2);
    }
    records(&mut load(&stub.url, &["--rate", "1", "--concurrency", "1"]), 2);
}

#[test]
fn the_key_of_a_file_is_sent() {
    let asked_with = |key: &'static str| {
        Stub::start(move |asked: &Asked, stream| match asked.key.as_deref() == Some(key) {
            true => three_tokens(stream, NOW, NOW),
            false => whole(stream, 401, "{\"error\":\"no\"}"),
        })
    };
    let stub = asked_with("bearer secret");
    let folder = Folder::new();
    let (right, wrong) = (folder.file("key", "\nsecret\n"), folder.file("other", "guess"));
    let flags = ["--concurrency", "1", "--requests", "2"];
    records(load(&stub.url, &flags).args(["--api-key-file", &right]), 0);
    records(load(&stub.url, &flags).env("OPENAI_API_KEY", "secret"), 0);
    for flags_of_key in [&["--api-key-file", &*wrong][..], &[]] {
        let (levels, error) = records(load(&stub.url, &flags).args(flags_of_key), 5);
        assert!(levels.is_empty() && error.contains("status 401") && error.contains("--api-key-file"), "{error}");
    }
    records(versus(&["--vs", &stub.url]).args(["--api-key-file", &right]), 0);
    // Found out before minutes of measurements.
    let empty = folder.file("empty", "\n");
    for command in [&mut versus(&["--vs", &stub.url]), &mut load(&stub.url, &flags)] {
        let (rows, error) = records(command.args(["--api-key-file", &empty]), 2);
        assert!(rows.is_empty() && error.contains("has no key"), "{error}");
    }
}

#[test]
fn a_server_is_asked_beside_the_tests_with_prompts_that_it_does_not_know() {
    let (stub, asked) = good();
    let (rows, _) = records(&mut versus(&["--vs", &stub.url]), 0);
    let server = rows.last().unwrap();
    assert_eq!((rows.len(), &server["vs"], &server["model"]), (3, &"server".into(), &"stub-model".into()));
    assert_eq!((server["n_prompt"].as_u64(), server["n_gen"].as_u64()), (Some(5), Some(3)));
    assert_eq!(server["first_token_samples_ms"].as_array().unwrap().len(), 3);
    let asked = asked.lock().unwrap().clone();
    assert_eq!((asked.len(), asked.iter().collect::<HashSet<_>>().len()), (4, 4), "{asked:?}");
    let chat = stub.url.clone() + "/v1/chat/completions";
    let (rows, _) = records(&mut versus(&["--vs", &chat]), 0);
    assert_eq!(rows.last().unwrap()["route"], "chat");
}

#[test]
fn what_fails_leaves_the_sections_before_and_after_it() {
    let (stub, _) = good();
    let nobody = "http://127.0.0.1:1/v1";
    for order in [[nobody, &stub.url], [&stub.url, nobody]] {
        let (rows, error) = records(&mut versus(&["--vs", order[0], "--vs", order[1]]), 4);
        assert!(error.starts_with("error: ") && error.contains("no server answers"), "{error}");
        assert_eq!(rows.len(), 4, "{rows:?}");
        assert!(rows[0]["median_ts"].is_f64() && rows[1]["median_ts"].is_f64());
        let failed = rows.iter().find(|row| row["error"].is_string()).unwrap();
        assert_eq!((&failed["vs"], &failed["url"]), (&"server".into(), &nobody.into()));
        assert!(rows.iter().any(|row| row["vs"] == "server" && row["first_token_ms"].is_f64()));
    }
    let folder = Folder::new();
    let base = folder.file("base.json", "");
    records(&mut versus(&["--vs", nobody, "--save", &base]), 4);
    let kept: Vec<Value> = serde_json::from_str(&fs::read_to_string(&base).unwrap()).unwrap();
    assert!(kept[0]["samples_ts"].is_array(), "the baseline does not depend on somebody else's server");
    let flags = ["-q", "-m", "demo", "-p", "8", "-n", "3", "-r", "1", "--vs", nobody];
    let output = taper(&flags).assert().code(4).get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("A server: http://127.0.0.1:1/v1\nnote: not measured: no server answers"), "{text}");
}

/// Sends Ctrl-C when `ready`, and gives the records.
#[cfg(unix)]
fn interrupted(command: &mut std::process::Command, ready: impl Fn() -> bool) -> (Vec<Value>, String) {
    use std::{process::Stdio, thread, time::Instant};
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !ready() && started.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(20));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    // Whoever ends a group of processes may reach this one twice, and wants its results nevertheless.
    for signal in [nix::sys::signal::Signal::SIGINT, nix::sys::signal::Signal::SIGTERM] {
        nix::sys::signal::kill(pid, signal).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{error}");
    assert!(error.contains("these are the results so far"), "{error}");
    (serde_json::from_slice(&output.stdout).unwrap(), error)
}

#[cfg(unix)]
fn plain(flags: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_taper"));
    command.env_remove("OPENAI_API_KEY").env_remove("TAPER_MODEL").arg("bench").args(flags).args(["-o", "json"]);
    command
}

/// A server that answers `n` requests and lets the others wait, and how many it has been asked.
#[cfg(unix)]
fn stalling(n: usize) -> (Stub, impl Fn() -> usize) {
    let asked = Arc::new(Mutex::new(0));
    let seen = asked.clone();
    let stub = Stub::start(move |_, stream| {
        let i = {
            let mut seen = seen.lock().unwrap();
            *seen += 1;
            *seen
        };
        if i > n {
            std::thread::sleep(Duration::from_secs(100));
        }
        three_tokens(stream, NOW, NOW)
    });
    (stub, move || *asked.lock().unwrap())
}

#[cfg(unix)]
#[test]
fn an_interrupted_load_keeps_what_was_answered() {
    let (stub, n_asked) = stalling(6);
    let mut command = plain(&["--serve", &stub.url, "--concurrency", "1,2", "--requests", "4", "-p", "4"]);
    // One to warm up, four of the first level, one of the second, and two that wait.
    let (levels, _) = interrupted(&mut command, || n_asked() >= 8);
    let answered: Vec<u64> = levels.iter().map(|level| level["n_answered"].as_u64().unwrap()).collect();
    assert_eq!((answered, &levels[1]["interrupted"]), (vec![4, 1], &true.into()));
}

#[cfg(unix)]
#[test]
fn an_interrupted_comparison_keeps_the_sections_before_it() {
    let (good, _) = good();
    let (stub, n_asked) = stalling(1);
    let flags = ["-m", "demo", "-p", "8", "-n", "3", "-r", "3", "-t", "2", "--vs", &good.url, "--vs", &stub.url];
    let (rows, _) = interrupted(&mut plain(&flags), || n_asked() >= 2);
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(rows[2]["first_token_ms"].is_f64());
    assert_eq!(rows[3]["error"], "interrupted");
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_reaches_our_own_side_of_a_comparison_with_python() {
    let folder = Folder::new();
    let model = folder.0.path().join("tiny.gguf");
    fs::write(&model, TinyModel::new(Architecture::Llama, Types::Only(Dtype::Q8_0)).gguf()).unwrap();
    let flags = ["-p", "8", "-n", "400", "-r", "5", "-t", "2", "--vs", "python", "--python", "/none/python3"];
    let (rows, _) = interrupted(plain(&flags).arg("-m").arg(&model), || has_side(std::process::id()));
    assert!(rows[0]["median_ts"].is_f64() && rows[1]["median_ts"].is_f64(), "{rows:?}");
    assert_eq!(rows.last().unwrap()["error"], "interrupted", "{rows:?}");
}

/// Whether one of the grandchildren of process `me` is the side of a comparison.
#[cfg(target_os = "linux")]
fn has_side(me: u32) -> bool {
    let parent = |pid: &str| -> Option<String> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(stat.rsplit(") ").next()?.split(' ').nth(1)?.to_owned())
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    all.into_iter().any(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let grandparent = || parent(&parent(&pid)?);
        line.contains("\0--side\0") && grandparent() == Some(me.to_string())
    })
}

#[test]
fn a_comparison_with_python_that_cannot_be_is_refused_at_once() {
    let (rows, error) = records(&mut versus(&["--vs", "python"]), 2);
    assert!(rows.is_empty() && error.contains("needs a file"), "{error}");
    for flags in [["--kernels", "--vs", "python"], ["--serve", "--vs", "python"], ["--serve", "--save", "x.json"]] {
        let (_, error) = records(&mut taper(&flags), 2);
        assert!(error.contains("cannot be used with"), "{error}");
    }
}

#[test]
fn our_own_server_says_what_it_is_and_does_not_outlive_the_benchmark() {
    let flags = ["-m", "demo", "--offline", "--requests", "6", "--concurrency", "1,3", "-p", "5", "-n", "4", "-t", "2"];
    let (levels, _) = records(taper(&["-o", "json", "--cache-type=q8_0"]).args(flags).arg("--serve"), 0);
    assert_eq!(levels.iter().map(|level| &level["concurrency"]).collect::<Vec<_>>(), [1, 3]);
    for level in &levels {
        assert_eq!((level["n_answered"].as_u64(), level["n_threads"].as_u64()), (Some(6), Some(2)));
        assert_eq!((level["model_filename"].as_str(), level["n_parallel"].as_u64()), (Some("demo"), Some(3)));
        assert!(level["isa"].is_string() && level["model_sha256"].is_string(), "{level}");
    }
    let address = levels[0]["url"].as_str().unwrap().strip_prefix("http://").unwrap().split('/').next().unwrap();
    assert!(TcpStream::connect(address).is_err(), "{address} still listens");
    let (rows, error) = records(taper(&["-m", "/none/model.gguf"]).arg("--serve"), 3);
    assert!(rows.is_empty() && error.contains("/none/model.gguf"), "{error}");
}
