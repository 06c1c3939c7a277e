//! The same job in a process of this program: what the scripts do in Python.

use super::answer::{Answer, MARK, OurStep, Purpose, Reference};
use crate::{
    TokenId,
    backend::Compute,
    bench::machine,
    engine::{Completion, Engine, EngineError, ModelFiles, OpenError, Request, TokenLogprobs},
    sampling::{Logprob, SamplingParams},
};
use serde::{Deserialize, Serialize};
use std::{io, ops::ControlFlow};

/// Tokens that warm the engine up, as in the scripts.
const N_WARM_UP: usize = 8;
/// The likeliest tokens that are told beside each of ours.
const N_TOP: usize = 20;

/// What our own process is to do; all else is in its flags.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Orders {
    pub(super) prompt: Vec<TokenId>,
    pub(super) n_gen: usize,
    pub(super) n_cold: usize,
    pub(super) repetitions: usize,
    pub(super) purpose: Purpose,
}

/// Why our own process has no numbers.
#[derive(Debug, thiserror::Error)]
pub enum HereError {
    /// What it was told is no job.
    #[error("the job is none: {0}")]
    Job(#[from] serde_json::Error),
    /// The model cannot be loaded.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The model failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Nobody listens.
    #[error("cannot answer: {0}")]
    Io(#[from] io::Error),
}

/// Does the job in the line `orders` with the model in `files`, and says what it measures, a line at a time.
///
/// # Errors
/// [`HereError`] if the line is no job, the model cannot be loaded or fails, or `say` fails.
pub fn work(
    files: &ModelFiles,
    compute: Compute,
    orders: &str,
    say: &mut dyn FnMut(&str) -> io::Result<()>,
) -> Result<(), HereError> {
    let orders: Orders = serde_json::from_str(orders)?;
    let mut answer =
        |answer: &Answer| -> Result<(), HereError> { Ok(say(&format!("{MARK}{}\n", serde_json::to_string(answer)?))?) };
    let n_ctx = orders.prompt.len().saturating_add(orders.n_gen);
    let mut engine = files.load(compute, Some(n_ctx), files.tokenizer()?)?;
    answer(&Answer::Loaded)?;
    greedy(&mut engine, &orders.prompt[..orders.n_cold.min(orders.prompt.len())], 1, None)?;
    answer(&Answer::FirstToken)?;
    if orders.purpose == Purpose::Start {
        return answer(&Answer::Started);
    }
    let Orders { prompt, n_gen, repetitions, .. } = &orders;
    greedy(&mut engine, prompt, (*n_gen).min(N_WARM_UP), None)?;
    let runs = (0..*repetitions).map(|_| greedy(&mut engine, prompt, *n_gen, None));
    let runs = runs.collect::<Result<Vec<Completion>, _>>()?;
    let peak_rss_bytes = machine::peak_rss_bytes();
    let steps = greedy(&mut engine, prompt, *n_gen, Some(N_TOP))?.logprobs;
    let device = engine.model().device();
    answer(&Answer::Reference(Box::new(Reference {
        prompt_seconds: runs.iter().map(|run| run.timings.first_token.as_secs_f64()).collect(),
        generation_seconds: runs.iter().map(|run| run.timings.generation.as_secs_f64()).collect(),
        peak_rss_bytes,
        threads: device.n_threads,
        isa: device.isa.map(str::to_owned),
        steps: steps.iter().map(OurStep::from).collect(),
    })))
}

/// The greedy answer, with nothing of it in the cache before.
fn greedy(
    engine: &mut Engine,
    prompt: &[TokenId],
    n_gen: usize,
    n_logprobs: Option<usize>,
) -> Result<Completion, EngineError> {
    engine.forget();
    let request = Request {
        prompt: prompt.to_vec(),
        max_tokens: Some(n_gen),
        sampling: SamplingParams { temperature: 0.0, repeat_penalty: 1.0, ..SamplingParams::default() },
        n_logprobs,
        ignore_end: true,
        ..Request::default()
    };
    engine.generate(&request, &mut |_| ControlFlow::Continue(()))
}

impl From<&TokenLogprobs> for OurStep {
    fn from(step: &TokenLogprobs) -> OurStep {
        let pair = |of: &Logprob| (of.token, of.logprob);
        OurStep { chosen: pair(&step.chosen), top: step.top.iter().map(pair).collect() }
    }
}

impl From<OurStep> for TokenLogprobs {
    fn from(step: OurStep) -> TokenLogprobs {
        let named = |(token, logprob)| Logprob { token, logprob };
        TokenLogprobs { chosen: named(step.chosen), top: step.top.into_iter().map(named).collect() }
    }
}
