//! Python's `huggingface_hub` beside taper on the same cache; skipped where it is not installed.
//!
//! `TAPER_PYTHON` names the interpreter, else `python3`.

use crate::support::hub_cache::{COMMITS, HubCache, Layout};
use std::{ffi::OsString, process::Command};
use taper::hub::{PinnedFile, PinnedModel, Pins, Prune, Target};

fn python() -> Option<OsString> {
    let python = std::env::var_os("TAPER_PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&python).args(["-c", "import huggingface_hub, tomllib"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: no Python with huggingface_hub; TAPER_PYTHON names one");
    None
}

fn run(python: &OsString, script: &str, argument: &std::path::Path) -> String {
    let output = Command::new(python).arg("-c").arg(script).arg(argument).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const SCAN: &str = "
import sys
from huggingface_hub import scan_cache_dir
info = scan_cache_dir(sys.argv[1])
for repo in sorted(info.repos, key=lambda repo: repo.repo_id):
    used = max(repo.last_accessed, repo.last_modified)
    print(repo.repo_id, repo.size_on_disk, len(repo.revisions), f'{used:.0f}')
for warning in info.warnings:
    print('warning', warning)
for file in info.incomplete_files:
    print('incomplete', file.file_path)
";

/// What `SCAN` prints, by taper.
fn scan(cache: &HubCache) -> String {
    let line = |model: &taper::hub::CachedModel| {
        let used = model.last_used.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        format!("{} {} {} {used:.0}\n", model.repo, model.size_bytes, model.revisions.len())
    };
    cache.cache().list().models.iter().map(line).collect()
}

#[cfg(unix)]
#[test]
fn python_agrees_on_sizes_and_finds_the_cache_clean_afterwards() {
    let Some(python) = python() else { return };
    let cache = HubCache::new(Layout::Links);
    cache
        .reference("o/r", "main", COMMITS[0])
        .reference("o/r", "refs/pr/1", COMMITS[2])
        .file("o/r", COMMITS[0], "r-Q4_K_M.gguf", "four bits")
        .file("o/r", COMMITS[0], "groß/r-Q8_0.gguf", "eight bits")
        .file("o/r", COMMITS[1], "r-Q4_K_M.gguf", "four bits")
        .file("o/r", COMMITS[1], "r-Q2_K.gguf", "two")
        .file("o/r", COMMITS[2], "config.json", "{}")
        .reference("o/x", "main", COMMITS[1])
        .file("o/x", COMMITS[1], "x-Q8_0.gguf", "more");
    assert_eq!(run(&python, SCAN, cache.folder.path()), scan(&cache));

    let remove = |model: &str| cache.cache().removal(&[Target::parse(model).unwrap()]).unwrap().execute().unwrap();
    for model in ["o/r:Q8_0", "o/r@refs/pr/1", "o/x"] {
        remove(model);
        assert_eq!(run(&python, SCAN, cache.folder.path()), scan(&cache), "without {model}");
    }
    cache.blob("o/r", "ab.0a1b2c3d.incomplete", "half").reference("o/r", "gone", COMMITS[2]);
    cache.reference("o/new", "main", COMMITS[0]).blob("o/new", "1.incomplete", "");
    std::fs::create_dir_all(cache.repo("o/none")).unwrap();
    assert!(run(&python, SCAN, cache.folder.path()).contains("warning"));
    cache.cache().pruning(Prune::default()).unwrap().execute().unwrap();
    let after = run(&python, SCAN, cache.folder.path());
    assert_eq!(after, scan(&cache));
    assert!(after.starts_with("o/r 9 1 "), "{after}");
}

/// `filelock` is what Python's downloads hold.
#[cfg(unix)]
#[test]
fn what_python_has_locked_is_left_alone() {
    use std::io::{BufRead, BufReader};
    let Some(python) = python() else { return };
    let cache = HubCache::new(Layout::Links);
    cache.reference("o/r", "main", COMMITS[0]).file("o/r", COMMITS[0], "r-Q4_K_M.gguf", "four bits");
    cache.write(cache.folder.path().join(".locks/models--o--r/ab.lock"), "");
    let script = "
import sys
from huggingface_hub.utils import WeakFileLock
with WeakFileLock(sys.argv[1] + '/.locks/models--o--r/ab.lock'):
    print('held', flush=True)
    sys.stdin.read()
";
    let mut child = Command::new(&python)
        .args(["-c", script])
        .arg(cache.folder.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let target = [Target::parse("o/r").unwrap()];
    let refused = cache.cache().removal(&target);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(line.trim(), "held");
    assert!(refused.unwrap_err().to_string().contains("in use"));
    cache.cache().removal(&target).unwrap().execute().unwrap();
    assert!(!cache.repo("o/r").exists());
}

#[test]
fn a_lock_file_is_toml() {
    let Some(python) = python() else { return };
    let file = |name: &str| PinnedFile { name: name.into(), size_bytes: u64::MAX >> 1, sha256: "0a".repeat(32) };
    let files = vec![file("größe \"quoted\".gguf"), file("z\u{7f}\t.gguf"), file("ü.gguf")];
    let model = |reference: &str| PinnedModel {
        reference: reference.into(),
        repo: "o/r".into(),
        commit: COMMITS[0].into(),
        files: files.clone(),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taper.lock");
    Pins { models: vec![model("o/r:Q8_0"), model("o/r")] }.write(&path).unwrap();
    let script = "
import sys, tomllib
pins = tomllib.load(open(sys.argv[1], 'rb'))
print(pins['version'], [model['reference'] for model in pins['model']], [file['name'] for file in pins['model'][0]['files']])
";
    let printed = run(&python, script, &path);
    assert_eq!(printed.trim(), "1 ['o/r', 'o/r:Q8_0'] ['größe \"quoted\".gguf', 'z\\x7f\\t.gguf', 'ü.gguf']");
}

/// Since version 2.4, blobs that were fetched through Xet are links into a store that repositories share.
#[cfg(unix)]
#[test]
fn what_python_shares_between_repositories_is_freed_with_the_last() {
    let Some(python) = python() else { return };
    let cache = HubCache::new(Layout::Links);
    let script = "
import sys
from pathlib import Path
try:
    from huggingface_hub.utils import _shared_blobs
except ImportError:
    sys.exit('no store')
for blob in Path(sys.argv[1]).glob('models--*/blobs/*'):
    size = blob.stat().st_size
    assert _shared_blobs.publish_blob_to_shared_store(
        blob_path=str(blob), xet_hash='ab' * 32, cache_dir=sys.argv[1], expected_size=size)
";
    for repo in ["o/a", "o/b"] {
        cache.reference(repo, "main", COMMITS[0]).file(repo, COMMITS[0], "x-Q8_0.gguf", "shared content");
    }
    let output = Command::new(&python).arg("-c").arg(script).arg(cache.folder.path()).output().unwrap();
    if String::from_utf8_lossy(&output.stderr).trim() == "no store" {
        return eprintln!("skipped: this version of huggingface_hub has no shared store");
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(run(&python, SCAN, cache.folder.path()), scan(&cache));
    let checks = cache.cache().checks(None).unwrap();
    assert!(checks.len() == 2 && checks.iter().all(|check| check.run(&mut |_| ()) == taper::hub::State::Sound));
    let remove = |repo: &str| cache.cache().removal(&[Target::parse(repo).unwrap()]).unwrap().execute().unwrap();
    assert_eq!(remove("o/a").freed_bytes(), 0);
    assert_eq!(run(&python, SCAN, cache.folder.path()), scan(&cache));
    assert_eq!(remove("o/b").freed_bytes(), 14);
    let left = run(
        &python,
        "
import sys
from huggingface_hub import scan_cache_dir
print(scan_cache_dir(sys.argv[1]).size_on_disk)
",
        cache.folder.path(),
    );
    assert_eq!(left.trim(), "0");
}
