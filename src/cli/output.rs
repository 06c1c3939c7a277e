//! The only place that prints. stdout carries the answer, stderr the talk.

use super::exit::Exit;
use clap::error::ErrorKind;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, SystemTime},
};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(200);

/// Whether to color what a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Even into a file
    Always,
    /// Never
    Never,
}

/// Where a command's output goes.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    quiet: bool,
    color_stderr: bool,
}

impl Output {
    pub(crate) fn new(quiet: bool, color: ColorChoice) -> Output {
        let wanted = match color {
            ColorChoice::Auto => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            ColorChoice::Always => return Output { quiet, color_stderr: true },
            ColorChoice::Never => false,
        };
        Output { quiet, color_stderr: wanted && io::stderr().is_terminal() }
    }

    /// Writes a part of the answer, at once.
    pub(crate) fn answer(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Writes bytes to stdout as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Writes a value as JSON on a line of its own.
    pub(crate) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string(value)?;
        Ok(self.answer(&(text + "\n"))?)
    }

    /// Writes a part of a model's thinking to stderr.
    pub(crate) fn thinking(&self, text: &str) {
        if !self.quiet {
            self.talk(&self.styled("2", text));
        }
    }

    /// Tells something that the answer does not show.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.talk(&format!("{} {text}\n", self.styled("36", "note:")));
        }
    }

    /// Says what the user has just asked for, to stderr.
    pub(crate) fn say(&self, text: &str) {
        self.talk(text);
    }

    /// A bar on stderr that counts to `n`, where that is a terminal; it appears only if the work takes a while.
    pub(crate) fn progress(&self, what: &'static str, n: usize) -> ProgressBar {
        self.bar("{msg} {bar:30} {pos}/{len} {eta}", what, Some(n as u64))
    }

    /// The same for bytes, with their rate.
    pub(crate) fn progress_bytes(&self, what: &'static str, n: u64) -> ProgressBar {
        self.bar("{msg} {bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}", what, Some(n))
    }

    /// Whether ages are for somebody who reads them now; times are for all others.
    pub(crate) fn shows_ages(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// A spinner on stderr, where that is a terminal; it appears only if the work takes a while.
    pub(crate) fn spinner(&self, what: &'static str) -> ProgressBar {
        let bar = self.bar("{spinner} {msg} {elapsed}", what, None);
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        bar
    }

    /// Several bars on stderr; `None` where that is no terminal or nothing is to be said.
    pub(crate) fn bars(&self) -> Option<MultiProgress> {
        let shown = !self.quiet && io::stderr().is_terminal();
        shown.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5)))
    }

    /// Whether nothing but the answer and errors is wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    fn bar(&self, template: &str, what: &'static str, n: Option<u64>) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(template).expect("the templates of this file are well formed");
        let target = ProgressDrawTarget::stderr_with_hz(5);
        ProgressBar::with_draw_target(n, target).with_style(style).with_message(what)
    }

    /// Reports an error, once, and gives the exit code for it. A closed pipe is no error.
    pub(crate) fn report(&self, error: &anyhow::Error) -> Exit {
        let closed = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        };
        if error.chain().any(closed) {
            return Exit::Done;
        }
        let mut text = String::new();
        for cause in error.chain().map(ToString::to_string) {
            // A cause that its consequence quotes is not told twice.
            if text.is_empty() {
                text = cause;
            } else if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        self.talk(&format!("{} {}\n", self.styled("1;31", "error:"), text.trim_end()));
        Exit::of(error)
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.color_stderr { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Writes to stderr. If that is closed there is nobody to tell.
    fn talk(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}

/// What a terminal must not get from a stranger's file.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// How long ago a time was, in words.
pub(crate) fn age(time: SystemTime, now: SystemTime) -> String {
    const UNITS: [(u64, &str); 6] = [
        (365 * 86400, "year"),
        (30 * 86400, "month"),
        (7 * 86400, "week"),
        (86400, "day"),
        (3600, "hour"),
        (60, "minute"),
    ];
    // A clock that was put back leaves times to come.
    let seconds = now.duration_since(time).map_or(0, |age| age.as_secs());
    match UNITS.into_iter().find(|(length, _)| seconds >= *length) {
        None => "just now".into(),
        Some((length, unit)) => {
            let n = seconds / length;
            format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" })
        }
    }
}

/// Reports a command line that cannot be parsed, or prints the help or version that it asks for.
pub(crate) fn report_usage(error: &clap::Error) -> Exit {
    let asked_for = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
    if asked_for.contains(&error.kind()) {
        // A closed pipe is no error, and nothing else can be done about a broken one.
        let _ = error.print();
        return Exit::Done;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return Exit::Usage;
    }
    Output::new(false, ColorChoice::Auto).talk(&one_line(&error.to_string()));
    Exit::Usage
}

/// clap's report as a line, with its tips as hints.
fn one_line(report: &str) -> String {
    let mut error = String::new();
    let mut hints = Vec::new();
    for line in report.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            continue;
        }
        match line.strip_prefix("tip: ") {
            Some(tip) => hints.push(format!("hint: {tip}\n")),
            None if error.is_empty() => error.push_str(line),
            None => error = format!("{error} {line}"),
        }
    }
    if hints.is_empty() {
        hints.push("hint: `taper --help` and `taper COMMAND --help` tell what there is\n".into());
    }
    format!("{error}\n{}", hints.concat())
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// An object a line
    Json,
}

/// Which logs are written, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Logs {
    /// Levels of modules, as `tracing_subscriber`'s filters have them.
    pub(crate) filter: &'static str,
    pub(crate) format: LogFormat,
    pub(crate) with_time: bool,
}

/// Sends logs to stderr.
pub(crate) fn start_logging(logs: Logs) {
    let ansi = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(logs.filter).with_writer(io::stderr).with_ansi(ansi);
    match (logs.format, logs.with_time) {
        (LogFormat::Json, _) => builder.json().flatten_event(true).with_current_span(false).init(),
        (LogFormat::Text, true) => builder.init(),
        (LogFormat::Text, false) => builder.without_time().init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let now = SystemTime::now();
        for (seconds, expected) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (7199, "1 hour ago"),
            (3 * 86400, "3 days ago"),
            (20 * 86400, "2 weeks ago"),
            (364 * 86400, "12 months ago"),
            (800 * 86400, "2 years ago"),
        ] {
            assert_eq!(age(now - Duration::from_secs(seconds), now), expected);
        }
        assert_eq!(age(now + Duration::from_secs(99), now), "just now");
    }

    #[test]
    fn a_wrong_flag_is_one_line_with_a_hint() {
        let report = "error: unexpected argument '--tmep' found\n\n  tip: a similar argument exists: '--temp'\n\n\
                      Usage: taper run --temp <F> [PROMPT]...\n\nFor more information, try '--help'.\n";
        let expected = "error: unexpected argument '--tmep' found\nhint: a similar argument exists: '--temp'\n";
        assert_eq!(one_line(report), expected);
    }
}
