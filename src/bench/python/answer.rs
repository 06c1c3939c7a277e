//! What a side is told and what it says: lines of JSON, of which those that count are marked. What comes from another process
//! is not trusted.

use super::SideError;
use crate::TokenId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the lines that count begin with.
pub(super) const MARK: &str = "@taper ";

/// What a process is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Purpose {
    /// To convert the model into the format of the side.
    Convert,
    /// To get as far as the first token.
    Start,
    /// To do it all.
    Measure,
}

/// An event.
#[derive(Debug, Deserialize, Serialize)]
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
    /// The first token was all that was wanted; nothing else will come.
    Started,
    /// The model is in the folder of the job; nothing else will come.
    Converted,
    /// All is done.
    Result(Box<Raw>),
    /// All is done, by this program.
    Reference(Box<Reference>),
}

impl Answer {
    /// What a side does after this event.
    pub(super) fn next_stage(&self) -> &'static str {
        match self {
            Answer::Missing { .. } | Answer::Started | Answer::Converted | Answer::Result(_) | Answer::Reference(_) => {
                "ending"
            }
            Answer::Imported => "loading the model",
            Answer::Loaded => "computing the first token",
            Answer::FirstToken => "measuring",
        }
    }
}

/// What this program measured in a process of its own.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Reference {
    pub(super) prompt_seconds: Vec<f64>,
    pub(super) generation_seconds: Vec<f64>,
    pub(super) peak_rss_bytes: Option<u64>,
    pub(super) threads: usize,
    pub(super) isa: Option<String>,
    pub(super) steps: Vec<OurStep>,
}

/// One of our tokens, and the likeliest in its place, with their log-probabilities.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct OurStep {
    pub(super) chosen: (TokenId, f32),
    pub(super) top: Vec<(TokenId, f32)>,
}

/// The numbers of a side as they came.
#[derive(Debug, Deserialize, Serialize)]
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
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
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
