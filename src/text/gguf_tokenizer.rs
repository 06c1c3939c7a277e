//! The tokenizer that the metadata of a GGUF file describes.

use super::TextError;
use super::bpe::{Bpe, Merges};
use super::markers::{Defaults, Markers};
use super::piece::{self, Spelling};
use super::pretokenizer::{self, Alphabet, Pretokenizer};
use super::special::{Fragment, SpecialTokens};
use super::spm::{self, Scores};
use super::tokenizer::{Codec, Special};
use super::vocabulary::{TOKENS, TokenKind, Vocabulary};
use super::wordpiece::WordPiece;
use crate::TokenId;
use crate::gguf::Metadata;
use std::borrow::Cow;
use std::thread;

pub(crate) struct GgufTokenizer {
    vocabulary: Vocabulary,
    special_tokens: SpecialTokens,
    unknown: Option<TokenId>,
    /// Whether a space goes before a text, and before what follows a special token.
    add_space: bool,
    algorithm: Algorithm,
}

enum Algorithm {
    Bpe { merges: Merges, pretokenizer: &'static Pretokenizer },
    Spm(Scores),
    WordPiece(WordPiece),
}

impl GgufTokenizer {
    /// # Errors
    /// [`TextError`] if a key is missing, damaged, or names what is not supported.
    pub(crate) fn read(metadata: &Metadata) -> Result<(GgufTokenizer, Markers), TextError> {
        const MODEL: &str = "tokenizer.ggml.model";
        let (mut vocabulary, algorithm, defaults) = match metadata.str(MODEL)?.ok_or(TextError::Missing(MODEL))? {
            "gpt2" => read_bpe(metadata, metadata.str("tokenizer.ggml.pre")?)?,
            "gemma4" => read_bpe(metadata, Some("gemma4"))?,
            "llama" => read_spm(metadata)?,
            "bert" => read_wordpiece(metadata)?,
            other => return Err(TextError::UnknownModel(other.into())),
        };
        if vocabulary.len() == 0 {
            return Err(TextError::Damaged { key: TOKENS, reason: "is empty, expected a token at least".into() });
        }
        let mut markers = Markers::read(metadata, &mut vocabulary, defaults)?;
        if let Algorithm::WordPiece(_) = algorithm {
            frame_by_classes(metadata, &vocabulary, &mut markers)?;
        }
        let special_tokens = SpecialTokens::new(&vocabulary, strip_right(metadata, &vocabulary));
        let is_spm = matches!(algorithm, Algorithm::Spm(_));
        let add_space = is_spm && metadata.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
        let unknown = markers.unknown;
        Ok((GgufTokenizer { vocabulary, special_tokens, unknown, add_space, algorithm }, markers))
    }

    /// Appends the tokens of a text without special tokens; whether a space goes before it is the second argument.
    fn encoder<'t>(&'t self) -> Box<Encoder<'t>> {
        let (vocabulary, unknown) = (&self.vocabulary, self.unknown);
        match &self.algorithm {
            Algorithm::Bpe { merges, pretokenizer } => {
                let mut bpe = Bpe::new(vocabulary, merges, pretokenizer, unknown);
                Box::new(move |text, _, ids| {
                    bpe.encode(text, ids);
                    Ok(())
                })
            }
            Algorithm::Spm(scores) => Box::new(move |text, space_before, ids| {
                spm::encode(text, space_before, vocabulary, scores, unknown, ids);
                Ok(())
            }),
            Algorithm::WordPiece(wordpiece) => {
                Box::new(move |text, _, ids| wordpiece.encode(text, vocabulary, unknown, ids))
            }
        }
    }

    fn spelling(&self) -> Spelling {
        match self.algorithm {
            Algorithm::Bpe { pretokenizer, .. } if pretokenizer.alphabet == Alphabet::Bytes => Spelling::ByteLevel,
            _ => Spelling::Spaces,
        }
    }
}

type Encoder<'t> = dyn FnMut(&'t str, bool, &mut Vec<TokenId>) -> Result<(), TextError> + 't;

type Parts = (Vocabulary, Algorithm, Defaults);

