//! A side in its process: started, listened to, and killed with all that it started.

use super::{
    SideError,
    answer::{Answer, MARK, printable},
};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread,
    time::{Duration, Instant},
};

/// How often to look whether to stop.
const TICK: Duration = Duration::from_millis(50);
/// How long a process may take to end after it has closed its output.
const GRACE: Duration = Duration::from_secs(2);
/// The longest line that is read; a result of 100,000 tokens has less.
const MAX_LINE_BYTES: u64 = 16 << 20;
/// The most of a line of standard error that is kept.
const MAX_MESSAGE_BYTES: u64 = 4096;

/// What a side said, and when after the start of its process.
pub(super) struct Timeline {
    pub(super) imported: Option<Duration>,
    pub(super) loaded: Option<Duration>,
    pub(super) first_token: Option<Duration>,
    /// When it was done.
    pub(super) ended: Duration,
    /// What it said then.
    pub(super) last: Answer,
}

/// A process to start.
pub(super) struct Call<'a> {
    pub(super) program: &'a Path,
    /// The program with its arguments and environment.
    pub(super) command: Command,
    /// What it is told: a line.
    pub(super) job: String,
    /// When to give it up, from its start.
    pub(super) timeout: Duration,
}

/// What the thread that reads standard output passes on.
enum Heard {
    Answer(Duration, Answer),
    /// A marked line that is no answer.
    Malformed(String),
    /// The first line without a mark.
    Stray(String),
}

/// Starts a side with its job and listens until it is done.
pub(super) fn talk(call: Call<'_>, cancelled: &dyn Fn() -> bool) -> Result<Timeline, SideError> {
    let Call { program, mut command, job, timeout } = call;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C on the terminal is for us alone.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let start = Instant::now();
    let no_program = |source| SideError::NoPython { python: program.into(), source };
    let mut process = Process(command.spawn().map_err(no_program)?);
    let stdin = process.0.stdin.take().expect("standard input is a pipe");
    let stdout = process.0.stdout.take().expect("standard output is a pipe");
    let stderr = process.0.stderr.take().expect("standard error is a pipe");
    // The threads end when the pipes do; nobody waits for them, since what a process has started may keep its pipes open.
    let _end_of_job = send(stdin, job);
    let (heard, answers) = mpsc::sync_channel(16);
    thread::spawn(move || listen(stdout, start, &heard));
    let (said, complaints) = mpsc::sync_channel(0);
    thread::spawn(move || last_lines(stderr, &said));
    let mut talk = Talk { program, timeout, process, answers, complaints, start, cancelled };
    talk.timeline()
}

/// A talk that is going on.
struct Talk<'a> {
    program: &'a Path,
    timeout: Duration,
    process: Process,
    answers: Receiver<Heard>,
    complaints: Receiver<String>,
    start: Instant,
    cancelled: &'a dyn Fn() -> bool,
}

impl Talk<'_> {
    fn timeline(&mut self) -> Result<Timeline, SideError> {
        let (mut imported, mut loaded, mut first_token) = (None, None, None);
        let mut stage = "importing its packages";
        let mut stray = None;
        loop {
            let (at, answer) = match self.answers.recv_timeout(TICK) {
                Ok(Heard::Answer(at, answer)) => (at, answer),
                Ok(Heard::Malformed(found)) => return Err(SideError::Rubbish { found }),
                Ok(Heard::Stray(line)) => {
                    stray = Some(line);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.look_up(stage)?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended(stage, stray)),
            };
            self.look_up(stage)?;
            stage = answer.next_stage();
            match answer {
                Answer::Missing { packages } => {
                    let packages = packages.iter().map(|name| printable(name)).collect();
                    return Err(SideError::Missing { python: self.program.into(), packages });
                }
                Answer::Imported => imported = Some(at),
                Answer::Loaded => loaded = Some(at),
                Answer::FirstToken => first_token = Some(at),
                last => return Ok(Timeline { imported, loaded, first_token, ended: at, last }),
            }
        }
    }

    fn look_up(&self, stage: &'static str) -> Result<(), SideError> {
        if (self.cancelled)() {
            return Err(SideError::Interrupted);
        }
        if self.start.elapsed() > self.timeout {
            return Err(SideError::Timeout { timeout: self.timeout, stage });
        }
        Ok(())
    }

    /// Why a process that has closed its output has no result.
    fn ended(&mut self, stage: &'static str, stray: Option<String>) -> SideError {
        let status = self.process.status_within(GRACE);
        let message = self.complaints.recv_timeout(GRACE).unwrap_or_default();
        match status {
            Some(status) if status.success() => SideError::Rubbish {
                found: match stray {
                    Some(line) => format!("`{line}`"),
                    None => "nothing at all".into(),
                },
            },
            Some(status) => SideError::Crashed { stage, status: status.to_string(), message },
            None => SideError::Crashed { stage, status: "its output closed".into(), message },
        }
    }
}

/// Writes the job and keeps the pipe open until the handle is dropped: a process that outlives us sees it close.
fn send(mut stdin: ChildStdin, line: String) -> mpsc::Sender<()> {
    let (handle, end) = mpsc::channel::<()>();
    thread::spawn(move || {
        // A process that does not take its job shows it by its answers.
        let _ = stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush());
        let _ = end.recv();
    });
    handle
}

/// Passes on what matters of standard output, to its end or until nobody listens.
fn listen(stdout: impl Read, start: Instant, heard: &SyncSender<Heard>) {
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    let mut strays = 0;
    while let Ok(1..) = bounded_line(&mut reader, MAX_LINE_BYTES, &mut line) {
        let at = start.elapsed();
        let text = String::from_utf8_lossy(&line);
        let message = match text.strip_prefix(MARK) {
            Some(json) => match serde_json::from_str(json) {
                Ok(answer) => Heard::Answer(at, answer),
                Err(error) => Heard::Malformed(format!("`{}`: {error}", printable(json))),
            },
            None if strays == 0 && !text.trim().is_empty() => {
                strays += 1;
                Heard::Stray(printable(&text))
            }
            None => continue,
        };
        if heard.send(message).is_err() {
            return;
        }
    }
}

/// Reads standard error to its end and says the last line that is neither empty nor a hint.
fn last_lines(stderr: impl Read, said: &SyncSender<String>) {
    let mut reader = BufReader::new(stderr);
    let (mut line, mut last) = (Vec::new(), String::new());
    while let Ok(1..) = bounded_line(&mut reader, MAX_MESSAGE_BYTES, &mut line) {
        // Progress bars go back to the start of their line.
        let text = String::from_utf8_lossy(&line);
        let says = |part: &&str| !part.trim().is_empty() && !part.starts_with("hint:");
        if let Some(part) = text.split('\r').rfind(says) {
            last = printable(part);
        }
    }
    let _ = said.send(last);
}

/// Reads a line, or as much of it as is allowed; the number of its bytes is 0 at the end.
fn bounded_line(reader: &mut impl BufRead, most: u64, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    reader.take(most).read_until(b'\n', line)
}

/// A process that does not outlive this value, nor do those of its group.
struct Process(Child);

impl Process {
    /// Its status, if it ends soon enough.
    fn status_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if start.elapsed() < limit => thread::sleep(TICK / 5),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it has gone already. Its number is not another's so soon: systems give them out in turn.
        #[cfg(unix)]
        if let Ok(id) = i32::try_from(self.0.id()) {
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
