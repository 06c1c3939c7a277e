//! How likely a model finds a text.

use super::{Engine, EngineError};
use crate::{TokenId, model::Batch, sampling::logprob_of};

/// Tokens that go through the model at once: their logits are all kept, (n, n_vocab).
const CHUNK: usize = 64;

impl Engine {
    /// The log-probability of each token after those before it; the first has none.
    ///
    /// # Errors
    /// [`EngineError::PromptTooLong`] if the tokens do not fit the context; [`EngineError::Model`] when the model fails.
    pub fn score(&mut self, tokens: &[TokenId]) -> Result<Vec<Option<f32>>, EngineError> {
        if tokens.len() > self.n_ctx {
            return Err(EngineError::PromptTooLong { n_prompt: tokens.len(), n_ctx: self.n_ctx });
        }
        self.forget();
        let sequence = self.new_sequence();
        let mut logprobs = vec![None; tokens.len().min(1)];
        // Nothing follows the last token, so it is not computed.
        let n_computed = tokens.len().saturating_sub(1);
        for (chunk, next) in tokens[..n_computed].chunks(CHUNK).zip(tokens[1..].chunks(CHUNK)) {
            self.model.forward(&Batch::every(sequence, chunk), &mut self.logits)?;
            let rows = self.logits.chunks_exact(self.model.n_vocab());
            logprobs.extend(rows.zip(next).map(|(logits, &token)| Some(logprob_of(logits, token))));
        }
        self.model.truncate(sequence, 0);
        Ok(logprobs)
    }
}
