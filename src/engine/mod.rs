//! Answers requests with a loaded model.

mod answer;
mod files;
mod folder;
mod generate;
mod prompt;
mod reasoning;
mod request;
mod score;
mod stop;

pub use files::ModelFiles;
pub use generate::Sink;
pub use prompt::{Prompt, Prompter};
pub use reasoning::Part;
pub use request::{Completion, Event, FinishReason, Request, Timings, TokenLogprobs};

use crate::{
    TokenId,
    gguf::GgufError,
    model::{Batch, Forward, ModelError, SequenceId},
    text::{TemplateError, TextError, Tokenizer},
};
use std::sync::Arc;

/// The one sequence of an engine.
const SEQUENCE: SequenceId = SequenceId(0);

/// A model with its tokenizer and the tokens that its cache holds.
pub struct Engine {
    model: Box<dyn Forward>,
    tokenizer: Arc<Tokenizer>,
    n_ctx: usize,
    /// Tokens in the cache.
    cached: Vec<TokenId>,
    /// Of the last forward pass, (n_wanted, n_vocab).
    logits: Vec<f32>,
}

impl Engine {
    /// An engine with an empty cache of at most `n_ctx` positions.
    pub fn new(model: Box<dyn Forward>, tokenizer: Arc<Tokenizer>, n_ctx: usize) -> Engine {
        Engine { model, tokenizer, n_ctx, cached: Vec::new(), logits: Vec::new() }
    }

    /// The model.
    pub fn model(&self) -> &dyn Forward {
        self.model.as_ref()
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The most positions of a prompt and its answer.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    fn append(&mut self, batch: &Batch) -> Result<(), ModelError> {
        self.model.forward(batch, &mut self.logits)?;
        self.cached.extend(batch.rows.iter().map(|row| row.token));
        Ok(())
    }

    fn forget_from(&mut self, len: usize) {
        self.model.truncate(SEQUENCE, len);
        self.cached.truncate(len);
    }
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is nothing to continue.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// The prompt does not fit.
    #[error(
        "the prompt has {n_prompt} tokens, the context only {n_ctx}\nhint: --ctx-size gives more where the model has it, \
         --truncate leaves out a part"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        n_prompt: usize,
        /// Positions of the context.
        n_ctx: usize,
    },
    /// Every logit is NaN.
    #[error("the model's output is not a number: its weights are damaged or not what its architecture says")]
    NotANumber,
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Why a model cannot be opened or a prompt not be made for it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its file is damaged or not supported.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// Its weights or configuration cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its tokenizer cannot be used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Its chat template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
}
