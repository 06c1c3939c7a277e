//! The same job, done by us in a fresh process, as the sides do it.

use super::{
    Job, N_COLD, N_STARTS, Ours, SideError,
    answer::{Answer, Purpose},
    here::Orders,
    process::{Call, Timeline, talk},
};
use crate::{bench::stats, engine::TokenLogprobs};
use std::{ffi::OsString, fs, path::Path, process::Command, time::Duration};

/// What is needed beside the job.
pub struct Setting<'a> {
    /// This program.
    pub exe: &'a Path,
    /// The arguments with which it does as [`super::work`] says.
    pub arguments: &'a [OsString],
    /// What the weights and the arithmetic are.
    pub precision: String,
    /// Tokens to generate; at least one.
    pub n_gen: usize,
}

impl Setting<'_> {
    fn call(&self, job: &Job, purpose: Purpose) -> Call<'_> {
        let mut command = Command::new(self.exe);
        command.args(self.arguments);
        let orders = Orders {
            prompt: job.prompt.clone(),
            n_gen: self.n_gen,
            n_cold: N_COLD.min(job.prompt.len()),
            repetitions: job.repetitions,
            purpose,
        };
        let line = serde_json::to_string(&orders).expect("numbers and names are JSON");
        Call { program: self.exe, command, job: format!("{line}\n"), timeout: job.timeout }
    }
}

/// Does the job and measures it as the sides are measured. `cancelled` is asked about every 50 ms whether to stop.
///
/// # Errors
/// [`SideError`] when the process fails.
pub fn ours(job: &Job, setting: &Setting<'_>, cancelled: &dyn Fn() -> bool) -> Result<Ours, SideError> {
    let timeline = talk(setting.call(job, Purpose::Measure), cancelled)?;
    let Timeline { loaded: Some(loaded), first_token: Some(first_token), last: Answer::Reference(reference), .. } =
        timeline
    else {
        return Err(SideError::Rubbish { found: "no numbers".into() });
    };
    let starts = starts(first_token, cancelled, || setting.call(job, Purpose::Start));
    let per_sec = |n: usize, seconds: &[f64]| seconds.iter().map(|seconds| n as f64 / seconds).collect::<Vec<f64>>();
    let prompt_samples_ts = per_sec(job.prompt.len(), &reference.prompt_seconds);
    let one = setting.n_gen == 1;
    let generation_samples_ts =
        if one { Vec::new() } else { per_sec(setting.n_gen - 1, &reference.generation_seconds) };
    let tokens: Vec<TokenLogprobs> = reference.steps.into_iter().map(TokenLogprobs::from).collect();
    if tokens.len() != setting.n_gen || prompt_samples_ts.len() != job.repetitions {
        return Err(SideError::Rubbish { found: format!("{} tokens instead of `{}`", tokens.len(), setting.n_gen) });
    }
    Ok(Ours {
        precision: setting.precision.clone(),
        threads: reference.threads,
        isa: reference.isa,
        prompt_tokens_per_sec: stats::median(&prompt_samples_ts),
        prompt_samples_ts,
        generation_tokens_per_sec: (!one).then(|| stats::median(&generation_samples_ts)),
        generation_samples_ts,
        load_ms: loaded.as_secs_f64() * 1e3,
        first_token_from_exec_ms: stats::median(&starts),
        first_token_samples_ms: starts,
        peak_rss_bytes: reference.peak_rss_bytes,
        installed_bytes: fs::metadata(setting.exe).map_or(0, |file| file.len()),
        tokens,
    })
}

/// Milliseconds to the first token of the process that has measured, and of more that do nothing else.
pub(super) fn starts<'a>(
    first: Duration,
    cancelled: &dyn Fn() -> bool,
    mut call: impl FnMut() -> Call<'a>,
) -> Vec<f64> {
    let again = (1..N_STARTS).map_while(|_| {
        // One that fails now leaves the samples that there are.
        if cancelled() { None } else { talk(call(), cancelled).ok()?.first_token }
    });
    std::iter::once(first).chain(again).map(|time| time.as_secs_f64() * 1e3).collect()
}
