//! Where the tokens of a prompt and its answer are in the text that a completion tells.

use crate::{
    TokenId,
    engine::{Prompt, TokenLogprobs},
    text::{Controls, Decoder, Tokenizer},
};
use std::{iter::once, sync::Arc};

/// A token as it is reported.
#[derive(Clone, Debug)]
pub(super) struct PlacedToken {
    pub(super) token: TokenId,
    /// `None` for the token that begins a prompt.
    pub(super) logprobs: Option<TokenLogprobs>,
    /// Whole characters of text before it: clients count in characters, as OpenAI does.
    pub(super) offset: usize,
}

/// A prompt that an answer begins with.
pub(super) struct Echo {
    pub(super) text: String,
    /// Its tokens, each with the characters before it.
    tokens: Vec<(TokenId, usize)>,
}

impl Echo {
    /// `controls` says whether the text of the prompt has those of its tokens.
    pub(super) fn new(prompt: &Prompt, tokenizer: &Tokenizer, controls: Controls) -> Echo {
        let mut places = Places { decoder: Decoder::new(tokenizer, controls), n_before: 0 };
        // Where a tokenizer changes texts, they may differ from what its tokens say.
        let n_most = prompt.text.chars().count();
        let tokens = prompt.tokens.iter().map(|&token| (token, places.push(token).min(n_most)));
        Echo { tokens: tokens.collect(), text: prompt.text.clone() }
    }
}

/// Tokens of one answer that are on their way to the client.
pub(super) struct PlacedTokens {
    prompt: Vec<(TokenId, usize)>,
    places: Places<Arc<Tokenizer>>,
    /// Those that no piece has taken along yet.
    waiting: Vec<PlacedToken>,
}

impl PlacedTokens {
    /// Those of an answer to `prompt`, after `echo` if it begins with that.
    pub(super) fn after(prompt: &[TokenId], echo: Option<&Echo>, tokenizer: Arc<Tokenizer>) -> PlacedTokens {
        let decoder = Decoder::after(tokenizer, Controls::Skip, prompt);
        let n_before = echo.map_or(0, |echo| echo.text.chars().count());
        let prompt = echo.map(|echo| echo.tokens.clone()).unwrap_or_default();
        PlacedTokens { prompt, places: Places { decoder, n_before }, waiting: Vec::new() }
    }

    /// Adds the tokens of the prompt, all of which but the first have log-probabilities.
    pub(super) fn push_prompt(&mut self, logprobs: Vec<TokenLogprobs>) {
        let logprobs = once(None).chain(logprobs.into_iter().map(Some));
        let tokens = std::mem::take(&mut self.prompt).into_iter().zip(logprobs);
        self.waiting.extend(tokens.map(|((token, offset), logprobs)| PlacedToken { token, logprobs, offset }));
    }

    /// Adds the next token of the answer.
    pub(super) fn push(&mut self, logprobs: TokenLogprobs) {
        let token = logprobs.chosen.token;
        self.waiting.push(PlacedToken { token, offset: self.places.push(token), logprobs: Some(logprobs) });
    }

    /// Takes those that wait.
    pub(super) fn take(&mut self) -> Vec<PlacedToken> {
        std::mem::take(&mut self.waiting)
    }
}

/// Counts the characters of a text, token by token.
struct Places<T> {
    decoder: Decoder<T>,
    n_before: usize,
}

impl<T: std::ops::Deref<Target = Tokenizer>> Places<T> {
    /// Where `token` begins: the same place as the one before if it goes on with a character.
    fn push(&mut self, token: TokenId) -> usize {
        let begins = self.n_before;
        self.n_before += self.decoder.push(token).chars().count();
        begins
    }
}
