//! WordPiece, as BERT has it: normalize, cut at whitespace and punctuation, then take the longest token each time.
//!
//! Source: Devlin et al., "BERT" (2019); GGUF writes `▁` before what begins a word instead of `##` before what does not.

use super::TextError;
use super::character::{Kind, kind};
use super::pattern::{Set, Split, one, split};
use super::piece::SPACE;
use super::vocabulary::Vocabulary;
use crate::TokenId;
use crate::gguf::Metadata;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{NormalizedString, Normalizer};

pub(crate) struct WordPiece {
    normalizer: BertNormalizer,
    /// The longest token, beyond which no piece of a word is looked up.
    max_len: usize,
}

/// As in BERT, a longer word becomes the unknown token; that also keeps the search linear in the text.
const MAX_WORD_CHARS: usize = 100;

/// Punctuation, and every printable character of ASCII that is no letter or number, is a word of its own.
const WORDS: &[Split] = &[
    Split::Rules(&[&[one(Set::of(&[Kind::Space]))]]),
    Split::Rules(&[&[one(Set::of(&[Kind::Punctuation]).and(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]))]]),
];

impl WordPiece {
    /// # Errors
    /// [`TextError::Gguf`] if a switch is not a bool.
    pub(crate) fn read(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<WordPiece, TextError> {
        let lowercase = metadata.bool("tokenizer.ggml.normalizer.lowercase")?.unwrap_or(true);
        let strip_accents = metadata.bool("tokenizer.ggml.normalizer.strip_accents")?;
        let normalizer = BertNormalizer::new(true, true, strip_accents, lowercase);
        Ok(WordPiece { normalizer, max_len: vocabulary.texts().map(<[u8]>::len).max().unwrap_or(0) })
    }

    /// Appends the tokens of `text` to `ids`; `unknown` for each word that has none.
    ///
    /// # Errors
    /// [`TextError::Encode`] if the normalizer fails.
    pub(crate) fn encode(
        &self,
        text: &str,
        vocabulary: &Vocabulary,
        unknown: Option<TokenId>,
        ids: &mut Vec<TokenId>,
    ) -> Result<(), TextError> {
        let mut normalized = NormalizedString::from(text);
        let failed = |error: tokenizers::Error| TextError::Encode { len_bytes: text.len(), reason: error.to_string() };
        self.normalizer.normalize(&mut normalized).map_err(failed)?;
        split(WORDS, normalized.get(), &mut |word| {
            if word.chars().all(|c| kind(c) == Kind::Space) {
                return;
            }
            let start = ids.len();
            if !self.encode_word(word, vocabulary, ids) {
                ids.truncate(start);
                ids.extend(unknown);
            }
        });
        Ok(())
    }

    /// Whether all of `word` could be written.
    fn encode_word(&self, word: &str, vocabulary: &Vocabulary, ids: &mut Vec<TokenId>) -> bool {
        if word.chars().count() > MAX_WORD_CHARS {
            return false;
        }
        let word = [SPACE, word].concat();
        let mut rest = word.as_str();
        while !rest.is_empty() {
            let longest = (1..=rest.len().min(self.max_len))
                .rev()
                .find_map(|len| Some((vocabulary.find_plain(rest.get(..len)?.as_bytes())?, len)));
            let Some((id, len)) = longest else { return false };
            ids.push(id);
            rest = &rest[len..];
        }
        true
    }
}
