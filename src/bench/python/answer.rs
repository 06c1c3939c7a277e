//! What a side says: a marked line of JSON for each event. It comes from another process and is not trusted.

use super::SideError;
use crate::TokenId;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What the lines that count begin with.
pub(super) const MARK: &str = "@taper ";

/// An event.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Answer {
    /// Packages are not there; nothing else will come.
    Missing { packages: Vec<String> },
    /// The packages are imported.
    Imported,
    /// The model is loaded.
    Loaded,
    /// The first token is chosen.
    FirstToken,
    /// The model is in the folder of the job; nothing else will come.
    Converted,
    /// All is done.
    Result(Box<Raw>),
}

impl Answer {
    /// What a side does after this event.
    pub(super) fn next_stage(&self) -> &'static str {
        match self {
            Answer::Missing { .. } | Answer::Converted | Answer::Result(_) => "ending",
            Answer::Imported => "loading the model",
            Answer::Loaded => "computing the first token",
            Answer::FirstToken => "measuring",
        }
    }
}

/// The numbers of a side as they came.
#[derive(Debug, Deserialize)]
pub(super) struct Raw {
    pub(super) tokens: Vec<TokenId>,
    pub(super) prompt_seconds: Vec<f64>,
    pub(super) generation_seconds: Vec<f64>,
    pub(super) peak_rss_bytes: Option<u64>,
    pub(super) installed_bytes: u64,
    pub(super) steps: Vec<Step>,
    pub(super) precision: String,
    pub(super) threads: usize,
    pub(super) versions: BTreeMap<String, String>,
    pub(super) system: String,
}

/// What a side thinks of one of our tokens, given all before it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Step {
    /// Its own choice.
    pub(super) best: TokenId,
    /// How much likelier that is than ours, in nats.
    pub(super) gap: f32,
    /// The log-probability of ours.
    pub(super) logprob: f32,
}

impl Raw {
    /// Refuses numbers that cannot be true.
    pub(super) fn checked(self, n_gen: usize, repetitions: usize) -> Result<Raw, SideError> {
        let wrong = |found: String| Err(SideError::Rubbish { found });
        if self.tokens.len() != n_gen || self.steps.len() != n_gen {
            let (n_tokens, n_steps) = (self.tokens.len(), self.steps.len());
            return wrong(format!("{n_tokens} tokens and {n_steps} checks instead of `{n_gen}`"));
        }
        // One token is generated in no time.
        let generation = if n_gen > 1 { &self.generation_seconds } else { &self.prompt_seconds };
        for (what, samples) in [("prompt", &self.prompt_seconds), ("generation", generation)] {
            if samples.len() != repetitions {
                return wrong(format!("{} {what} times instead of `{repetitions}`", samples.len()));
            }
            if let Some(bad) = samples.iter().find(|seconds| !(seconds.is_finite() && **seconds > 0.0)) {
                return wrong(format!("a {what} time of `{bad}` seconds"));
            }
        }
        match self.steps.iter().find(|step| !(step.gap.is_finite() && step.gap >= 0.0 && step.logprob <= 0.001)) {
            Some(step) => wrong(format!("impossible log-probabilities: `{step:?}`")),
            None => Ok(self),
        }
    }
}

/// Text of a stranger, short enough for a line and without control characters.
pub(super) fn printable(text: &str) -> String {
    const MOST: usize = 300;
    let clean: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    if text.trim().chars().nth(MOST).is_some() { clean + "…" } else { clean }
}
