//! Tokens to text, as they come.

use super::tokenizer::Tokenizer;
use super::vocabulary::TokenKind;
use crate::TokenId;
use std::ops::Deref;
use std::sync::Arc;

/// What becomes of control tokens in decoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controls {
    /// They are left out.
    Skip,
    /// Their names are shown.
    Show,
}

/// Turns a stream of tokens into a stream of text that never splits a character. It holds its tokenizer by reference or
/// by `Arc`.
pub struct Decoder<T = Arc<Tokenizer>> {
    tokenizer: T,
    controls: Controls,
    /// The beginning of a character whose rest is to come: three bytes at most.
    pending: Vec<u8>,
    /// Whether a space that comes next is the one that encoding put there.
    drops_space: bool,
}

impl<T: Deref<Target = Tokenizer>> Decoder<T> {
    /// Decodes from the beginning of a text.
    pub fn new(tokenizer: T, controls: Controls) -> Decoder<T> {
        let drops_space = tokenizer.leads_with_space();
        Decoder { tokenizer, controls, pending: Vec::new(), drops_space }
    }

    /// Decodes what follows `prompt`, which is not itself decoded: in the middle of a text a leading space stays.
    pub fn after(tokenizer: T, controls: Controls, prompt: &[TokenId]) -> Decoder<T> {
        let mut decoder = Decoder::new(tokenizer, controls);
        if let Some(&last) = prompt.last() {
            decoder.drops_space &= !matches!(decoder.tokenizer.kind(last), Some(TokenKind::Normal | TokenKind::Byte));
        }
        decoder
    }

    /// The text that is complete with `id`, perhaps none; `\u{fffd}` for bytes that begin no character.
    pub fn push(&mut self, id: TokenId) -> String {
        let bytes = self.tokenizer.token_bytes(id);
        let mut bytes = &*bytes;
        let mut text = String::new();
        match self.tokenizer.kind(id) {
            Some(TokenKind::Control | TokenKind::Unknown) => {
                text = flush(&mut self.pending);
                bytes = if self.controls == Controls::Show { bytes } else { &[] };
                self.drops_space = self.tokenizer.leads_with_space();
            }
            Some(TokenKind::UserDefined) => self.drops_space = self.tokenizer.leads_with_space(),
            _ => {
                bytes = bytes.strip_prefix(b" ").filter(|_| self.drops_space).unwrap_or(bytes);
                self.drops_space = false;
            }
        }
        self.pending.extend_from_slice(bytes);
        let n_whole = self.pending.len() - n_incomplete(&self.pending);
        text.push_str(&String::from_utf8_lossy(&self.pending[..n_whole]));
        self.pending.drain(..n_whole);
        text
    }

    /// What the text ends with: `\u{fffd}` for a character that never became complete.
    pub fn finish(&mut self) -> String {
        flush(&mut self.pending)
    }
}

fn flush(pending: &mut Vec<u8>) -> String {
    let text = String::from_utf8_lossy(pending).into_owned();
    pending.clear();
    text
}

/// How many bytes at the end of `bytes` begin a character that may yet be completed.
fn n_incomplete(bytes: &[u8]) -> usize {
    bytes.utf8_chunks().last().map_or(0, |chunk| {
        let end = chunk.invalid();
        let may_go_on = str::from_utf8(end).is_err_and(|error| error.error_len().is_none());
        if may_go_on { end.len() } else { 0 }
    })
}
