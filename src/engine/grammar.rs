//! Answers that must fit a grammar: which tokens may come next.
//!
//! Grammars are compiled and followed by llguidance, over the bytes of the tokens.

use super::{gbnf, multiples};
use crate::{TokenId, text::TokenKind, text::Tokenizer};
use llguidance::{
    Matcher, ParserFactory,
    api::{ParserLimits, TopLevelGrammar},
    earley::SlicedBiasComputer,
    toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie},
};
use serde_json::{Value, json};
use std::{fmt, sync::Arc, thread};

/// What an answer must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Grammar {
    /// JSON that fits a schema.
    JsonSchema(Value),
    /// Text that a regular expression matches from its beginning to its end.
    Regex(String),
    /// Text that a grammar derives, in llguidance's variant of Lark.
    Lark(String),
}

impl Grammar {
    /// The grammar that `text` writes, in Lark or, if it has rules with `::=`, in llama.cpp's GBNF.
    ///
    /// # Errors
    /// [`GrammarError::Malformed`] if it is GBNF and malformed; Lark is read when it is compiled.
    pub fn from_text(text: &str) -> Result<Grammar, GrammarError> {
        let lark =
            if text.contains("::=") { gbnf::to_lark(text).map_err(GrammarError::Malformed)? } else { text.into() };
        Ok(Grammar::Lark(lark))
    }

    /// How long it is when it is written out.
    fn n_bytes(&self) -> usize {
        match self {
            Grammar::JsonSchema(schema) => schema.to_string().len(),
            Grammar::Regex(text) | Grammar::Lark(text) => text.len(),
        }
    }
}

/// Spaces and line breaks that may stand in a row in JSON. Without an end to them a weak model never stops.
const WHITESPACE: &str = r"[\x20\x0A\x0D\x09]{1,24}";

/// Bytes of a grammar at most. The compiler calls itself once more for each rule that leads to another, so that this bounds
/// the stack that it needs.
const MOST_BYTES: usize = 256 << 10;
/// That stack, which whoever follows a grammar needs as well. Only as much as is used of it takes memory.
pub(crate) const STACK_BYTES: usize = 256 << 20;

/// Compiles grammars for one vocabulary.
pub struct Grammars {
    factory: ParserFactory,
}

/// Why no answer can be held to a grammar.
#[derive(Debug, thiserror::Error)]
pub enum GrammarError {
    /// It is malformed, or asks for what is not supported.
    #[error("the grammar cannot be used: {0}")]
    Malformed(String),
    /// It became too costly to follow.
    #[error("the answer cannot be held to the grammar any longer: {0}")]
    Lost(String),
}

impl Grammars {
    /// Prepares the vocabulary of `tokenizer`, which takes some tenths of a second for a large one.
    ///
    /// # Errors
    /// [`GrammarError::Malformed`] if the vocabulary is empty or has no token that ends an answer.
    pub fn new(tokenizer: &Tokenizer) -> Result<Grammars, GrammarError> {
        let [end, ..] = tokenizer.ends() else {
            return Err(GrammarError::Malformed("the model has no token that ends an answer".into()));
        };
        let n_vocab = tokenizer.n_vocab() as TokenId;
        let words: Vec<Vec<u8>> = (0..n_vocab).map(|id| word(tokenizer, id)).collect();
        let trie = TokTrie::from(&TokRxInfo::new(n_vocab, *end), &words).with_eos_tokens(tokenizer.ends());
        let vocabulary: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = SlicedBiasComputer::json_slices();
        let mut factory =
            ParserFactory::new(&vocabulary, InferenceCapabilities::default(), &slices).map_err(malformed)?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits { verbose_errors: false, ..ParserLimits::default() };
        Ok(Grammars { factory })
    }

