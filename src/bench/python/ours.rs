//! The same job, done by us.

use super::{Job, N_COLD, Ours};
use crate::{
    backend::Compute,
    bench::{first_token, machine, stats},
    engine::{Completion, Engine, EngineError, ModelFiles, OpenError, Prompter, Request},
    sampling::SamplingParams,
};
use std::{fs, io, ops::ControlFlow, path::Path, sync::Arc};

/// What is needed beside the job.
pub struct Setting<'a> {
    /// The model of the job.
    pub files: &'a ModelFiles,
    /// Where it is computed.
    pub compute: Compute,
    /// Tokens to generate; at least one.
    pub n_gen: usize,
    /// This program.
    pub exe: &'a Path,
    /// Flags of `taper run` that compute alike.
    pub flags: &'a [String],
}

/// Why our own side has no numbers.
#[derive(Debug, thiserror::Error)]
pub enum OursError {
    /// The model cannot be loaded.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The model failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A fresh process of this program failed.
    #[error("cannot time a fresh process: {0}")]
    Process(#[from] io::Error),
}

/// Does the job and measures it as the sides are measured.
///
/// # Errors
/// [`OursError`] when the model cannot be loaded or fails, or this program cannot be started.
pub fn ours(job: &Job, setting: &Setting<'_>) -> Result<Ours, OursError> {
    let tokenizer = setting.files.tokenizer()?;
    let first_token_from_exec_ms = cold(job, setting, &Prompter::new(Arc::clone(&tokenizer), None))?;
    machine::reset_peak_rss();
    let mut engine = setting.files.load(setting.compute, Some(job.prompt.len() + setting.n_gen), tokenizer)?;
    answer(&mut engine, job, setting.n_gen, None)?;
    let runs = (0..job.repetitions).map(|_| answer(&mut engine, job, setting.n_gen, None));
    let runs = runs.collect::<Result<Vec<_>, _>>()?;
    let peak_rss_bytes = machine::peak_rss_bytes();
    let prompt = runs.iter().map(|run| job.prompt.len() as f64 / run.timings.first_token.as_secs_f64());
    let generation = runs.iter().map(|run| (run.tokens.len() - 1) as f64 / run.timings.generation.as_secs_f64());
    let tokens = answer(&mut engine, job, setting.n_gen, Some(20))?.logprobs;
    let quantization = setting.files.quantization().unwrap_or_else(|| "as the file has it".into());
    Ok(Ours {
        precision: format!("weights {quantization}, activations in 8 bits where the weights are quantized"),
        threads: job.threads,
        version: env!("CARGO_PKG_VERSION").into(),
        prompt_tokens_per_sec: stats::median(&prompt.collect::<Vec<_>>()),
        generation_tokens_per_sec: (setting.n_gen > 1).then(|| stats::median(&generation.collect::<Vec<_>>())),
        first_token_from_exec_ms,
        peak_rss_bytes,
        installed_bytes: fs::metadata(setting.exe)?.len(),
        tokens,
    })
}

/// The greedy answer, with nothing of it in the cache before.
fn answer(engine: &mut Engine, job: &Job, n_gen: usize, n_logprobs: Option<usize>) -> Result<Completion, EngineError> {
    engine.forget();
    let request = Request {
        prompt: job.prompt.clone(),
        max_tokens: Some(n_gen),
        sampling: SamplingParams { temperature: 0.0, repeat_penalty: 1.0, ..SamplingParams::default() },
        n_logprobs,
        ignore_end: true,
        ..Request::default()
    };
    engine.generate(&request, &mut |_| ControlFlow::Continue(()))
}

/// Milliseconds from the start of a fresh process to its first token, the median of three.
fn cold(job: &Job, setting: &Setting<'_>, prompter: &Prompter) -> Result<f64, OursError> {
    let n_before = prompter.tokenizer().before().len();
    let first = &job.prompt[n_before.min(job.prompt.len())..N_COLD.min(job.prompt.len())];
    let text = prompter.tokenizer().decode(first, crate::text::Controls::Show);
    let model = job.model.to_string_lossy();
    let times = (0..3).map(|_| first_token(setting.exe, &model, &text, setting.flags));
    let ms = times.map(|time| Ok(time?.as_secs_f64() * 1e3)).collect::<io::Result<Vec<f64>>>()?;
    Ok(stats::median(&ms))
}
