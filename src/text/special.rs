//! Finds tokens that stand for structure in a text, before the rest is tokenized.

use super::tokenizer::Special;
use super::vocabulary::{TokenKind, Vocabulary};
use crate::TokenId;

/// Where special tokens can begin, and what happens to whitespace after them.
pub(crate) struct SpecialTokens {
    /// By first byte, how long the tokens are that begin with it, longest first.
    lens: Vec<Vec<usize>>,
    /// Those that swallow the whitespace after them, ascending.
    strip_right: Vec<TokenId>,
}

/// Special tokens are short; a longer one would let a crafted file make each `<` of a text slow.
const MAX_LEN: usize = 256;

/// A part of a text.
pub(crate) enum Fragment<'t> {
    Text(&'t str),
    Token(TokenId),
}

impl SpecialTokens {
    pub(crate) fn new(vocabulary: &Vocabulary, strip_right: Vec<TokenId>) -> SpecialTokens {
        let mut lens = vec![Vec::new(); 256];
        for (id, _) in vocabulary.kinds().filter(|&(_, kind)| is_special(kind, Special::Parse)) {
            let text = vocabulary.text(id);
            // A token must not begin within a character, which only a crafted vocabulary could make it do.
            if let Some(&first) = text.first()
                && first & 0xC0 != 0x80
                && text.len() <= MAX_LEN
            {
                lens[first as usize].push(text.len());
            }
        }
        for lens in &mut lens {
            lens.sort_unstable_by(|a, b| b.cmp(a));
            lens.dedup();
        }
        SpecialTokens { lens, strip_right }
    }

    /// Hands to `part` the special tokens of `text`, leftmost and longest first, and the text between them.
    pub(crate) fn split<'t>(
        &self,
        text: &'t str,
        vocabulary: &Vocabulary,
        special: Special,
        part: &mut dyn FnMut(Fragment<'t>),
    ) {
        let (mut start, mut at) = (0, 0);
        while at < text.len() {
            let Some((id, len)) = self.token_at(&text.as_bytes()[at..], vocabulary, special) else {
                at += 1;
                continue;
            };
            if at > start {
                part(Fragment::Text(&text[start..at]));
            }
            part(Fragment::Token(id));
            at += len;
            if self.strip_right.binary_search(&id).is_ok() {
                let is_space = |c: char| c.is_ascii_whitespace() || c == '\x0B';
                at = text.len() - text[at..].trim_start_matches(is_space).len();
            }
            start = at;
        }
        if start < text.len() {
            part(Fragment::Text(&text[start..]));
        }
    }

    /// The longest special token that `text` begins with, and its length.
    fn token_at(&self, text: &[u8], vocabulary: &Vocabulary, special: Special) -> Option<(TokenId, usize)> {
        self.lens[text[0] as usize].iter().find_map(|&len| {
            let candidate = text.get(..len)?;
            // Nor must it end within one.
            let ends_whole = text.get(len).is_none_or(|byte| byte & 0xC0 != 0x80);
            let id = vocabulary.find(candidate).filter(|_| ends_whole)?;
            is_special(vocabulary.kind(id)?, special).then_some((id, len))
        })
    }
}

/// Whether tokens of `kind` are found in a text.
fn is_special(kind: TokenKind, special: Special) -> bool {
    match kind {
        TokenKind::UserDefined => true,
        TokenKind::Control | TokenKind::Unknown => special == Special::Parse,
        TokenKind::Normal | TokenKind::Unused | TokenKind::Byte => false,
    }
}
