//! The same work in Python: `transformers` and `llama-cpp-python`, each in a fresh process of the user's own `python3`.
//!
//! [`ours()`] has this program do a [`Job`] in a fresh process too, in which it does what [`work`] says. [`measure`] starts one [`Side`], gives it a [`Job`] — the model file, the tokens of the prompt, threads, lengths — and
//! turns whatever happens into an [`Outcome`]. A side that generated other tokens than ours gets no ratios.
//!
//! What is measured, on both sides alike: the prompt's time is from its tokens to the choice of the first new token, with
//! an empty cache; the generation's time is from there to the choice of the last, so it has one token less than were
//! generated. The time to the first token is that from the start of the process until it has chosen a token after the
//! first [`N_COLD`] tokens of the prompt, imports and loading included; the median of [`N_STARTS`] processes.

mod agreement;
mod answer;
mod error;
mod folder;
mod here;
mod ours;
mod outcome;
mod process;
mod side;
mod table;
mod task;

pub use agreement::{Agreement, NEAR_TIE_NATS};
pub use error::SideError;
pub use here::{HereError, work};
pub use ours::{Setting, ours};
pub use outcome::{Outcome, Ratios, Report};
pub use side::Side;
pub use table::{notes, table};

use answer::Purpose;
use folder::Folder;
use task::Task;

use crate::{TokenId, engine::TokenLogprobs};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// Tokens of the prompt before the first token of the time from the start of the process.
pub const N_COLD: usize = 16;

/// Processes of each side whose time to the first token is taken.
pub const N_STARTS: usize = 3;

/// What a side is to do. Its process does as much as our own numbers in [`Ours`] took.
#[derive(Clone, Debug)]
pub struct Job {
    /// The interpreter: a path, or a name that is looked for in PATH.
    pub python: PathBuf,
    /// The GGUF file.
    pub model: PathBuf,
    /// The tokens of the prompt; at least one.
    pub prompt: Vec<TokenId>,
    /// Threads that compute.
    pub threads: usize,
    /// Runs that count, after one that does not; at least one.
    pub repetitions: usize,
    /// When to give up a process of a side, from its start.
    pub timeout: Duration,
}

/// What this program did with the same job.
#[derive(Clone, Debug, Serialize)]
pub struct Ours {
    /// What the weights and the arithmetic are, such as `Q4_K_M, int8 activations`.
    pub precision: String,
    /// Threads that computed.
    pub threads: usize,
    /// The instruction set of the kernels; `None` on other devices.
    pub isa: Option<String>,
    /// Median.
    pub prompt_tokens_per_sec: f64,
    /// Each run.
    pub prompt_samples_ts: Vec<f64>,
    /// Median; `None` if only one token was generated.
    pub generation_tokens_per_sec: Option<f64>,
    /// Each run.
    pub generation_samples_ts: Vec<f64>,
    /// From the start of the process until the model was loaded.
    pub load_ms: f64,
    /// From the start of a fresh process to the first token after the first [`N_COLD`] tokens of the prompt; median.
    pub first_token_from_exec_ms: f64,
    /// Each process.
    pub first_token_samples_ms: Vec<f64>,
    /// The most memory the process had.
    pub peak_rss_bytes: Option<u64>,
    /// Size of the executable, which is all there is to install.
    pub installed_bytes: u64,
    /// The greedy tokens after the prompt, at least one, with the likeliest 20 in the place of each; a side generates as
    /// many.
    #[serde(skip)]
    pub tokens: Vec<TokenLogprobs>,
}

/// Runs one side and compares it with `ours`. `cancelled` is asked about every 50 ms whether to stop.
///
/// Weights that a side does not load as they are, as `transformers` and GGUF, are first converted by another process into
/// a temporary folder: a side is measured as its users have it.
///
/// Each process ends within the timeout of the job, whatever it does: it and all that it started in its group are killed.
pub fn measure(side: Side, job: &Job, ours: &Ours, cancelled: &dyn Fn() -> bool) -> Outcome {
    let expected: Vec<TokenId> = ours.tokens.iter().map(|step| step.chosen.token).collect();
    Outcome { side, result: report(side, job, ours, &expected, cancelled) }
}

fn report(
    side: Side,
    job: &Job,
    ours: &Ours,
    expected: &[TokenId],
    cancelled: &dyn Fn() -> bool,
) -> Result<Report, SideError> {
    let folder = if side.converts() { Folder::new().ok() } else { None };
    let task = |folder, purpose| Task { side, job, expected, folder, purpose };
    let conversion = match &folder {
        None => None,
        Some(folder) => match process::talk(task(Some(folder.path()), Purpose::Convert).call(), cancelled) {
            Ok(timeline) => Some(Ok(timeline.ended)),
            // What cannot be converted is perhaps measured as it is.
            Err(error @ (SideError::Crashed { .. } | SideError::Rubbish { .. })) => Some(Err(error)),
            Err(error) => return Err(error),
        },
    };
    let converted = folder.as_ref().filter(|_| matches!(conversion, Some(Ok(_))));
    let call = |purpose| task(converted.map(Folder::path), purpose).call();
    let timeline = process::talk(call(Purpose::Measure), cancelled)?;
    let first = timeline.first_token.unwrap_or_default();
    let mut report = outcome::report(timeline, job, ours, conversion)?;
    report.started(ours::starts(first, cancelled, || call(Purpose::Start)), ours);
    Ok(report)
}
