//! What `taper run --json` prints.

use super::fit::Fitted;
use crate::{
    TokenId,
    backend::DeviceInfo,
    engine::{Completion, ModelFiles, Request, TokenLogprobs},
    sampling::Logprob,
    text::Tokenizer,
};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// The prompt of a dry run.
#[derive(Serialize)]
pub(super) struct DryRun<'a> {
    prompt: &'a str,
    tokens: &'a [TokenId],
    prompt_tokens: usize,
    truncated_tokens: usize,
}

impl<'a> DryRun<'a> {
    pub(super) fn new(fitted: &'a Fitted) -> DryRun<'a> {
        let tokens = &fitted.prompt.tokens;
        DryRun {
            prompt: &fitted.prompt.text,
            tokens,
            prompt_tokens: tokens.len(),
            truncated_tokens: fitted.n_truncated,
        }
    }
}

/// How long what comes before and after the answer took.
pub(super) struct Times {
    pub(super) load: Duration,
    pub(super) total: Duration,
}

/// An answer with all there is to know of it.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    model: Model<'a>,
    text: &'a str,
    reasoning: Option<&'a str>,
    tokens: &'a [TokenId],
    logprobs: Option<Vec<TokenReport>>,
    finish_reason: &'static str,
    prompt_tokens: usize,
    completion_tokens: usize,
    truncated_tokens: usize,
    seed: u64,
    device: String,
    isa: Option<&'static str>,
    threads: usize,
    timings: Timings,
    version: &'static str,
}

#[derive(Serialize)]
struct Model<'a> {
    reference: &'a str,
    path: Option<PathBuf>,
    architecture: &'static str,
    quantization: Option<String>,
    revision: Option<&'a str>,
    sha256: Option<String>,
}

#[derive(Serialize)]
struct Timings {
    load_ms: f64,
    first_token_ms: f64,
    prompt_tokens_per_sec: f64,
    generation_tokens_per_sec: f64,
    total_ms: f64,
}

#[derive(Serialize)]
struct TokenReport {
    token: TokenId,
    piece: String,
    logprob: f32,
    top: Vec<Likely>,
}

#[derive(Serialize)]
struct Likely {
    token: TokenId,
    piece: String,
    logprob: f32,
}

/// What an answer is reported with.
pub(super) struct Context<'a> {
    pub(super) files: &'a ModelFiles,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) fitted: &'a Fitted,
    pub(super) request: &'a Request,
    pub(super) device: DeviceInfo,
    pub(super) times: Times,
}

impl<'a> Answer<'a> {
    pub(super) fn new(completion: &'a Completion, context: Context<'a>) -> anyhow::Result<Answer<'a>> {
        let Context { files, tokenizer, fitted, request, device, times } = context;
        let tokens = completion.logprobs.iter().map(|token| token_report(token, tokenizer));
        Ok(Answer {
            model: Model {
                reference: files.reference(),
                path: files.path().map(std::path::absolute).transpose()?,
                architecture: files.source().config()?.architecture.name,
                quantization: files.quantization(),
                revision: files.revision(),
                sha256: None,
            },
            text: &completion.text,
            reasoning: (!completion.reasoning.is_empty()).then_some(&completion.reasoning),
            tokens: &completion.tokens,
            logprobs: request.n_logprobs.map(|_| tokens.collect()),
            finish_reason: completion.finish_reason.name(),
            prompt_tokens: completion.n_prompt,
            completion_tokens: completion.tokens.len(),
            truncated_tokens: fitted.n_truncated,
            seed: request.sampling.seed,
            device: device.device,
            isa: device.isa,
            threads: device.n_threads,
            timings: Timings::new(completion, &times),
            version: env!("CARGO_PKG_VERSION"),
        })
    }
}

impl Timings {
    fn new(completion: &Completion, times: &Times) -> Timings {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let rate =
            |n: usize, duration: Duration| if duration.is_zero() { 0.0 } else { n as f64 / duration.as_secs_f64() };
        let timings = &completion.timings;
        Timings {
            load_ms: ms(times.load),
            first_token_ms: ms(times.load + timings.first_token),
            prompt_tokens_per_sec: rate(completion.n_prompt - completion.n_reused, timings.prompt),
            // The first token comes out of the prompt's pass.
            generation_tokens_per_sec: rate(completion.tokens.len().saturating_sub(1), timings.generation),
            total_ms: ms(times.total),
        }
    }
}

fn token_report(logprobs: &TokenLogprobs, tokenizer: &Tokenizer) -> TokenReport {
    let likely = |entry: &Logprob| {
        let piece = tokenizer.token_text(entry.token);
        Likely { token: entry.token, piece, logprob: entry.logprob }
    };
    let Likely { token, piece, logprob } = likely(&logprobs.chosen);
    TokenReport { token, piece, logprob, top: logprobs.top.iter().map(likely).collect() }
}
