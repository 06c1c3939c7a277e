//! Transformers: what a model file says, its weights, and the forward pass.

mod architecture;
mod batch;
mod config;
mod load;
mod pages;
mod safetensors;
mod source;
mod transformer;
mod weights;

pub use architecture::{ARCHITECTURES, Architecture};
pub use batch::{Batch, Row, SequenceId};
pub use config::{Config, RopeConfig, RopeScaling};
pub use safetensors::{Safetensors, StoredTensor};
pub use source::Source;
pub use transformer::Transformer;

use crate::{
    TokenId,
    backend::{BackendError, DeviceInfo},
    gguf::GgufError,
};
use std::path::PathBuf;

/// A loaded model, whatever device computes it.
pub trait Forward: Send {
    /// Appends the rows of `batch` to their sequences, and writes the logits of the rows that want them into `logits`:
    /// (n_wanted, n_vocab), row after row.
    ///
    /// # Errors
    /// [`ModelError::ContextFull`] or [`ModelError::NoSuchToken`], with nothing appended;
    /// [`ModelError::Backend`] when the device fails.
    fn forward(&mut self, batch: &Batch, logits: &mut Vec<f32>) -> Result<(), ModelError>;

    /// Writes what the last layer made of rows of the batch that was computed last, after the final norm, into `out`:
    /// (rows.len(), d_model), row after row. It is what the head makes logits of.
    ///
    /// # Errors
    /// [`ModelError::Backend`] when the device fails.
    fn hidden(&mut self, rows: &[usize], out: &mut Vec<f32>) -> Result<(), ModelError>;

    /// Tokens that `sequence` has in the cache.
    fn len(&self, sequence: SequenceId) -> usize;

    /// Whether `sequence` has no token in the cache.
    fn is_empty(&self, sequence: SequenceId) -> bool {
        self.len(sequence) == 0
    }

    /// Forgets the tokens of `sequence` from `len` on; gives how many remain, which can be a few less where another
    /// sequence shares them.
    fn truncate(&mut self, sequence: SequenceId, len: usize) -> usize;

    /// Lets `to`, which is empty, begin with tokens of `from` without computing them again; gives how many those are, at
    /// most `len` and in whole blocks of the cache.
    fn fork(&mut self, from: SequenceId, to: SequenceId, len: usize) -> usize;

    /// Positions of the cache that no sequence holds.
    fn n_free(&self) -> usize;

    /// Positions that the cache can have, in whole blocks.
    fn n_positions(&self) -> usize;

    /// The numbers and switches of the model.
    fn config(&self) -> &Config;

    /// Tokens in the vocabulary, as the embedding has them.
    fn n_vocab(&self) -> usize;

    /// What computes.
    fn device(&self) -> DeviceInfo;
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The GGUF file is damaged or not supported.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The device has failed or has no room.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A file cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("`{}`: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// taper does not compute this architecture.
    #[error("the architecture `{0}` is not supported, expected one of: {names}", names = Architecture::names())]
    UnsupportedArchitecture(String),
    /// A number or switch is missing or makes no sense.
    #[error("the model's configuration is wrong: {0}")]
    Config(String),
    /// The file lacks a tensor that the architecture needs.
    #[error("the tensor `{0}` is missing")]
    MissingTensor(String),
    /// A tensor has not the shape that the configuration asks for.
    #[error("the tensor `{name}` has the shape {found:?}, expected {expected:?}")]
    WrongShape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// What the configuration asks for.
        expected: Vec<usize>,
    },
    /// The file has a tensor that the architecture does not know, so computing without it would be wrong.
    #[error("the tensor `{name}` is not part of the architecture `{architecture}` as taper knows it")]
    UnknownTensor {
        /// The tensor.
        name: String,
        /// The architecture.
        architecture: &'static str,
    },
    /// A token that the vocabulary does not have.
    #[error("no token `{token}`: the vocabulary has {n_vocab}")]
    NoSuchToken {
        /// The token.
        token: TokenId,
        /// Size of the vocabulary.
        n_vocab: usize,
    },
    /// The cache has no room for more positions.
    #[error("the context of {n_ctx} tokens is full")]
    ContextFull {
        /// Positions that the cache may have.
        n_ctx: usize,
    },
}
