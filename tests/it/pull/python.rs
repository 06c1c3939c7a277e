//! One cache for taper and Python: with `TAPER_PYTHON` set to a Python that has huggingface_hub.

use super::cli::taper;
use super::fixture::NAME;
use crate::support::hub_stub::{COMMIT, Stub, noise};
use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Stdio},
};

fn python(stub: &Stub, cache: &Path, arguments: &[&str]) -> Option<Command> {
    let Some(python) = std::env::var_os("TAPER_PYTHON") else {
        eprintln!("skipped: TAPER_PYTHON names no Python");
        return None;
    };
    let mut command = Command::new(python);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/hub.py");
    command.arg(script).arg(arguments[0]).arg(cache).args(&arguments[1..]).stderr(Stdio::inherit());
    let variables: [(&str, OsString); 3] = [
        ("HF_ENDPOINT", stub.endpoint().into()),
        ("HF_HOME", cache.join("home").into()),
        ("NO_PROXY", "127.0.0.1".into()),
    ];
    command.envs(variables).env("HF_HUB_DISABLE_TELEMETRY", "1").env_remove("HF_TOKEN").env_remove("HF_HUB_OFFLINE");
    Some(command)
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn model_in_safetensors() -> Stub {
    let stub = Stub::start();
    stub.small("config.json", "{}").small("tokenizer.json", "[1]").large("model.safetensors", noise(300_000, 3));
    stub
}

#[test]
fn python_finds_what_taper_has_pulled() {
    let (stub, cache) = (model_in_safetensors(), tempfile::tempdir().unwrap());
    let names = ["config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja"];
    let arguments = [&["find", "o/r", "v1"][..], &names].concat();
    let Some(mut find) = python(&stub, cache.path(), &arguments) else { return };
    taper(&stub, cache.path(), &["pull", "o/r@v1"]).assert().success();
    let n_requests = stub.seen().len();
    let snapshot = cache.path().join("models--o--r/snapshots").join(COMMIT);
    let expected: String = names[..3].iter().map(|name| format!("{}\n", snapshot.join(name).display())).collect();
    assert_eq!(stdout(&mut find), expected + "absent\n");
    let fetch = [&["fetch", "o/r", "v1"][..], &names[..3]].concat();
    stdout(&mut python(&stub, cache.path(), &fetch).unwrap());
    assert!(stub.seen()[n_requests..].iter().all(|request| !request.storage), "Python asks for heads and no bytes");
    let scanned = stdout(&mut python(&stub, cache.path(), &["scan"]).unwrap());
    assert_eq!(scanned, format!("o/r {COMMIT} v1 3 300005\n"));
}

#[test]
fn taper_uses_what_python_has_fetched() {
    let (stub, cache) = (model_in_safetensors(), tempfile::tempdir().unwrap());
    let names = ["fetch", "o/r", "main", "config.json", "tokenizer.json", "model.safetensors"];
    let Some(mut fetch) = python(&stub, cache.path(), &names) else { return };
    stdout(&mut fetch);
    let n_requests = stub.seen().len();
    let offline = taper(&stub, cache.path(), &["pull", "o/r", "--offline"]).assert().success();
    let path = String::from_utf8(offline.get_output().stdout.clone()).unwrap();
    assert_eq!(Path::new(path.trim()), cache.path().join("models--o--r/snapshots").join(COMMIT));
    assert_eq!(stub.seen().len(), n_requests);
    taper(&stub, cache.path(), &["pull", "o/r"]).assert().success();
    assert_eq!(stub.seen().len(), n_requests + 1, "the listing, and no file");
}

#[test]
fn taper_and_python_at_once_fetch_once() {
    let (stub, cache) = (Stub::start(), tempfile::tempdir().unwrap());
    let content = noise(4 << 20, 4);
    stub.large(NAME, content.clone()).pace(1 << 20);
    let Some(mut fetch) = python(&stub, cache.path(), &["fetch", "o/r", "main", NAME]) else { return };
    let fetching = fetch.stdout(Stdio::piped()).spawn().unwrap();
    while stub.served_bytes() == 0 {
        std::thread::yield_now();
    }
    let pulled = taper(&stub, cache.path(), &["pull", "o/r"]).assert().success();
    let stderr = String::from_utf8(pulled.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("another process fetches it"), "{stderr}");
    let output = fetching.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout == pulled.get_output().stdout);
    assert_eq!(stub.served_bytes(), content.len() as u64);
    let path = String::from_utf8(output.stdout).unwrap();
    assert!(fs::read(path.trim()).unwrap() == content);
}
