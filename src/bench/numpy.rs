//! The product of two square matrices in numpy, which is what people compare with.

use serde::Deserialize;
use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const SCRIPT: &str = include_str!("numpy_side.py");

/// How long Python may take: many times what slow machines need.
const PATIENCE: Duration = Duration::from_secs(180);

/// What numpy did.
#[derive(Clone, Debug, PartialEq)]
pub struct Numpy {
    /// Its version.
    pub version: String,
    /// Multiplications and additions of 32-bit floats.
    pub operations_per_sec: f64,
}

#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    version: String,
}

/// Multiplies two `n` × `n` matrices of 32-bit floats in the numpy of `python` on `n_threads` threads. `stop` is asked
/// whether to give up.
///
/// # Errors
/// Why it has no numbers, for people.
pub fn square(python: &Path, n: usize, n_threads: usize, stop: &dyn Fn() -> bool) -> Result<Numpy, String> {
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, &n.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Each is read by one of the libraries that numpy may be built with.
    for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"] {
        command.env(variable, n_threads.to_string());
    }
    let mut child = command.spawn().map_err(|error| format!("`{}` cannot be started: {error}", python.display()))?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    if !wait(&mut child, stop)? {
        let complaint = text(stderr.as_mut());
        return Err(complaint.lines().last().unwrap_or("it failed").to_owned());
    }
    let answer = text(stdout.as_mut());
    match serde_json::from_str::<Answer>(&answer) {
        Ok(Answer { seconds, version }) if seconds > 0.0 => {
            Ok(Numpy { version, operations_per_sec: 2.0 * (n as f64).powi(3) / seconds })
        }
        _ => Err("its answer makes no sense".into()),
    }
}

/// What a process has written, as far as a pipe holds it.
fn text(pipe: Option<&mut impl Read>) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is no answer.
    let _ = pipe.map(|pipe| pipe.take(1 << 16).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for the end of `child` and gives whether it succeeded; ends it if it takes too long.
fn wait(child: &mut Child, stop: &dyn Fn() -> bool) -> Result<bool, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if start.elapsed() < PATIENCE && !stop() => thread::sleep(Duration::from_millis(20)),
            other => {
                // It may have ended by itself just now.
                let _ = child.kill();
                let _ = child.wait();
                return Err(match other {
                    Err(error) => error.to_string(),
                    Ok(_) if stop() => "interrupted".into(),
                    Ok(_) => format!("no answer within {} s", PATIENCE.as_secs()),
                });
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    /// What comes of a Python that is this shell script.
    fn with(script: &str, stop: bool) -> Result<Numpy, String> {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("python3");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        square(&path, 10, 3, &|| stop)
    }

    #[test]
    fn an_answer_is_believed_and_anything_else_is_told() {
        let answer = "test $OMP_NUM_THREADS = 3 && echo '{\"seconds\": 0.5, \"version\": \"2.0\"}'";
        assert_eq!(with(answer, false), Ok(Numpy { version: "2.0".into(), operations_per_sec: 4000.0 }));
        assert_eq!(with("echo no numpy >&2; exit 1", false), Err("no numpy".into()));
        assert_eq!(with("exit 1", false), Err("it failed".into()));
        for rubbish in ["true", "echo hello", "echo '{\"seconds\": -1, \"version\": \"\"}'"] {
            assert_eq!(with(rubbish, false), Err("its answer makes no sense".into()));
        }
        assert_eq!(with("exec sleep 100", true), Err("interrupted".into()));
        assert!(
            square(Path::new("/none/python3"), 10, 1, &|| false)
                .is_err_and(|error| error.contains("cannot be started"))
        );
    }
}
