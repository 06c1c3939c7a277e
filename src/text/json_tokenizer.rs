//! The tokenizer in a `tokenizer.json`, through the `tokenizers` library.

use super::TextError;
use super::piece::{self, Spelling};
use super::tokenizer::{Codec, Special};
use super::vocabulary::TokenKind;
use crate::TokenId;
use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;
use tokenizers::DecoderWrapper;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;

pub(crate) struct JsonTokenizer {
    parsing: tokenizers::Tokenizer,
    /// The same with control tokens taken for text; made when it is asked for.
    plain: OnceLock<tokenizers::Tokenizer>,
    spelling: Spelling,
    leads_with_space: bool,
}

/// What goes before and after a text.
pub(crate) type Frame = (Vec<TokenId>, Vec<TokenId>);

impl JsonTokenizer {
    /// # Errors
    /// [`TextError::Json`] if the file cannot be read or understood.
    pub(crate) fn read(path: &Path) -> Result<JsonTokenizer, TextError> {
        let failed = |error: tokenizers::Error| TextError::Json { path: path.into(), reason: error.to_string() };
        let mut parsing = tokenizers::Tokenizer::from_file(path).map_err(failed)?;
        // Some files say how long a text is cut for training; a prompt is never cut.
        parsing.with_truncation(None).map_err(failed)?.with_padding(None);
        let parts: &[DecoderWrapper] = match parsing.get_decoder() {
            Some(DecoderWrapper::Sequence(sequence)) => sequence.get_decoders(),
            Some(decoder) => std::slice::from_ref(decoder),
            None => &[],
        };
        let has = |test: fn(&DecoderWrapper) -> bool| parts.iter().any(test);
        let spelling = if has(|part| matches!(part, DecoderWrapper::ByteLevel(_))) {
            Spelling::ByteLevel
        } else if has(|part| matches!(part, DecoderWrapper::WordPiece(_))) {
            Spelling::Hashes
        } else {
            Spelling::Spaces
        };
        let leads_with_space = has(|part| match part {
            DecoderWrapper::Strip(strip) => strip.content == ' ' && strip.start > 0,
            DecoderWrapper::Metaspace(metaspace) => metaspace.prepend_scheme != PrependScheme::Never,
            other => matches!(other, DecoderWrapper::WordPiece(_)),
        });
        Ok(JsonTokenizer { parsing, plain: OnceLock::new(), spelling, leads_with_space })
    }

    /// What the post-processor puts around a text.
    ///
    /// # Errors
    /// [`TextError::Encode`] if it fails.
    pub(crate) fn frame(&self) -> Result<Frame, TextError> {
        // A letter stands between the two.
        let framed = encode(&self.parsing, "a", true)?;
        let alone = encode(&self.parsing, "a", false)?;
        let n_before = framed.windows(alone.len().max(1)).position(|part| part == alone).unwrap_or(0);
        let after = framed.get(n_before + alone.len()..).unwrap_or_default();
        Ok((framed[..n_before].to_vec(), after.to_vec()))
    }
}

fn encode(tokenizer: &tokenizers::Tokenizer, text: &str, framed: bool) -> Result<Vec<TokenId>, TextError> {
    let encoding = tokenizer.encode_fast(text, framed);
    let encoding = encoding.map_err(|error| TextError::Encode { len_bytes: text.len(), reason: error.to_string() })?;
    Ok(encoding.get_ids().to_vec())
}

impl Codec for JsonTokenizer {
    fn n_vocab(&self) -> usize {
        let added = self.parsing.get_added_vocabulary().get_added_tokens_decoder();
        let n_added = added.keys().max().map_or(0, |&last| last as usize + 1);
        n_added.max(self.parsing.get_vocab_size(false))
    }

    fn find(&self, text: &str) -> Option<TokenId> {
        self.parsing.token_to_id(text)
    }

    fn kind(&self, id: TokenId) -> Option<TokenKind> {
        let text = self.parsing.id_to_token(id)?;
        let added = self.parsing.get_added_vocabulary();
        Some(if added.is_special_token(&text) {
            TokenKind::Control
        } else if added.get_vocab().contains_key(&text) {
            TokenKind::UserDefined
        } else if self.spelling == Spelling::Spaces && piece::byte(text.as_bytes()).is_some() {
            TokenKind::Byte
        } else {
            TokenKind::Normal
        })
    }

    fn bytes(&self, id: TokenId) -> Cow<'_, [u8]> {
        let text = self.parsing.id_to_token(id).unwrap_or_default();
        let kind = self.kind(id).unwrap_or(TokenKind::Unused);
        piece::bytes(Cow::Owned(text.into_bytes()), kind, self.spelling)
    }

    fn leads_with_space(&self) -> bool {
        self.leads_with_space
    }

    fn encode(&self, text: &str, special: Special, ids: &mut Vec<TokenId>) -> Result<(), TextError> {
        let tokenizer = match special {
            Special::Parse => &self.parsing,
            Special::AsText => self.plain.get_or_init(|| {
                let mut plain = self.parsing.clone();
                plain.set_encode_special_tokens(true);
                plain
            }),
        };
        ids.extend(encode(tokenizer, text, false)?);
        Ok(())
    }
}
