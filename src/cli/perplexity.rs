//! `taper perplexity`: how likely a model finds a text.

use super::{
    args::{ComputeArgs, ModelArgs, read_text},
    exit::{Exit, UsageError},
    output::Output,
};
use crate::{TokenId, text::Special};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The text
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Print one JSON object, with the log-probability of each token
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    tokens: Vec<TokenId>,
    /// Natural logarithms; none for the first token of a window.
    logprobs: Vec<Option<f32>>,
    /// Mean negative log-likelihood of a token, in nats.
    nll: f64,
    perplexity: f64,
}

/// Tokens of a window unless `-c` says otherwise, as other tools have it.
const WINDOW: usize = 512;

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let text = read_text(&args.file)?;
    let files = args.model.open(output)?;
    let tokenizer = files.tokenizer()?;
    let tokens = tokenizer.encode_framed(&text, Special::AsText)?;
    if tokens.len() < 2 {
        let path = args.file.display();
        return Err(UsageError(format!("`{path}` has {} tokens, expected at least 2", tokens.len())).into());
    }
    let window = args.compute.ctx_size.unwrap_or(WINDOW);
    let mut engine = files.load(args.compute.compute(), Some(window), tokenizer)?;
    let mut logprobs = Vec::with_capacity(tokens.len());
    let progress = output.progress("tokens", tokens.len());
    for tokens in tokens.chunks(engine.n_ctx()) {
        logprobs.extend(engine.score(tokens)?);
        progress.set_position(logprobs.len() as u64);
    }
    progress.finish_and_clear();
    let sum: f64 = logprobs.iter().flatten().map(|&logprob| f64::from(logprob)).sum();
    let n_scored = logprobs.iter().flatten().count();
    let nll = -sum / n_scored.max(1) as f64;
    let report = Report { tokens, logprobs, nll, perplexity: nll.exp() };
    if args.json {
        output.json(&report)?;
    } else {
        let Report { nll, perplexity, .. } = report;
        output.answer(&format!("perplexity {perplexity:.4}, {nll:.4} nats a token over {n_scored} tokens\n"))?;
    }
    Ok(Exit::Done)
}
