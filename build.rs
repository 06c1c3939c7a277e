//! Tells the program which commit it is built from, where that can be known: reports of benchmarks name it.
#![allow(clippy::print_stdout, reason = "this is how to talk to cargo")]

use std::{env, path::Path, process::Command};

/// What git answers here.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The commit, and whether the files are others than its own; `None` outside of our repository.
fn commit() -> Option<String> {
    // A copy of the sources may lie in somebody else's.
    let root = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&root).canonicalize().ok()? != Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().ok()? {
        return None;
    }
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let mark = if changes.is_empty() { "" } else { "-dirty" };
    Some(git(&["rev-parse", "--short=12", "HEAD"])? + mark)
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=GIT_COMMIT");
    // Who builds for tests need not do so again for each commit.
    if env::var("PROFILE").as_deref() != Ok("release") || env::var_os("GIT_COMMIT").is_some() {
        return;
    }
    let Some(commit) = commit() else { return };
    println!("cargo::rustc-env=GIT_COMMIT={commit}");
    for path in ["src", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
}
