//! Answers requests with a loaded model, several at once.
//!
//! A request becomes a job (`job.rs`); `step` takes all running jobs one forward pass further (`schedule.rs`), and
//! [`Engine::generate`] is one request stepped to its end. Since the bits of a row do not depend on its batch, a request
//! gets the same answer alone and among others.

mod answer;
mod embedding;
mod files;
mod folder;
mod gbnf;
mod generate;
mod grammar;
mod job;
mod multiples;
mod pace;
mod prefixes;
mod prompt;
mod prompt_scores;
mod reasoning;
mod request;
mod schedule;
mod score;

mod stop;

pub use embedding::Pooling;
pub use files::ModelFiles;
pub use generate::Sink;
pub(crate) use grammar::STACK_BYTES;
pub use grammar::{Constraint, Grammar, GrammarError, Grammars};
pub use job::JobId;
pub(crate) use pace::MOST as PREFILL_CHUNK;
pub use prompt::{Prompt, Prompter};
pub use reasoning::Part;
pub use request::{Completion, Event, FinishReason, Request, Timings, TokenLogprobs};
pub use schedule::{Finished, Load, StepSink};

use crate::{
    gguf::GgufError,
    model::{Batch, Forward, ModelError, SequenceId},
    text::{TemplateError, TextError, Tokenizer},
};
use job::Job;
use pace::Pace;
use prefixes::Prefixes;
use std::sync::Arc;

/// A model with its tokenizer, the requests that it works on, and the tokens that its cache holds.
pub struct Engine {
    model: Box<dyn Forward>,
    tokenizer: Arc<Tokenizer>,
    n_ctx: usize,
    n_parallel: usize,
    /// First come, first served.
    waiting: Vec<Job>,
    running: Vec<Job>,
    /// What finished requests have left in the cache.
    prefixes: Prefixes,
    pace: Pace,
    /// Names jobs and sequences.
    n_named: usize,
    /// The forward pass under way; kept, so that a token allocates nothing.
    batch: Batch,
    /// Of the last forward pass, (n_wanted, n_vocab).
    logits: Vec<f32>,
    /// Rows of the last forward pass that go into vectors of texts.
    pooled: Vec<usize>,
    /// What the last layer made of them, (pooled.len(), d_model).
    hidden: Vec<f32>,
}

impl Engine {
    /// An engine with an empty cache that answers one request at a time, of at most `n_ctx` positions.
    pub fn new(model: Box<dyn Forward>, tokenizer: Arc<Tokenizer>, n_ctx: usize) -> Engine {
        Engine {
            model,
            tokenizer,
            n_ctx,
            n_parallel: 1,
            waiting: Vec::new(),
            running: Vec::new(),
            prefixes: Prefixes::default(),
            pace: Pace::default(),
            n_named: 0,
            batch: Batch::default(),
            logits: Vec::new(),
            pooled: Vec::new(),
            hidden: Vec::new(),
        }
    }

    /// The same, working on up to `n_parallel` requests at once.
    pub fn with_parallel(self, n_parallel: usize) -> Engine {
        Engine { n_parallel: n_parallel.max(1), ..self }
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

    fn new_name(&mut self) -> usize {
        self.n_named += 1;
        self.n_named
    }

    /// A sequence that nothing has used yet.
    fn new_sequence(&mut self) -> SequenceId {
        SequenceId(self.new_name())
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
    /// Every logit is NaN, or the vector of a text is.
    #[error("the model's output is not a number: its weights are damaged or not what its architecture says")]
    NotANumber,
    /// No answer can be held to the grammar.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// The model failed while it worked on this and other requests.
    #[error("the model failed: {0}")]
    Lost(String),
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
