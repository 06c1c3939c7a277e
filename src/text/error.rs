//! What can be wrong with a tokenizer, a variant per remedy.

use crate::gguf::GgufError;
use std::path::PathBuf;

/// Why a tokenizer cannot be read, or cannot encode a text.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The file has no tokenizer, or a part of it is missing.
    #[error("metadata key `{0}` is missing, expected with this tokenizer\nhint: convert the model again")]
    Missing(&'static str),
    /// An array of the tokenizer contradicts another or itself.
    #[error("metadata key `{key}` {reason}")]
    Damaged {
        /// The key.
        key: &'static str,
        /// What was found and what was expected.
        reason: String,
    },
    /// The vocabulary is of a kind that is not implemented.
    #[error("tokenizer model `{0}` is not supported, expected one of: llama, gpt2, gemma4, bert")]
    UnknownModel(String),
    /// The file names a way to cut words that is not implemented.
    #[error("pre-tokenizer `{name}` is not supported, expected one of: {known}")]
    UnknownPretokenizer {
        /// What the file names.
        name: String,
        /// All names that are implemented.
        known: String,
    },
    /// A metadata value is of the wrong type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// `tokenizer.json` cannot be read.
    #[error("cannot read `{}`: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the reader of it says.
        reason: String,
    },
    /// The text cannot be encoded.
    #[error("cannot tokenize {len_bytes} bytes of text: {reason}")]
    Encode {
        /// How long it is.
        len_bytes: usize,
        /// Why not.
        reason: String,
    },
}
