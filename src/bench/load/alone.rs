//! A server with one request at a time, to be compared with our own engine.

use super::{
    Counted, Endpoint, Failure, LoadError, Prompt, Route,
    client::{Client, attended},
    failure::Failed,
    stream::Answered,
    summary::ms,
};
use crate::bench::Grid;
use serde::Serialize;
use std::{sync::Arc, time::Instant};

/// A server measured with the same prompt again and again, one request at a time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alone {
    /// Where it was asked.
    pub url: String,
    /// The model it was asked for.
    pub model: String,
    /// What it was asked; a chat where it has no completions.
    pub route: Route,
    /// Tokens of the prompt, where it says.
    pub n_prompt: Option<u64>,
    /// Tokens of the answer.
    pub n_gen: u64,
    /// Who counted them.
    pub counted: Counted,
    /// The first time that it saw the prompt.
    pub first_token_ms: f64,
    /// Median of the times after that, when it may have kept the prompt; `None` if there were none.
    pub first_token_again_ms: Option<f64>,
    /// Median, from the first token to the last; `None` if answers had only one.
    pub generation_tokens_per_sec: Option<f64>,
    /// Each answer.
    pub generation_samples_ts: Vec<f64>,
}

impl Alone {
    /// One row. There are no ratios, since nobody knows whether its tokens are ours.
    pub fn table(&self) -> Grid {
        let number = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
        let mut grid = Grid::new(&[
            "server",
            "prompt tokens",
            "tokens",
            "first token ms",
            "the same prompt again ms",
            "generation t/s",
        ]);
        grid.push(vec![
            format!("{} at {}", self.model, self.url),
            self.n_prompt.map_or("–".into(), |n| n.to_string()),
            self.n_gen.to_string(),
            number(Some(self.first_token_ms)),
            number(self.first_token_again_ms),
            number(self.generation_tokens_per_sec),
        ]);
        grid
    }

    /// What the numbers do not show, a line each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "a server does not show its tokens: it is not checked that they are ours".to_string(),
            "its times include the network, its tokenizer and its queue".to_string(),
        ];
        if self.route == Route::Chat {
            notes.push("it has no `/completions`: its chat template is around the prompt".into());
        }
        if self.counted != Counted::Usage {
            notes.push("it does not count its tokens: chunks of its stream were counted instead".into());
        }
        notes
    }
}

/// Asks the server for the continuation of `text`, `n_repetitions` times, after a short request that does not count.
///
/// # Errors
/// [`LoadError`] if nobody answers, the first answer is none, or when `cancelled`, which is asked about every 50 ms.
pub fn alone(
    endpoint: &Endpoint,
    text: &str,
    max_tokens: usize,
    n_repetitions: usize,
    cancelled: &dyn Fn() -> bool,
) -> Result<Alone, LoadError> {
    let asked = endpoint.clone();
    let (client, route) = attended(cancelled, move || meet(&asked))??;
    let client = Arc::new(client);
    let mut answers = Vec::new();
    for _ in 0..n_repetitions.max(1) {
        let (client, prompt) = (client.clone(), Prompt::Text(text.to_string()));
        let result = attended(cancelled, move || client.ask(&prompt, max_tokens, Instant::now()))?;
        answers.push(result.map_err(|failed| refused(endpoint, route, failed))?);
    }
    Ok(summary(endpoint.url(route), client.model().to_string(), route, &answers))
}

/// A client of the completions, or of the chat where there are none.
fn meet(endpoint: &Endpoint) -> Result<(Client, Route), LoadError> {
    let (client, failed) = Client::meet(endpoint, Route::Completions)?;
    if !matches!(failed, Some(Failed { kind: Failure::Status(404 | 405 | 501), .. })) {
        return Ok((client, Route::Completions));
    }
    let (client, _) = Client::meet(endpoint, Route::Chat)?;
    Ok((client, Route::Chat))
}

fn refused(endpoint: &Endpoint, route: Route, failed: Failed) -> LoadError {
    LoadError::Refused { url: endpoint.url(route), reason: failed.kind.to_string(), found: failed.found }
}

fn summary(url: String, model: String, route: Route, answers: &[Answered]) -> Alone {
    let rate = |answer: &Answered| {
        let seconds = answer.generation().as_secs_f64();
        (answer.n_tokens() > 1 && seconds > 0.0).then(|| (answer.n_tokens() - 1) as f64 / seconds)
    };
    let samples: Vec<f64> = answers.iter().filter_map(rate).collect();
    let usage = answers.iter().all(|answer| answer.usage.n_completion.is_some());
    let median = |samples: Vec<f64>| super::Percentiles::of(samples).map(|percentiles| percentiles.p50);
    Alone {
        url,
        model,
        route,
        n_prompt: answers.first().and_then(|answer| answer.usage.n_prompt),
        n_gen: answers.first().map_or(0, Answered::n_tokens),
        counted: if usage { Counted::Usage } else { Counted::Chunks },
        first_token_ms: answers.first().map_or(0.0, |answer| ms(answer.first)),
        first_token_again_ms: median(answers.iter().skip(1).map(|answer| ms(answer.first)).collect()),
        generation_tokens_per_sec: median(samples.clone()),
        generation_samples_ts: samples,
    }
}
