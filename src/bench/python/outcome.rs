//! What came of a side.

use super::{
    Agreement, Job, Ours, Side, SideError, agreement,
    answer::{Answer, printable},
    process::Timeline,
};
use crate::{TokenId, bench::stats};
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, time::Duration};

/// A side and its numbers, or why it has none.
#[derive(Debug)]
pub struct Outcome {
    /// Which.
    pub side: Side,
    /// Its numbers.
    pub result: Result<Report, SideError>,
}

/// The numbers of a side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What it says its weights are.
    pub precision: String,
    /// Threads it says it computed with.
    pub threads: usize,
    /// Of Python and of the packages.
    pub versions: BTreeMap<String, String>,
    /// What it says of the processor.
    pub system: String,
    /// Median.
    pub prompt_tokens_per_sec: f64,
    /// Each run.
    pub prompt_samples_ts: Vec<f64>,
    /// Median; `None` if only one token was generated.
    pub generation_tokens_per_sec: Option<f64>,
    /// Each run.
    pub generation_samples_ts: Vec<f64>,
    /// How long another process took to load the GGUF file and to save it in the format of the side, from which it was
    /// then measured; `None` if it was measured with the GGUF file itself.
    pub conversion_ms: Option<f64>,
    /// Why it was not converted, if that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion_error: Option<String>,
    /// From the start of the process until the packages were imported.
    pub import_ms: f64,
    /// From there until the model was loaded.
    pub load_ms: f64,
    /// From the start of a process until the first token; median.
    pub first_token_from_exec_ms: f64,
    /// Each process.
    pub first_token_samples_ms: Vec<f64>,
    /// The most memory it had, where the system tells.
    pub peak_rss_bytes: Option<u64>,
    /// Size of the packages with all that they require, without Python.
    pub installed_bytes: u64,
    /// Its greedy tokens.
    pub tokens: Vec<TokenId>,
    /// How they compare with ours.
    pub agreement: Agreement,
    /// How far its log-probabilities of our tokens are from ours, on average, in nats.
    pub mean_logprob_difference: f64,
    /// How it compares with ours; `None` if its tokens differ.
    pub ratios: Option<Ratios>,
}

/// How many times better than a side we are: faster, sooner, smaller.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratios {
    /// Speed of reading the prompt.
    pub prompt: f64,
    /// Speed of generation; `None` where either was not measured.
    pub generation: Option<f64>,
    /// Time from the start of the process to the first token.
    pub first_token: f64,
    /// Peak memory; `None` where either was not measured.
    pub memory: Option<f64>,
    /// Installed size.
    pub installed: f64,
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            engine: &'static str,
            side: Side,
            #[serde(flatten)]
            report: Option<&'a Report>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<String>,
        }
        Flat {
            engine: self.side.name(),
            side: self.side,
            report: self.result.as_ref().ok(),
            error: self.result.as_ref().err().map(ToString::to_string),
        }
        .serialize(serializer)
    }
}

/// The numbers of a side from what it said and when.
pub(super) fn report(
    timeline: Timeline,
    job: &Job,
    ours: &Ours,
    conversion: Option<Result<Duration, SideError>>,
) -> Result<Report, SideError> {
    let n_gen = ours.tokens.len();
    let Timeline {
        imported: Some(imported),
        loaded: Some(loaded),
        first_token: Some(first_token),
        last: Answer::Result(raw),
        ..
    } = timeline
    else {
        return Err(SideError::Rubbish { found: "a result without the steps before it".into() });
    };
    let raw = raw.checked(n_gen, job.repetitions)?;
    let prompt_samples_ts = rates(job.prompt.len(), &raw.prompt_seconds);
    let generation_samples_ts = if n_gen > 1 { rates(n_gen - 1, &raw.generation_seconds) } else { Vec::new() };
    let report = Report {
        prompt_tokens_per_sec: stats::median(&prompt_samples_ts),
        prompt_samples_ts,
        generation_tokens_per_sec: (n_gen > 1).then(|| stats::median(&generation_samples_ts)),
        generation_samples_ts,
        conversion_ms: conversion.as_ref().and_then(|conversion| conversion.as_ref().ok()).map(|time| ms(*time)),
        conversion_error: conversion.and_then(Result::err).map(|error| error.to_string()),
        import_ms: ms(imported),
        load_ms: ms(loaded.saturating_sub(imported)),
        first_token_from_exec_ms: ms(first_token),
        first_token_samples_ms: vec![ms(first_token)],
        agreement: agreement::compare(&ours.tokens, &raw.tokens, &raw.steps),
        mean_logprob_difference: agreement::mean_difference(&ours.tokens, &raw.steps),
        precision: printable(&raw.precision),
        threads: raw.threads,
        versions: raw.versions.iter().map(|(name, version)| (printable(name), printable(version))).collect(),
        system: printable(&raw.system),
        peak_rss_bytes: raw.peak_rss_bytes,
        installed_bytes: raw.installed_bytes,
        tokens: raw.tokens,
        ratios: None,
    };
    Ok(report)
}

impl Report {
    /// Takes over the times to the first token of several processes.
    pub(super) fn started(&mut self, samples_ms: Vec<f64>, ours: &Ours) {
        self.first_token_from_exec_ms = stats::median(&samples_ms);
        self.first_token_samples_ms = samples_ms;
        self.ratios = self.agreement.holds().then(|| ratios(ours, self));
    }
}

fn ratios(ours: &Ours, theirs: &Report) -> Ratios {
    let smaller = |ours: u64, theirs: u64| theirs as f64 / ours.max(1) as f64;
    Ratios {
        prompt: ours.prompt_tokens_per_sec / theirs.prompt_tokens_per_sec,
        generation: ours
            .generation_tokens_per_sec
            .zip(theirs.generation_tokens_per_sec)
            .map(|(our, their)| our / their),
        first_token: theirs.first_token_from_exec_ms / ours.first_token_from_exec_ms,
        memory: ours.peak_rss_bytes.zip(theirs.peak_rss_bytes).map(|(our, their)| smaller(our, their)),
        installed: smaller(ours.installed_bytes, theirs.installed_bytes),
    }
}

fn rates(n_tokens: usize, seconds: &[f64]) -> Vec<f64> {
    seconds.iter().map(|seconds| n_tokens as f64 / seconds).collect()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
