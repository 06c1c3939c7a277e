//! A server with one request at a time, to be compared with our own engine.

use super::{
    Counted, Endpoint, LoadError, Prompt, Route, Wish,
    client::{Client, attended},
    stream::Answered,
    summary::ms,
};
use crate::bench::{Grid, stats};
use serde::Serialize;
use std::{sync::Arc, time::Instant};

/// A server measured with one request at a time, each with a prompt that it has not seen.
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
    /// Median time to the first token.
    pub first_token_ms: f64,
    /// Each answer.
    pub first_token_samples_ms: Vec<f64>,
    /// Median, from the first token to the last; `None` if answers had only one.
    pub generation_tokens_per_sec: Option<f64>,
    /// Each answer.
    pub generation_samples_ts: Vec<f64>,
}

impl Alone {
    /// One row. There are no ratios, since nobody knows whether its tokens are ours.
    pub fn table(&self) -> Grid {
        let number = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
        let mut grid = Grid::new(&["server", "prompt tokens", "tokens", "first token ms", "generation t/s"]);
        grid.push(vec![
            format!("{} at {}", self.model, self.url),
            self.n_prompt.map_or("–".into(), |n| n.to_string()),
            self.n_gen.to_string(),
            number(Some(self.first_token_ms)),
            number(self.generation_tokens_per_sec),
        ]);
        grid
    }

    /// What the numbers do not show, a line each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "a server does not show its tokens: it is not checked that they are ours".to_string(),
            "its times include the network, its tokenizer and its queue; each prompt was new to it".to_string(),
        ];
        if self.route == Route::Chat {
            notes.push("it was asked in a chat: its template is around the prompt".into());
        }
        if self.counted != Counted::Usage {
            notes.push("it does not count its tokens: chunks of its stream were counted instead".into());
        }
        notes
    }
}

impl Answered {
    /// Tokens per second from the first to the last; `None` of a single one.
    fn rate(&self) -> Option<f64> {
        let seconds = self.generation().as_secs_f64();
        (self.n_tokens() > 1 && seconds > 0.0).then(|| (self.n_tokens() - 1) as f64 / seconds)
    }
}

/// Asks the server for the continuation of each of `prompts`, after a short request that does not count. When `cancelled`,
/// which is asked about every 50 ms, the answers until then are the result.
///
/// # Errors
/// [`LoadError`] if nobody answers, an answer is none, or it was cancelled before the first answer.
pub fn alone(
    endpoint: &Endpoint,
    prompts: &[Prompt],
    wish: Wish,
    cancelled: &dyn Fn() -> bool,
) -> Result<Alone, LoadError> {
    let first = prompts.first().ok_or_else(|| LoadError::Plan("has no prompts".into()))?;
    let (asked, all) = (endpoint.clone(), prompts.to_vec());
    let client = Arc::new(attended(cancelled, move || Client::meet(&asked, &all))??);
    let route = client.route(first);
    let mut answers = Vec::new();
    for prompt in prompts {
        let (client, prompt) = (client.clone(), prompt.clone());
        let answer = match attended(cancelled, move || client.ask(&prompt, wish, Instant::now())) {
            Err(LoadError::Interrupted) if !answers.is_empty() => break,
            result => result?,
        };
        answers.push(answer.map_err(|failed| LoadError::Refused {
            url: endpoint.url(route),
            reason: failed.kind.to_string(),
            found: failed.found,
        })?);
    }
    Ok(summary(endpoint.url(route), client.model().to_string(), route, &answers))
}

fn summary(url: String, model: String, route: Route, answers: &[Answered]) -> Alone {
    let first_token_samples_ms: Vec<f64> = answers.iter().map(|answer| ms(answer.first)).collect();
    let generation_samples_ts: Vec<f64> = answers.iter().filter_map(Answered::rate).collect();
    let usage = answers.iter().all(|answer| answer.usage.n_completion.is_some());
    Alone {
        url,
        model,
        route,
        n_prompt: answers.first().and_then(|answer| answer.usage.n_prompt),
        n_gen: answers.first().map_or(0, Answered::n_tokens),
        counted: if usage { Counted::Usage } else { Counted::Chunks },
        first_token_ms: stats::median(&first_token_samples_ms),
        generation_tokens_per_sec: (!generation_samples_ts.is_empty()).then(|| stats::median(&generation_samples_ts)),
        first_token_samples_ms,
        generation_samples_ts,
    }
}
