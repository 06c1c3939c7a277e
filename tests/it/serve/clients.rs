//! OpenAI's own clients, and a tester of descriptions; skipped where they are not installed.
//!
//! `TAPER_PYTHON` names a Python with openai, pydantic and schemathesis, else it is `python3`; `TAPER_NODE_FOLDER` a folder
//! where `npm install openai zod` was run.

use super::Server;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// A Python that has `modules`.
fn python(modules: &str) -> Option<OsString> {
    let python = std::env::var_os("TAPER_PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: no Python with {modules}; TAPER_PYTHON names one");
    None
}

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

fn succeeds(command: &mut Command) {
    let output = command.env_remove("TAPER_MODEL").output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{error}");
}

#[test]
fn openais_python_client_works_unchanged() {
    let Some(python) = python("openai, pydantic") else { return };
    succeeds(Command::new(python).arg(reference("openai_client.py")).arg(env!("CARGO_BIN_EXE_taper")));
}

#[test]
fn openais_javascript_client_works_unchanged() {
    let Some(folder) = std::env::var_os("TAPER_NODE_FOLDER") else {
        return eprintln!("skipped: no openai for JavaScript; TAPER_NODE_FOLDER names a folder that has it");
    };
    succeeds(Command::new("node").arg(reference("openai_client.mjs")).arg(env!("CARGO_BIN_EXE_taper")).arg(folder));
}

#[test]
fn the_server_is_as_its_description_says() {
    let Some(python) = python("schemathesis") else { return };
    let server = Server::start(&["--ctx-size", "64"]);
    let description = format!("{}/openapi.json", server.url);
    succeeds(
        Command::new(python)
            .args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"])
            .arg("--config-file")
            .arg(reference("schemathesis.toml"))
            .args(["run", "--checks", "all", "--max-examples", "40", "--seed", "1"])
            .arg(description)
            .current_dir(std::env::temp_dir()),
    );
}
