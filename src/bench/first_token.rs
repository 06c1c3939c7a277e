//! From the start of a process to its first token, as a user of the shell feels it.

use std::{
    io::{self, Read},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Some sixteen tokens in most vocabularies.
pub const SHORT_PROMPT: &str = "Write one sentence about the weather in the mountains in the early autumn.";

/// How long `exe`, this program, takes from its start to the first byte of an answer by `model` to `prompt`, with the other
/// flags of `taper run` in `flags`. An answer that shows nothing, as a control token does, counts up to its end.
///
/// # Errors
/// When the process cannot be started, or fails.
pub fn first_token(exe: &Path, model: &str, prompt: &str, flags: &[String]) -> io::Result<Duration> {
    let mut command = Command::new(exe);
    command.args(["run", "--quiet", "--raw", "--temp", "0", "-n", "1", "--ignore-eos", "--model", model]).args(flags);
    command.arg("--").arg(prompt).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn()?;
    let mut stdout = child.stdout.take().expect("it was asked for above");
    let read = stdout.read(&mut [0; 1]);
    let elapsed = start.elapsed();
    io::copy(&mut stdout, &mut io::sink())?;
    let status = child.wait()?;
    read?;
    if status.success() { Ok(elapsed) } else { Err(io::Error::other(format!("`taper run` ended with {status}"))) }
}
