//! The tokenizer of `demo`: byte-level BPE with the word pattern of GPT-2, and three control tokens.

use anyhow::{Context, Result, anyhow, ensure};
use std::collections::HashMap;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::{AddedToken, NormalizerWrapper, TokenizerBuilder, TokenizerImpl};

/// Stands before nothing and fills rows up.
pub(crate) const END_OF_TEXT: u32 = 0;
const IM_START: u32 = 1;
/// Ends a message, and plain text too: one token to stop at.
pub(crate) const IM_END: u32 = 2;
pub(crate) const CONTROL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// A trained tokenizer.
pub(crate) struct Vocabulary(TokenizerImpl<BPE, NormalizerWrapper, ByteLevel, ByteLevel, ByteLevel>);

impl Vocabulary {
    /// Learns `n` tokens from `texts`.
    ///
    /// # Errors
    /// Texts too short to give `n` tokens.
    pub(crate) fn train(texts: &[String], n: usize) -> Result<Self> {
        let bytes = ByteLevel::new(false, true, true);
        let mut tokenizer = TokenizerBuilder::new()
            .with_model(BPE::default())
            .with_normalizer(None)
            .with_pre_tokenizer(Some(bytes))
            .with_post_processor(None)
            .with_decoder(Some(bytes))
            .build()
            .map_err(|err| anyhow!(err))?;
        let control = CONTROL.map(|text| AddedToken::from(text, true)).to_vec();
        let mut trainer = BpeTrainerBuilder::new()
            .vocab_size(n)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(control)
            .build();
        tokenizer.train(&mut trainer, texts.iter()).map_err(|err| anyhow!(err))?;
        ensure!(tokenizer.get_vocab_size(true) == n, "the corpus is too small for {n} tokens");
        Ok(Self(tokenizer))
    }

    /// Tokens of `text`, in which control tokens are ordinary characters only if they are not whole.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.0.encode_fast(text, false).map_err(|err| anyhow!(err))?.get_ids().to_vec())
    }

    /// Text of `tokens` without the control tokens.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub(crate) fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.0.decode(tokens, true).map_err(|err| anyhow!(err))
    }

    /// A message as the chat template writes it, up to where its content starts.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub(crate) fn open_message(&self, role: &str) -> Result<Vec<u32>> {
        Ok([vec![IM_START], self.encode(&format!("{role}\n"))?].concat())
    }

    /// A whole message.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub(crate) fn message(&self, role: &str, content: &str) -> Result<Vec<u32>> {
        // In one piece, because that is how the template's output is cut.
        let text = self.encode(&format!("{role}\n{content}"))?;
        Ok([vec![IM_START], text, vec![IM_END], self.encode("\n")?].concat())
    }

    /// Tokens in the order of their numbers, and merges in the order of their ranks, as GGUF writes them.
    ///
    /// # Errors
    /// A serialization of the tokenizer that is not what its version 0.23 writes.
    pub(crate) fn tables(&self) -> Result<(Vec<String>, Vec<String>)> {
        let model = serde_json::to_value(self.0.get_model())?;
        let vocab: HashMap<String, usize> = serde_json::from_value(model["vocab"].clone())?;
        let mut tokens = vec![String::new(); vocab.len()];
        for (text, id) in vocab {
            *tokens.get_mut(id).context("a token number past the end")? = text;
        }
        let merges: Vec<(String, String)> = serde_json::from_value(model["merges"].clone())?;
        Ok((tokens, merges.into_iter().map(|(left, right)| format!("{left} {right}")).collect()))
    }
}
