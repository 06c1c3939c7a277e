//! Making a prompt fit the context.

use crate::{
    TokenId,
    engine::{EngineError, Prompt},
    text::{Special, Tokenizer},
};

/// Which part of a prompt that does not fit is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Truncate {
    /// The beginning
    Head,
    /// The middle
    Middle,
    /// The end
    Tail,
}

/// A prompt that fits.
pub(super) struct Fitted {
    pub(super) prompt: Prompt,
    /// Tokens of the text that were left out.
    pub(super) n_truncated: usize,
}

/// What a prompt must fit into.
pub(super) struct Limits {
    n_ctx: usize,
    /// Positions kept for the answer when something is left out anyway.
    n_answer: usize,
    truncate: Option<Truncate>,
}

impl Limits {
    pub(super) fn new(n_ctx: usize, max_tokens: Option<usize>, truncate: Option<Truncate>) -> Limits {
        let n_answer = max_tokens.unwrap_or(n_ctx / 4).min(n_ctx / 2);
        Limits { n_ctx, n_answer, truncate }
    }
}

impl Fitted {
    pub(super) fn whole(prompt: Prompt) -> Fitted {
        Fitted { prompt, n_truncated: 0 }
    }
}

/// Makes a prompt of `text`, of which as many tokens are left out as must be for it to fit.
///
/// # Errors
/// [`EngineError::PromptTooLong`] if nothing may be left out, or what `make` adds to the text does not fit alone.
pub(super) fn fit(
    text: &str,
    tokenizer: &Tokenizer,
    make: impl Fn(&str) -> anyhow::Result<Prompt>,
    limits: &Limits,
) -> anyhow::Result<Fitted> {
    let prompt = make(text)?;
    let (n_prompt, n_ctx) = (prompt.tokens.len(), limits.n_ctx);
    if n_prompt <= n_ctx {
        return Ok(Fitted::whole(prompt));
    }
    let too_long = EngineError::PromptTooLong { n_prompt, n_ctx };
    let Some(truncate) = limits.truncate else { return Err(too_long.into()) };
    let tokens = tokenizer.encode(text, Special::AsText)?;
    let room = n_ctx - limits.n_answer;
    // Where a text is cut its tokens can change, so what does not fit yet gives up the difference again.
    let mut n_kept = tokens.len().saturating_sub(n_prompt - room);
    loop {
        let prompt = make(&cut(&tokens, n_kept, truncate, tokenizer))?;
        let excess = prompt.tokens.len().saturating_sub(room);
        if excess == 0 {
            return Ok(Fitted { prompt, n_truncated: tokens.len() - n_kept });
        }
        if n_kept == 0 {
            return Err(too_long.into());
        }
        n_kept = n_kept.saturating_sub(excess);
    }
}

/// The text of `n_kept` of the tokens. A character that the cut would split is left out.
fn cut(tokens: &[TokenId], n_kept: usize, truncate: Truncate, tokenizer: &Tokenizer) -> String {
    let n_head = match truncate {
        Truncate::Head => 0,
        Truncate::Middle => n_kept.div_ceil(2),
        Truncate::Tail => n_kept,
    };
    let text = |tokens: &[TokenId]| {
        let bytes: Vec<u8> = tokens.iter().flat_map(|&token| tokenizer.token_bytes(token).into_owned()).collect();
        String::from_utf8_lossy(&bytes).trim_matches(char::REPLACEMENT_CHARACTER).to_owned()
    };
    text(&tokens[..n_head]) + &text(&tokens[tokens.len() - (n_kept - n_head)..])
}
