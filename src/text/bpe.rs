//! Byte-pair encoding with the merges of a GGUF file, which stay in the file.

use super::TextError;
use super::merge::Merger;
use super::pattern::split;
use super::piece::write_byte_level;
use super::pretokenizer::{Alphabet, Pretokenizer, Whole};
use super::table::Table;
use super::vocabulary::Vocabulary;
use crate::TokenId;
use crate::gguf::{Metadata, StringArray};
use std::collections::HashMap;
use std::ops::Range;

/// The merges of a byte-pair vocabulary, best first.
pub(crate) struct Merges {
    /// Two strings with a space between each.
    pairs: StringArray,
    table: Table,
}

const MERGES: &str = "tokenizer.ggml.merges";

impl Merges {
    /// # Errors
    /// [`TextError`] if they are missing or far too many are equal.
    pub(crate) fn read(metadata: &Metadata) -> Result<Merges, TextError> {
        let pairs = metadata.strings(MERGES)?.ok_or(TextError::Missing(MERGES))?;
        let table = Table::build(&pairs, MERGES)?;
        Ok(Merges { pairs, table })
    }

    /// The place in the list of joining the first `at` bytes of `both` to the rest; `pair` is scratch.
    fn rank(&self, both: &[u8], at: usize, pair: &mut Vec<u8>) -> Option<u32> {
        pair.clear();
        pair.extend_from_slice(&both[..at]);
        pair.push(b' ');
        pair.extend_from_slice(&both[at..]);
        self.table.find(&self.pairs, pair)
    }
}

/// Encodes one text.
pub(crate) struct Bpe<'a, 't> {
    vocabulary: &'a Vocabulary,
    merges: &'a Merges,
    pretokenizer: &'static Pretokenizer,
    unknown: Option<TokenId>,
    merger: Merger,
    word: Vec<u8>,
    pair: Vec<u8>,
    /// Where in the output the tokens of a word are: most words of a text are there before.
    seen: HashMap<&'t str, Range<usize>>,
}

impl<'a, 't> Bpe<'a, 't> {
    pub(crate) fn new(
        vocabulary: &'a Vocabulary,
        merges: &'a Merges,
        pretokenizer: &'static Pretokenizer,
        unknown: Option<TokenId>,
    ) -> Bpe<'a, 't> {
        Bpe {
            vocabulary,
            merges,
            pretokenizer,
            unknown,
            merger: Merger::default(),
            word: Vec::new(),
            pair: Vec::new(),
            seen: HashMap::new(),
        }
    }

    /// Appends the tokens of `text` to `ids`, which starts out with what this appended before.
    pub(crate) fn encode(&mut self, text: &'t str, ids: &mut Vec<TokenId>) {
        split(self.pretokenizer.splits, text, &mut |word| {
            if let Some(range) = self.seen.get(word) {
                ids.extend_from_within(range.clone());
                return;
            }
            let start = ids.len();
            self.encode_word(word, ids);
            self.seen.insert(word, start..ids.len());
        });
    }

    fn encode_word(&mut self, text: &str, ids: &mut Vec<TokenId>) {
        let alphabet = self.pretokenizer.alphabet;
        self.word.clear();
        for byte in text.bytes() {
            match (alphabet, byte) {
                (Alphabet::Bytes, _) => write_byte_level(byte, &mut self.word),
                (Alphabet::Characters, b' ') => self.word.extend_from_slice(super::piece::SPACE.as_bytes()),
                (Alphabet::Characters, _) => self.word.push(byte),
            }
        }
        let whole = match self.pretokenizer.whole {
            Whole::Always => true,
            Whole::Newlines => text.starts_with('\n'),
            Whole::Never => false,
        };
        if let Some(id) = whole.then(|| self.vocabulary.find_plain(&self.word)).flatten() {
            return ids.push(id);
        }
        let Bpe { vocabulary, merges, unknown, merger, word, pair, .. } = self;
        merger.merge(
            word,
            character_lens(word),
            |both, at| merges.rank(both, at, pair),
            |symbol| match vocabulary.find_plain(symbol) {
                Some(id) => ids.push(id),
                None => {
                    ids.extend(symbol.iter().filter_map(|&byte| byte_token(vocabulary, alphabet, byte).or(*unknown)))
                }
            },
        );
    }
}

/// The token for a byte of a symbol that is no token.
fn byte_token(vocabulary: &Vocabulary, alphabet: Alphabet, byte: u8) -> Option<TokenId> {
    match alphabet {
        Alphabet::Bytes => vocabulary.find_plain(&[byte]),
        Alphabet::Characters => vocabulary.find_plain(format!("<0x{byte:02X}>").as_bytes()),
    }
}

/// The lengths in bytes of the characters of `text`, which is UTF-8.
pub(crate) fn character_lens(text: &[u8]) -> impl Iterator<Item = usize> {
    text.chunk_by(|_, next| next & 0xC0 == 0x80).map(<[u8]>::len)
}
