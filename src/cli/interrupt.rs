//! Ctrl-C: the first asks the work to stop, the second ends the process.

use super::exit::Exit;
use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// What comes so soon after the first is the same request: `timeout` signals a process and then its group.
const SAME: Duration = Duration::from_millis(250);

static ASKED: AtomicBool = AtomicBool::new(false);
static HANDLER: OnceLock<()> = OnceLock::new();

/// Listens for Ctrl-C and for the request to terminate.
pub(crate) fn listen() {
    HANDLER.get_or_init(|| {
        // Without a handler the system's default ends the process, which is what the user asked for.
        let mut first: Option<Instant> = None;
        let _ = ctrlc::set_handler(move || {
            let is_same = first.is_some_and(|first| first.elapsed() < SAME);
            if ASKED.swap(true, Ordering::Relaxed) && !is_same {
                std::process::exit(Exit::Interrupted as i32);
            }
            if !is_same {
                first = Some(Instant::now());
            }
        });
    });
}

/// Whether the work should stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Forgets a request that has been met.
pub(crate) fn reset() {
    ASKED.store(false, Ordering::Relaxed);
}
