//! What a pull shows while it works: bars on a terminal, a line now and then elsewhere, or events.

use super::{interrupt, output::Output};
use crate::hub::pull::{Event, Watch};
use indicatif::{DecimalBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Shows events.
pub(crate) struct Progress<'a> {
    output: &'a Output,
    how: How,
    state: Mutex<State>,
}

enum How {
    Bars(MultiProgress),
    Lines,
    Events,
    Silent,
}

/// Of the file that is being fetched, and of all.
#[derive(Default)]
struct State {
    file: Option<File>,
    /// Over all files of a model, if there are several.
    total: Option<ProgressBar>,
    /// Missing bytes of files that are done.
    past_bytes: u64,
    n_files: usize,
}

struct File {
    started: Instant,
    told: Instant,
    /// What was there at the start.
    first_bytes: u64,
    bar: Option<ProgressBar>,
}

/// Between lines where there is no terminal.
const LINES: Duration = Duration::from_secs(5);
/// Between events of progress.
const EVENTS: Duration = Duration::from_secs(1);
const BAR: &str = "{msg} {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";

impl<'a> Progress<'a> {
    /// For people, on stderr.
    pub(crate) fn on_stderr(output: &'a Output) -> Progress<'a> {
        let how = match output.bars() {
            Some(bars) => How::Bars(bars),
            None if output.is_quiet() => How::Silent,
            None => How::Lines,
        };
        Progress { output, how, state: Mutex::default() }
    }

    /// For programs, on stdout, a JSON object a line.
    pub(crate) fn as_events(output: &'a Output) -> Progress<'a> {
        Progress { output, how: How::Events, state: Mutex::default() }
    }

    fn note(&self, text: &str) {
        match &self.how {
            How::Bars(bars) => bars.suspend(|| self.output.note(text)),
            How::Lines => self.output.note(text),
            How::Events | How::Silent => {}
        }
    }

    fn bar(&self, name: &str, size_bytes: u64, at: u64) -> Option<ProgressBar> {
        let How::Bars(bars) = &self.how else { return None };
        let style = ProgressStyle::with_template(BAR).expect("the template above is well formed");
        let bar =
            bars.add(ProgressBar::new(size_bytes).with_style(style).with_message(shortened(name)).with_position(at));
        // What was there at the start says nothing about the rate.
        bar.tick();
        bar.reset_eta();
        Some(bar)
    }

    fn planned(&self, state: &mut State, event: &Event<'_>) {
        let Event::Planned { repo, commit, n_files, missing_bytes, .. } = *event else { return };
        *state = State { n_files, ..State::default() };
        if missing_bytes == 0 {
            return;
        }
        let files = if n_files == 1 { "1 file".into() } else { format!("{n_files} files") };
        let commit: String = commit.chars().take(12).collect();
        self.note(&format!("fetching {} of {files} of {repo} at {commit}", DecimalBytes(missing_bytes)));
        if n_files > 1 {
            state.total = self.bar("all files", missing_bytes, 0);
        }
    }

    fn progressed(&self, state: &mut State, name: &str, size_bytes: u64, done_bytes: u64) {
        let (past_bytes, total) = (state.past_bytes, state.total.as_ref());
        let Some(file) = &mut state.file else { return };
        let fetched = done_bytes.saturating_sub(file.first_bytes);
        file.bar.iter().for_each(|bar| bar.set_position(done_bytes));
        total.into_iter().for_each(|bar| bar.set_position(past_bytes + fetched));
        if !matches!(self.how, How::Lines) || file.told.elapsed() < LINES {
            return;
        }
        file.told = Instant::now();
        let per_sec = fetched as f64 / file.started.elapsed().as_secs_f64();
        let left = match per_sec {
            0.0 => "stalled".into(),
            _ => format!("{} left", HumanDuration(Duration::from_secs_f64((size_bytes - done_bytes) as f64 / per_sec))),
        };
        let (done, size, rate) = (DecimalBytes(done_bytes), DecimalBytes(size_bytes), DecimalBytes(per_sec as u64));
        self.note(&format!("{name}: {done} of {size}, {rate}/s, {left}"));
    }

    fn finished(&self, state: &mut State, name: &str, size_bytes: u64) {
        // A file that was in the cache has not started.
        let Some(file) = state.file.take() else { return };
        state.past_bytes += size_bytes.saturating_sub(file.first_bytes);
        file.bar.iter().for_each(|bar| bar.finish_and_clear());
        match &state.total {
            Some(total) if total.length() == Some(state.past_bytes) => total.finish_and_clear(),
            Some(total) => total.set_position(state.past_bytes),
            None if state.n_files > 1 => self.note(&format!("{name}: done")),
            None => {}
        }
    }

    fn event(&self, event: &Event<'_>) {
        if let Event::Progress { .. } = event {
            let mut state = self.state();
            match &mut state.file {
                Some(file) if file.told.elapsed() >= EVENTS => file.told = Instant::now(),
                _ => return,
            }
        }
        // If nobody reads any more, the end of the pull tells.
        let _ = self.output.json(event);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Progress<'_> {
    fn tell(&self, event: &Event<'_>) {
        match *event {
            Event::Planned { .. } => self.planned(&mut self.state(), event),
            Event::Started { file, size_bytes, done_bytes } => {
                let bar = self.bar(file, size_bytes, done_bytes);
                let now = Instant::now();
                let before = self.state().file.replace(File { started: now, told: now, first_bytes: done_bytes, bar });
                before.and_then(|file| file.bar).inspect(ProgressBar::finish_and_clear);
                if done_bytes > 0 {
                    self.note(&format!("{file}: {} are there already, going on", DecimalBytes(done_bytes)));
                }
            }
            Event::Progress { file, size_bytes, done_bytes } => {
                self.progressed(&mut self.state(), file, size_bytes, done_bytes);
            }
            Event::Waiting { file } => self.note(&format!("{file}: another process fetches it, waiting for that")),
            Event::Retrying { what, reason, wait } => {
                self.note(&format!("{what}: {reason}; trying again in {:.1} s", wait.as_secs_f64()));
            }
            Event::Restarted { file } => {
                self.note(&format!("{file}: what an earlier attempt had left was wrong, fetching all of it anew"));
            }
            Event::Finished { file, size_bytes } => self.finished(&mut self.state(), file, size_bytes),
        }
        if matches!(self.how, How::Events) {
            self.event(event);
        }
    }

    fn stopped(&self) -> bool {
        interrupt::asked()
    }
}

/// The end of a long name, which tells files apart.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 36;
    let n_chars = name.chars().count();
    if n_chars <= LONGEST {
        name.into()
    } else {
        format!("…{}", name.chars().skip(n_chars - LONGEST + 1).collect::<String>())
    }
}
