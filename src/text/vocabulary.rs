//! The tokens of a GGUF file: their strings, which stay in the file, and their kinds.

use super::TextError;
use super::table::Table;
use crate::TokenId;
use crate::gguf::{Metadata, StringArray};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A piece of text.
    Normal,
    /// Stands for what the vocabulary cannot write.
    Unknown,
    /// Marks structure, such as the end of a turn; never part of a text as such.
    Control,
    /// Added by the model's makers; text that reads like it always becomes it.
    UserDefined,
    /// Never produced.
    Unused,
    /// A single byte.
    Byte,
}

pub(crate) struct Vocabulary {
    texts: StringArray,
    table: Table,
    kinds: Vec<TokenKind>,
}

pub(crate) const TOKENS: &str = "tokenizer.ggml.tokens";
const TOKEN_TYPE: &str = "tokenizer.ggml.token_type";

impl Vocabulary {
    /// # Errors
    /// [`TextError`] if the tokens are missing, far too many are equal, or their types are of another number.
    pub(crate) fn read(metadata: &Metadata) -> Result<Vocabulary, TextError> {
        let texts = metadata.strings(TOKENS)?.ok_or(TextError::Missing(TOKENS))?;
        let table = Table::build(&texts, TOKENS)?;
        let kinds = match metadata.i32s(TOKEN_TYPE)? {
            Some(types) => types.into_iter().take(texts.len()).map(kind).collect(),
            None => vec![TokenKind::Normal; texts.len()],
        };
        if kinds.len() < texts.len() {
            let reason = format!("has {} elements, expected {}, one per token", kinds.len(), texts.len());
            return Err(TextError::Damaged { key: TOKEN_TYPE, reason });
        }
        Ok(Vocabulary { texts, table, kinds })
    }

    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// The token that is written `text` in the file.
    pub(crate) fn find(&self, text: &[u8]) -> Option<TokenId> {
        self.table.find(&self.texts, text)
    }

    /// The token that is written `text` in the file, unless it marks structure: no text may become such a token by chance.
    pub(crate) fn find_plain(&self, text: &[u8]) -> Option<TokenId> {
        let is_plain = |id: &TokenId| !matches!(self.kinds[*id as usize], TokenKind::Control | TokenKind::Unknown);
        self.find(text).filter(is_plain)
    }

    /// How token `id` is written in the file; nothing past the end.
    pub(crate) fn text(&self, id: TokenId) -> &[u8] {
        self.texts.get(id as usize).unwrap_or_default()
    }

    /// The kind of token `id`; `None` past the end.
    pub(crate) fn kind(&self, id: TokenId) -> Option<TokenKind> {
        self.kinds.get(id as usize).copied()
    }

    pub(crate) fn set_kind(&mut self, id: TokenId, kind: TokenKind) {
        if let Some(slot) = self.kinds.get_mut(id as usize) {
            *slot = kind;
        }
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = (TokenId, TokenKind)> {
        (0..).zip(self.kinds.iter().copied())
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.texts.iter()
    }
}

/// By number in the specification of GGUF.
fn kind(number: i32) -> TokenKind {
    match number {
        1 => TokenKind::Normal,
        2 => TokenKind::Unknown,
        3 => TokenKind::Control,
        4 => TokenKind::UserDefined,
        6 => TokenKind::Byte,
        _ => TokenKind::Unused,
    }
}