    /// A constraint at its beginning.
    ///
    /// # Errors
    /// [`GrammarError::Malformed`] if the grammar is, or is too large.
    pub fn compile(&self, grammar: &Grammar) -> Result<Constraint, GrammarError> {
        let n_bytes = grammar.n_bytes();
        if n_bytes > MOST_BYTES {
            return Err(GrammarError::Malformed(format!("it has {n_bytes} bytes, expected at most {MOST_BYTES}")));
        }
        let too_large = match grammar {
            Grammar::JsonSchema(schema) => multiples::too_large(schema),
            Grammar::Lark(text) => multiples::too_large_in_lark(text),
            Grammar::Regex(_) => false,
        };
        if too_large {
            return Err(GrammarError::Malformed("its `multipleOf` is too large".into()));
        }
        let grammar = match grammar {
            Grammar::JsonSchema(schema) => TopLevelGrammar::from_json_schema(with_whitespace(schema.clone())),
            Grammar::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Grammar::Lark(lark) => TopLevelGrammar::from_lark(lark.clone()),
        };
        let matcher = on_deep_stack(|| {
            let mut matcher = Matcher::new(self.factory.create_parser(grammar));
            // What derives nothing shows only here.
            let _ = matcher.compute_mask_or_eos();
            matcher
        })?;
        match matcher.get_error() {
            Some(error) => Err(GrammarError::Malformed(one_line(&error))),
            None => Ok(Constraint { matcher }),
        }
    }
}

/// Runs `work` with a stack that no grammar of [`MOST_BYTES`] overflows.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, GrammarError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).map_err(malformed)?;
        // llguidance catches its panics itself, wherever it expects some.
        thread.join().map_err(|_| GrammarError::Malformed("its compiler failed".into()))
    })
}

/// The bytes of a token; control tokens are marked, so that no text takes them for its own.
fn word(tokenizer: &Tokenizer, id: TokenId) -> Vec<u8> {
    let bytes = tokenizer.token_bytes(id);
    match tokenizer.kind(id) {
        Some(TokenKind::Control | TokenKind::Unknown) => [&[TokTrie::SPECIAL_TOKEN_MARKER], &*bytes].concat(),
        _ => bytes.into_owned(),
    }
}

fn with_whitespace(mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.entry("x-guidance").or_insert_with(|| json!({ "whitespace_pattern": WHITESPACE }));
    }
    schema
}

fn malformed(error: impl fmt::Display) -> GrammarError {
    GrammarError::Malformed(one_line(&error.to_string()))
}

/// Errors of the libraries beneath have many lines.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

/// Where an answer is in its grammar.
#[derive(Clone)]
pub struct Constraint {
    matcher: Matcher,
}

impl Constraint {
    /// Writes `logits` to `out`, those of tokens that may not come next as minus infinity.
    pub(super) fn mask(&mut self, logits: &[f32], out: &mut Vec<f32>) -> Result<(), GrammarError> {
        let allowed = self.matcher.compute_mask_or_eos().map_err(lost)?;
        out.clear();
        out.resize(logits.len(), f32::NEG_INFINITY);
        allowed.iter_set_entries(|token| {
            if let (Some(out), Some(logit)) = (out.get_mut(token), logits.get(token)) {
                *out = *logit;
            }
        });
        Ok(())
    }

    /// Goes on by `token`.
    pub(super) fn accept(&mut self, token: TokenId) -> Result<(), GrammarError> {
        self.matcher.consume_token(token).map_err(lost)
    }

    /// Whether nothing more may come.
    pub(super) fn is_over(&self) -> bool {
        self.matcher.is_stopped()
    }

    /// Whether the answer so far is a whole one.
    pub(super) fn fits(&mut self) -> bool {
        self.is_over() || self.matcher.is_accepting().unwrap_or(false)
    }
}

fn lost(error: impl fmt::Display) -> GrammarError {
    GrammarError::Lost(one_line(&error.to_string()))
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint").field("over", &self.is_over()).finish_non_exhaustive()
    }
}
