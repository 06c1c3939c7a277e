//! What the engine is asked for, and what it gives back.

use super::{Constraint, Part, Pooling};
use crate::{
    TokenId,
    sampling::{Logprob, SamplingParams},
};
use std::time::Duration;

/// A prompt to continue.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The prompt.
    pub prompt: Vec<TokenId>,
    /// The most tokens to generate; `None` goes on to the end of the context.
    pub max_tokens: Option<usize>,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Texts that end the answer before them.
    pub stop: Vec<String>,
    /// How many of the likeliest tokens to report beside each; `None` reports no log-probabilities.
    pub n_logprobs: Option<usize>,
    /// The same for the tokens of the prompt. What the cache has of a prompt is of no use then: the logits after each of
    /// its tokens are needed.
    pub n_prompt_logprobs: Option<usize>,
    /// Goes on where the model would end, as measurements need it.
    pub ignore_end: bool,
    /// Whether thinking is told from the answer.
    pub split_reasoning: bool,
    /// What the output must fit, thinking included.
    pub constraint: Option<Constraint>,
    /// The vector of the prompt is wanted, and no answer.
    pub pooling: Option<Pooling>,
}

/// What the engine reports while it works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// So many tokens of the prompt are done, of so many.
    Prompt {
        /// Tokens done.
        n_done: usize,
        /// Tokens in all.
        n_total: usize,
    },
    /// The prompt is done; only if the log-probabilities of its tokens were asked for. They are those of its second token
    /// and of all after it: nothing comes before the first.
    PromptLogprobs(&'a [TokenLogprobs]),
    /// A token has been chosen; only if log-probabilities were asked for. Text that it completes follows. After
    /// a prompt that was scored it may be the token that ends the answer.
    Token(&'a TokenLogprobs),
    /// Text has come, whole characters only.
    Text(Part, &'a str),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or a stop string came.
    Stop,
    /// The most tokens asked for, or the context, is reached.
    Length,
    /// Whoever listens wanted no more.
    Cancelled,
}

impl FinishReason {
    /// The name in JSON, as OpenAI's where it has one.
    pub fn name(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Cancelled => "cancelled",
        }
    }
}

/// A token with its log-probability and those of the likeliest in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprobs {
    /// The token that was chosen, or that the prompt has.
    pub chosen: Logprob,
    /// The likeliest, likeliest first.
    pub top: Vec<Logprob>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The answer without the thinking.
    pub text: String,
    /// The thinking; empty if there was none or it was not told apart.
    pub reasoning: String,
    /// Every generated token but the one that ended the answer.
    pub tokens: Vec<TokenId>,
    /// For each of `tokens`; empty if not asked for.
    pub logprobs: Vec<TokenLogprobs>,
    /// For each token of the prompt but the first; empty if not asked for.
    pub prompt_logprobs: Vec<TokenLogprobs>,
    /// The vector of the prompt, (d_model), of length 1; empty if not asked for.
    pub embedding: Vec<f32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Whether it fits the grammar that was asked for; `None` if there was none.
    pub fits: Option<bool>,
    /// Tokens of the prompt.
    pub n_prompt: usize,
    /// Tokens of the prompt that were in the cache already.
    pub n_reused: usize,
    /// How long it took.
    pub timings: Timings,
}

/// How long an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From the request to when work on it began.
    pub queue: Duration,
    /// From the request to the logits after the prompt.
    pub prompt: Duration,
    /// From the request to the first token.
    pub first_token: Duration,
    /// From the first token to the last.
    pub generation: Duration,
}
