//! Ctrl-C: the first asks the work to stop, the second ends the process.

use super::exit::Exit;
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

static ASKED: AtomicBool = AtomicBool::new(false);
static HANDLER: OnceLock<()> = OnceLock::new();

/// Listens for Ctrl-C and for the request to terminate.
pub(crate) fn listen() {
    HANDLER.get_or_init(|| {
        // Without a handler the system's default ends the process, which is what the user asked for.
        let _ = ctrlc::set_handler(|| {
            if ASKED.swap(true, Ordering::Relaxed) {
                std::process::exit(Exit::Interrupted as i32);
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
