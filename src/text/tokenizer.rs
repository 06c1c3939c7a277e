//! The tokenizer of a model, wherever it was read from.

use super::TextError;
use super::decode::{Controls, Decoder};
use super::gguf_tokenizer::GgufTokenizer;
use super::json_tokenizer::JsonTokenizer;
use super::markers::{Markers, named_ends};
use super::vocabulary::TokenKind;
use crate::TokenId;
use crate::gguf::Metadata;
use std::borrow::Cow;
use std::path::Path;

/// What becomes of text that reads like a control token, such as `<|im_end|>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// It is that token: for prompts that a chat template made.
    Parse,
    /// It is text like any other: for what strangers wrote.
    AsText,
}

/// Text to tokens, and tokens to bytes.
pub struct Tokenizer {
    codec: Box<dyn Codec>,
    markers: Markers,
}

/// A vocabulary with its algorithm.
pub(crate) trait Codec: Send + Sync {
    fn n_vocab(&self) -> usize;

    /// The token written `text`.
    fn find(&self, text: &str) -> Option<TokenId>;

    /// `None` for no token.
    fn kind(&self, id: TokenId) -> Option<TokenKind>;

    /// Nothing for no token.
    fn bytes(&self, id: TokenId) -> Cow<'_, [u8]>;

    /// Whether encoding puts a space before a text, which decoding takes away.
    fn leads_with_space(&self) -> bool;

    /// Appends the tokens of `text`.
    fn encode(&self, text: &str, special: Special, ids: &mut Vec<TokenId>) -> Result<(), TextError>;
}

/// Longer texts are refused: positions inside are 32 bits wide, and some characters grow threefold.
const MAX_TEXT_BYTES: usize = 1 << 30;

impl Tokenizer {
    /// The tokenizer that the metadata of a GGUF file describes. The strings of its vocabulary stay in the file.
    ///
    /// # Errors
    /// [`TextError`] if a part is missing or damaged, or names a vocabulary or pre-tokenizer that is not supported.
    pub fn from_gguf(metadata: &Metadata) -> Result<Tokenizer, TextError> {
        let (codec, markers) = GgufTokenizer::read(metadata)?;
        Ok(Tokenizer { codec: Box::new(codec), markers })
    }

    /// The tokenizer in the `tokenizer.json` at `path`. Which tokens begin and end a text stands in files beside it: `bos`
    /// is the one before a text, `ends` are those that end it, the usual one first; tokens well known to end a turn are
    /// added. What goes around a prompt is as the post-processor of the file has it.
    ///
    /// # Errors
    /// [`TextError::Json`] if the file cannot be read or understood.
    pub fn from_file(path: &Path, bos: Option<TokenId>, ends: &[TokenId]) -> Result<Tokenizer, TextError> {
        let codec = JsonTokenizer::read(path)?;
        let (before, after) = codec.frame()?;
        let eos = ends.first().copied();
        let mut ends = [ends, &named_ends(|name| codec.find(name))].concat();
        ends.sort_unstable();
        ends.dedup();
        let markers = Markers { bos, eos, unknown: None, before, after, ends };
        Ok(Tokenizer { codec: Box::new(codec), markers })
    }

    /// The tokens of `text` alone.
    ///
    /// # Errors
    /// [`TextError::Encode`] if it is longer than 1 GiB.
    pub fn encode(&self, text: &str, special: Special) -> Result<Vec<TokenId>, TextError> {
        let mut ids = Vec::new();
        self.append(text, special, &mut ids)?;
        Ok(ids)
    }

    /// The tokens of `text` as a model reads a whole text: with what [`Self::before`] and [`Self::after`] say.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_framed(&self, text: &str, special: Special) -> Result<Vec<TokenId>, TextError> {
        let mut ids = self.markers.before.clone();
        self.append(text, special, &mut ids)?;
        ids.extend_from_slice(&self.markers.after);
        Ok(ids)
    }

    fn append(&self, text: &str, special: Special, ids: &mut Vec<TokenId>) -> Result<(), TextError> {
        if text.len() > MAX_TEXT_BYTES {
            let reason = format!("expected at most {MAX_TEXT_BYTES}");
            return Err(TextError::Encode { len_bytes: text.len(), reason });
        }
        self.codec.encode(text, special, ids)
    }

    /// Number of tokens; ids are below it.
    pub fn n_vocab(&self) -> usize {
        self.codec.n_vocab()
    }

    /// The token that begins a text, whether or not it is added.
    pub fn bos(&self) -> Option<TokenId> {
        self.markers.bos
    }

    /// The token that ends a text, whether or not it is added.
    pub fn eos(&self) -> Option<TokenId> {
        self.markers.eos
    }

    /// What goes before a text by the rules of the file: mostly [`Self::bos`] or nothing.
    pub fn before(&self) -> &[TokenId] {
        &self.markers.before
    }

    /// What goes after a text by the rules of the file.
    pub fn after(&self) -> &[TokenId] {
        &self.markers.after
    }

    /// Whether a model that generates `id` has said all it wanted.
    pub fn is_end(&self, id: TokenId) -> bool {
        self.markers.ends.binary_search(&id).is_ok()
    }

    /// All tokens for which [`Self::is_end`], ascending.
    pub fn ends(&self) -> &[TokenId] {
        &self.markers.ends
    }

    /// The token that the vocabulary writes `text`, such as `<|im_end|>`.
    pub fn token_id(&self, text: &str) -> Option<TokenId> {
        self.codec.find(text)
    }

    /// What token `id` is for; `None` if there is no such token.
    pub fn kind(&self, id: TokenId) -> Option<TokenKind> {
        self.codec.kind(id)
    }

    /// The bytes of text that token `id` stands for, which need not be whole characters; of a control token its name.
    /// None for a token that is unused or not there.
    pub fn token_bytes(&self, id: TokenId) -> Cow<'_, [u8]> {
        self.codec.bytes(id)
    }

    /// [`Self::token_bytes`] for people to read: `\u{fffd}` for what is not a whole character.
    pub fn token_text(&self, id: TokenId) -> String {
        String::from_utf8_lossy(&self.codec.bytes(id)).into_owned()
    }

    /// The text of `ids`, as [`Decoder`] makes it.
    pub fn decode(&self, ids: &[TokenId], controls: Controls) -> String {
        let mut decoder = Decoder::new(self, controls);
        let mut text: String = ids.iter().map(|&id| decoder.push(id)).collect();
        text.push_str(&decoder.finish());
        text
    }

    /// Whether encoding puts a space before a text, which decoding takes away.
    pub(super) fn leads_with_space(&self) -> bool {
        self.codec.leads_with_space()
    }
}
