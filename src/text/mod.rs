//! Text to tokens and back.
//!
//! [`Tokenizer`] reads the vocabulary of a GGUF file where it lies, or a `tokenizer.json`; [`Decoder`] turns tokens into
//! text as they come. The way text goes: special tokens are cut out (`special`), byte-pair vocabularies cut the rest into
//! words (`pretokenizer`, by `rules` and `scripts` made of `pattern`s over `character` kinds), the algorithm of the
//! vocabulary makes tokens of them (`bpe`, `spm`, both by `merge`; `wordpiece`), looking strings up in a `table`.

mod bpe;
mod character;
mod decode;
mod error;
mod gguf_tokenizer;
mod json_tokenizer;
mod markers;
mod merge;
mod pattern;
mod piece;
mod pretokenizer;
mod rules;
mod scripts;
mod special;
mod spm;
mod table;
mod template;
mod tokenizer;
mod vocabulary;
mod wordpiece;

pub use decode::{Controls, Decoder};
pub use error::TextError;
pub use template::{ChatTemplate, Content, Conversation, Message, TemplateError};
pub use tokenizer::{Special, Tokenizer};
pub use vocabulary::TokenKind;