fn read_bpe(metadata: &Metadata, pre: Option<&str>) -> Result<Parts, TextError> {
    let pre = pre.unwrap_or_else(|| {
        tracing::warn!("the file names no pre-tokenizer, so words may be cut otherwise than the model was trained");
        "default"
    });
    let pretokenizer = pretokenizer::named(pre)?;
    // The two tables are what takes time at start, and independent.
    let (vocabulary, merges) = thread::scope(|scope| {
        let merges = scope.spawn(|| Merges::read(metadata));
        (Vocabulary::read(metadata), merges.join())
    });
    let merges = merges.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let defaults = Defaults { add_bos: pretokenizer.add_bos, ..Defaults::default() };
    Ok((vocabulary?, Algorithm::Bpe { merges, pretokenizer }, defaults))
}

fn read_spm(metadata: &Metadata) -> Result<Parts, TextError> {
    let vocabulary = Vocabulary::read(metadata)?;
    let scores = Scores::read(metadata, vocabulary.len())?;
    let defaults = Defaults { bos: Some(1), eos: Some(2), unknown: Some(0), add_bos: true };
    Ok((vocabulary, Algorithm::Spm(scores), defaults))
}

fn read_wordpiece(metadata: &Metadata) -> Result<Parts, TextError> {
    let vocabulary = Vocabulary::read(metadata)?;
    let wordpiece = WordPiece::read(metadata, &vocabulary)?;
    let cls = metadata.u32("tokenizer.ggml.cls_token_id")?.unwrap_or(101);
    let defaults = Defaults { bos: Some(cls), eos: None, unknown: Some(100), add_bos: true };
    Ok((vocabulary, Algorithm::WordPiece(wordpiece), defaults))
}

/// BERT always reads a text between `[CLS]` and `[SEP]`.
fn frame_by_classes(metadata: &Metadata, vocabulary: &Vocabulary, markers: &mut Markers) -> Result<(), TextError> {
    // The key is misspelt in the format.
    let separator = metadata.u32("tokenizer.ggml.seperator_token_id")?.unwrap_or(102);
    markers.before = Vec::from_iter(markers.bos);
    markers.after = Vec::from_iter(Some(separator).filter(|&id| vocabulary.kind(id).is_some()));
    Ok(())
}

/// The tokens after which Phi-3 was trained without whitespace, which its files do not say.
fn strip_right(metadata: &Metadata, vocabulary: &Vocabulary) -> Vec<TokenId> {
    let name = metadata.str("general.name").ok().flatten().unwrap_or_default().to_lowercase();
    if !name.contains("phi-3") && !name.contains("phi3") {
        return Vec::new();
    }
    let is_special = |kind| matches!(kind, TokenKind::Control | TokenKind::Unknown | TokenKind::UserDefined);
    let is_plain = |id| matches!(vocabulary.text(id), b"<unk>" | b"<s>" | b"<|endoftext|>");
    vocabulary.kinds().filter(|&(id, kind)| is_special(kind) && !is_plain(id)).map(|(id, _)| id).collect()
}

impl Codec for GgufTokenizer {
    fn n_vocab(&self) -> usize {
        self.vocabulary.len()
    }

    fn find(&self, text: &str) -> Option<TokenId> {
        self.vocabulary.find(text.as_bytes())
    }

    fn kind(&self, id: TokenId) -> Option<TokenKind> {
        self.vocabulary.kind(id)
    }

    fn bytes(&self, id: TokenId) -> Cow<'_, [u8]> {
        let kind = self.kind(id).unwrap_or(TokenKind::Unused);
        piece::bytes(self.vocabulary.text(id).into(), kind, self.spelling())
    }

    fn leads_with_space(&self) -> bool {
        self.add_space || matches!(self.algorithm, Algorithm::WordPiece(_))
    }

    fn encode(&self, text: &str, special: Special, ids: &mut Vec<TokenId>) -> Result<(), TextError> {
        let mut fragments = Vec::new();
        self.special_tokens.split(text, &self.vocabulary, special, &mut |part| fragments.push(part));
        let mut encode = self.encoder();
        let mut space_before = self.add_space;
        for fragment in fragments {
            space_before = match fragment {
                Fragment::Token(id) => {
                    ids.push(id);
                    self.add_space
                }
                Fragment::Text(text) => {
                    encode(text, space_before, ids)?;
                    false
                }
            };
        }
        Ok(())
    }
}
