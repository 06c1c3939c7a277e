//! Log-probabilities of the tokens of a prompt, chunk by chunk.

use super::{EngineError, Request, TokenLogprobs};
use crate::{TokenId, sampling::logprobs_of};

/// Tokens of scored prompts in a pass at most: the logits after each are all kept, (n, n_vocab).
pub(super) const MOST_SCORED: usize = 32;

/// Log-probabilities of a prompt under way.
#[derive(Clone, Debug)]
pub(super) struct PromptScores {
    /// How many of the likeliest tokens go beside each.
    n_top: usize,
    /// All tokens of the prompt but the first have one.
    n_wanted: usize,
    scores: Vec<TokenLogprobs>,
}

impl PromptScores {
    /// Those that `request` asks for.
    pub(super) fn of(request: &Request) -> Option<PromptScores> {
        let n_top = request.n_prompt_logprobs.filter(|_| request.pooling.is_none())?;
        Some(PromptScores { n_top, n_wanted: request.prompt.len().saturating_sub(1), scores: Vec::new() })
    }

    /// After how many of the next `n` tokens of the prompt logits are needed.
    pub(super) fn n_needed(&self, n: usize) -> usize {
        n.min(self.n_wanted - self.scores.len())
    }

    /// Whether all are there.
    pub(super) fn is_whole(&self) -> bool {
        self.scores.len() == self.n_wanted
    }

    /// Begins again, unless all are there.
    pub(super) fn restart(&mut self) {
        if !self.is_whole() {
            self.scores.clear();
        }
    }

    /// Adds that of the next token of `prompt`, by the `logits` (n_vocab) before it.
    ///
    /// # Errors
    /// [`EngineError::NotANumber`].
    pub(super) fn push(&mut self, logits: &[f32], prompt: &[TokenId]) -> Result<(), EngineError> {
        let (chosen, top) = logprobs_of(logits, prompt[self.scores.len() + 1], self.n_top);
        if chosen.logprob.is_nan() {
            return Err(EngineError::NotANumber);
        }
        self.scores.push(TokenLogprobs { chosen, top });
        Ok(())
    }

    /// Whether they are as many as those of `other`, of the same prompt.
    pub(super) fn is_like(&self, other: &PromptScores) -> bool {
        self.n_top == other.n_top
    }

    /// Those that are there, in the order of the prompt.
    pub(super) fn scores(&self) -> &[TokenLogprobs] {
        &self.scores
    }

    /// The same, for good.
    pub(super) fn into_scores(self) -> Vec<TokenLogprobs> {
        self.scores
    }
}
