//! Tokens to text, as they come.

use super::tokenizer::Tokenizer;
use super::vocabulary::TokenKind;
use crate::TokenId;
use std::sync::Arc;

/// What becomes of control tokens in decoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controls {
    /// They are left out.
    Skip,
    /// Their names are shown.
    Show,
}

/// Turns a stream of tokens into a stream of text that never splits a character.
pub struct Decoder {
    tokenizer: Arc<Tokenizer>,
    controls: Controls,
    /// The beginning of a character whose rest is to come: three bytes at most.
    pending: Vec<u8>,
    /// Whether a space that comes next is the one that encoding put there.
    drops_space: bool,
}

impl Decoder {
    /// Decodes from the beginning of a text.
    pub fn new(tokenizer: Arc<Tokenizer>, controls: Controls) -> Decoder {
        let drops_space = tokenizer.leads_with_space();
        Decoder { tokenizer, controls, pending: Vec::new(), drops_space }
    }

    /// Decodes what follows `prompt`, which is not itself decoded: in the middle of a text a leading space stays.
    pub fn after(tokenizer: Arc<Tokenizer>, controls: Controls, prompt: &[TokenId]) -> Decoder {
        let mut decoder = Decoder::new(tokenizer, controls);
        if let Some(&last) = prompt.last() {
            decoder.drops_space &= decoder.is_control(last);
        }
        decoder
    }

    /// The text that is complete with `id`, perhaps none; `\u{fffd}` for bytes that begin no character.
    pub fn push(&mut self, id: TokenId) -> String {
        let mut text = String::new();
        if self.is_control(id) {
            text = self.finish();
            self.drops_space = self.tokenizer.leads_with_space();
            if self.controls == Controls::Show {
                text.push_str(&self.tokenizer.token_text(id));
            }
            return text;
        }
        let bytes = self.tokenizer.token_bytes(id);
        let bytes = bytes.strip_prefix(b" ").filter(|_| self.drops_space).unwrap_or(&bytes);
        self.drops_space &= bytes.is_empty();
        self.pending.extend_from_slice(bytes);
        let mut rest = &self.pending[..];
        loop {
            match str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                }
                Err(error) => {
                    let (valid, invalid) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = invalid;
                    if let Some(len) = error.error_len() {
                        text.push(char::REPLACEMENT_CHARACTER);
                        rest = &rest[len..];
                        continue;
                    }
                }
            }
            break;
        }
        let n_done = self.pending.len() - rest.len();
        self.pending.drain(..n_done);
        text
    }

    /// What the text ends with: `\u{fffd}` for a character that never became complete.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        text
    }

    fn is_control(&self, id: TokenId) -> bool {
        matches!(self.tokenizer.kind(id), Some(TokenKind::Control | TokenKind::Unknown))
    }
}
