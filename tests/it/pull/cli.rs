//! Pulling as users see it: streams, exit codes, events.

use super::fixture::NAME;
use crate::support::hash::sha256;
use crate::support::hub_stub::{COMMIT, Fault, Stub, noise};
use crate::support::tiny::{Architecture, TinyModel, Types};
use assert_cmd::Command;
use serde_json::Value;
use std::{fs, path::Path};
use taper::tensor::Dtype;
use tempfile::TempDir;

/// `taper ARGUMENTS`, with a cache of its own, the stub as the Hub and nothing else of the environment.
pub(super) fn taper(stub: &Stub, cache: &Path, arguments: &[&str]) -> Command {
    let mut taper = Command::cargo_bin("taper").unwrap();
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HF_") || name.to_string_lossy().to_ascii_lowercase().ends_with("_proxy")
        {
            taper.env_remove(name);
        }
    }
    taper.env("HF_ENDPOINT", stub.endpoint()).env("HF_HOME", cache.join("home")).env("HF_HUB_CACHE", cache);
    taper.env_remove("TAPER_MODEL").args(arguments);
    taper
}

/// Exit code, stdout, stderr.
pub(super) fn outcome(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn example() -> (Stub, TempDir) {
    let stub = Stub::start();
    stub.large(NAME, TinyModel::new(Architecture::Llama, Types::Only(Dtype::Q8_0)).gguf());
    stub.large("r-Q8_0-00001-of-00002.gguf", noise(700_000, 1)).large("r-Q8_0-00002-of-00002.gguf", noise(300, 2));
    (stub, tempfile::tempdir().unwrap())
}

#[test]
fn the_last_line_of_stdout_is_the_path() {
    let (stub, cache) = example();
    let (code, stdout, stderr) = outcome(&mut taper(&stub, cache.path(), &["pull", "o/r", "o/r:Q8_0@v1"]));
    assert_eq!(code, 0, "{stderr}");
    let snapshot = cache.path().join("models--o--r/snapshots").join(COMMIT);
    let paths = [snapshot.join(NAME), snapshot.join("r-Q8_0-00001-of-00002.gguf")];
    assert_eq!(stdout, format!("{}\n{}\n", paths[0].display(), paths[1].display()));
    assert!(stderr.contains("fetching 700.30 kB of 2 files of o/r at 0123456789ab"), "{stderr}");
    assert_eq!(fs::read(&paths[1]).unwrap(), noise(700_000, 1));

    let n_requests = stub.seen().len();
    let (code, stdout, stderr) = outcome(&mut taper(&stub, cache.path(), &["pull", "o/r:Q8_0", "--offline"]));
    assert_eq!((code, stdout, stderr.as_str()), (0, format!("{}\n", paths[1].display()), ""));
    assert_eq!(stub.seen().len(), n_requests, "offline is offline");
    let (code, _, stderr) = outcome(&mut taper(&stub, cache.path(), &["pull", "-q", "o/r"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
}

#[test]
fn events_are_a_line_each_and_the_last_has_the_path() {
    let (stub, cache) = example();
    stub.faults([Fault::Status(503, Some("0".into()))]);
    let (code, stdout, stderr) = outcome(&mut taper(&stub, cache.path(), &["pull", "--json", "o/r"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["planned", "started", "retrying", "finished", "done"]);
    assert_eq!((&events[0]["n_files"], &events[0]["size_bytes"]), (&1.into(), &events[0]["missing_bytes"]));
    assert_eq!((&events[2]["wait_seconds"], &events[3]["file"]), (&0.0.into(), &NAME.into()));
    assert!(Path::new(events[4]["path"].as_str().unwrap()).exists());
}

#[test]
fn a_dry_run_tells_what_would_be_fetched() {
    let (stub, cache) = example();
    let (code, stdout, _) = outcome(&mut taper(&stub, cache.path(), &["pull", "--dry-run", "o/r:Q8_0"]));
    assert_eq!(code, 0);
    assert!(stdout.contains("700.00 kB  r-Q8_0-00001-of-00002.gguf\n"), "{stdout}");
    assert!(stdout.ends_with("700.30 kB  in all, 700.30 kB to fetch\n"), "{stdout}");
    assert!(!cache.path().join("models--o--r").exists(), "nothing is made");
    taper(&stub, cache.path(), &["pull", "o/r:r-Q8_0-00001-of-00002.gguf"]).assert().success();
    let (_, stdout, _) = outcome(&mut taper(&stub, cache.path(), &["pull", "--dry-run", "--json", "o/r:Q8_0"]));
    let plan: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&plan["missing_bytes"], &plan["files"][0]["cached_bytes"]), (&0.into(), &700_000.into()));
    assert_eq!(plan["files"][1]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn each_failure_has_its_exit_code() {
    let (stub, cache) = example();
    let fails = |arguments: &[&str], expected: i32, part: &str| {
        let (code, stdout, stderr) = outcome(&mut taper(&stub, cache.path(), arguments));
        assert_eq!((code, stdout.as_str()), (expected, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains("error: ") && stderr.contains(part), "{stderr}");
    };
    fails(&["pull", "demo"], 2, "inside the binary");
    fails(&["pull", "./x.gguf"], 2, "is a path");
    fails(&["pull", "o/r", "--token-file", "/nowhere/token"], 2, "`/nowhere/token` cannot be read");
    fails(&["pull", "o/x"], 3, "there is no model `o/x`");
    fails(&["pull", "o/r:Q2_K"], 3, "its GGUF files: ");
    fails(&["pull", "o/r@v7"], 3, "no revision `v7`");
    fails(&["pull", "o/r", "--offline"], 3, "hint: download it with `taper pull o/r`");
    fails(&["run", "-m", "o/r", "--offline", "x"], 3, "is not in the cache");
    stub.always(Fault::Status(400, None));
    fails(&["pull", "o/r"], 4, "answers 400 Bad Request");
    stub.always(Fault::Flip);
    fails(&["pull", "o/r"], 6, "arrived damaged: its SHA-256 is");
    stub.guard("hf_right", "GatedRepo");
    fails(&["pull", "o/r"], 5, "ask for access at http://127.0.0.1");
    fails(&["run", "-m", "o/r", "x"], 5, "ask for access at http://127.0.0.1");
}

#[test]
fn the_token_comes_from_a_file_or_the_environment() {
    let (stub, cache) = example();
    stub.guard("hf_right", "GatedRepo");
    let (wrong, right) = (cache.path().join("wrong"), cache.path().join("home/token"));
    fs::create_dir_all(right.parent().unwrap()).unwrap();
    fs::write(&wrong, "hf_wrong").unwrap();
    fs::write(&right, "hf_right\n").unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    taper(&stub, cache.path(), &["pull", "o/r", "--token-file", &path(&wrong)]).assert().code(5);
    taper(&stub, cache.path(), &["pull", "o/r"]).env("HF_TOKEN", "hf_wrong").assert().code(5);
    taper(&stub, cache.path(), &["pull", "o/r"]).env("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1").assert().code(5);
    let (code, _, stderr) = outcome(&mut taper(&stub, cache.path(), &["pull", "-vv", "o/r"]));
    assert_eq!((code, stderr.contains("hf_right")), (0, false), "{stderr}");
}

#[test]
fn run_fetches_what_is_missing_and_asks_nobody_for_what_is_there() {
    let (stub, cache) = example();
    let run = ["run", "-m", "o/r", "--json", "-n", "2", "--ignore-eos", "hello"];
    let (code, stdout, stderr) = outcome(&mut taper(&stub, cache.path(), &run));
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["model"]["revision"], COMMIT);
    assert!(stderr.contains("note: fetching"), "{stderr}");
    let n_requests = stub.seen().len();
    let (code, _, stderr) = outcome(&mut taper(&stub, cache.path(), &run));
    assert_eq!((code, stderr.contains("fetching"), stub.seen().len()), (0, false, n_requests));
    let (code, stdout, _) = outcome(&mut taper(&stub, cache.path(), &["show", "o/r@v1"]));
    assert_eq!((code, stdout.contains("llama")), (0, true));
}

#[test]
fn a_lock_file_pins_what_is_pulled() {
    let (stub, cache) = example();
    let lock = cache.path().join("taper.lock");
    let name = lock.to_str().unwrap();
    taper(&stub, cache.path(), &["pull", "--lock", name, "o/r", "o/r:Q8_0"]).assert().success();
    let text = fs::read_to_string(&lock).unwrap();
    let hash = sha256(noise(700_000, 1));
    assert!(text.contains(COMMIT) && text.contains(&hash), "{text}");

    let fresh = tempfile::tempdir().unwrap();
    taper(&stub, fresh.path(), &["run", "--locked", name, "-m", "o/r", "-n", "1", "hello"]).assert().success();
    taper(&stub, fresh.path(), &["pull", "--locked", name, "o/r:Q8_0"]).assert().success();
    taper(&stub, fresh.path(), &["pull", "--locked", name, "o/r@v1"]).assert().code(6);
    let other = "0".repeat(64);
    fs::write(&lock, text.replace(&hash, &other)).unwrap();
    let (code, stdout, stderr) = outcome(&mut taper(&stub, fresh.path(), &["pull", "--locked", name, "o/r:Q8_0"]));
    assert_eq!((code, stdout.as_str()), (6, ""));
    assert!(
        [hash.as_str(), &other, "r-Q8_0-00001-of-00002.gguf"].iter().all(|part| stderr.contains(*part)),
        "{stderr}"
    );
}
