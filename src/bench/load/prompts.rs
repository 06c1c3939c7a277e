//! Prompts of a load test: from a file, or made up.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxBuildHasher;
use serde_json::Value;
use std::{collections::HashSet, hash::BuildHasher};

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// A text; in a chat, the message of a user.
    Text(String),
    /// The messages of a chat, as OpenAI has them.
    Messages(Value),
}

impl Prompt {
    /// Whether it is a text, which any route takes.
    pub fn is_text(&self) -> bool {
        matches!(self, Prompt::Text(_))
    }
}

/// Why a file has no prompts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PromptError {
    /// It has only empty lines.
    #[error("there are no prompts in it")]
    Empty,
    /// It began with JSON and did not go on so.
    #[error("line {line} is `{found}`, expected JSON: a string, or an object with `prompt` or `messages`")]
    Line {
        /// Counted from 1.
        line: usize,
        /// How it begins.
        found: String,
    },
}

/// The prompts of a file: one a line. If its first line is JSON, a string or an object, then all of them are: strings, or
/// objects with `prompt` or `messages`. Empty lines do not count.
///
/// # Errors
/// [`PromptError`] if there are none, or a line among JSON is none.
pub fn parse_prompts(text: &str) -> Result<Vec<Prompt>, PromptError> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
    let first = lines.peek().ok_or(PromptError::Empty)?.1;
    if !serde_json::from_str::<Value>(first).is_ok_and(|value| value.is_object() || value.is_string()) {
        return Ok(lines.map(|(_, line)| Prompt::Text(line.to_string())).collect());
    }
    let prompt = |(i, line): (usize, &str)| {
        from_json(line).ok_or_else(|| PromptError::Line { line: i + 1, found: line.chars().take(60).collect() })
    };
    lines.map(prompt).collect()
}

fn from_json(line: &str) -> Option<Prompt> {
    match serde_json::from_str(line).ok()? {
        Value::String(text) => Some(Prompt::Text(text)),
        Value::Object(mut fields) => match (fields.remove("prompt"), fields.remove("messages")) {
            (Some(Value::String(text)), _) => Some(Prompt::Text(text)),
            (None, Some(messages @ Value::Array(_))) => Some(Prompt::Messages(messages)),
            _ => None,
        },
        _ => None,
    }
}

/// Words that tokenizers of English have whole, so that a text of them has about as many tokens as words.
const WORDS: [&str; 48] = [
    "time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state",
    "family", "student", "group", "country", "problem", "hand", "part", "place", "case", "week", "company", "system",
    "program", "question", "work", "night", "point", "home", "water", "room", "mother", "area", "money", "story",
    "fact", "month", "lot", "right", "study", "book", "eye", "job", "word", "business", "issue",
];

/// Draws of a text that has come before, until it is taken nevertheless.
const N_DRAWS: usize = 32;

/// `n` texts of these lengths in turn, in words, which are about as many tokens; the same for the same seed. They differ
/// from their first words on, so that a server's cache of prompts does not help, and are all different unless they are too
/// short for that.
pub fn synthetic_prompts(lengths: &[usize], n: usize, seed: u64) -> Vec<Prompt> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut seen = HashSet::new();
    let mut text = |length: usize| {
        let mut draw = || (0..length).map(|_| WORDS[rng.random_range(0..WORDS.len())]).collect::<Vec<_>>().join(" ");
        let mut text = draw();
        for _ in 0..N_DRAWS {
            if seen.insert(hash_of(&text)) {
                break;
            }
            text = draw();
        }
        Prompt::Text(text)
    };
    lengths.iter().cycle().take(if lengths.is_empty() { 0 } else { n }).map(|&length| text(length)).collect()
}

/// How many of `n` prompts, taken in turn from `prompts`, have been sent before.
pub(super) fn n_repeated(prompts: &[Prompt], n: usize) -> usize {
    let mut seen = HashSet::new();
    let first = |prompt: &&Prompt| match prompt {
        Prompt::Text(text) => seen.insert(hash_of(text)),
        Prompt::Messages(messages) => seen.insert(hash_of(&messages.to_string())),
    };
    n - prompts.iter().take(n).filter(first).count()
}

/// Stands for a text, which may be long.
fn hash_of(text: &str) -> u64 {
    FxBuildHasher.hash_one(text)
}

#[cfg(test)]
mod tests {
    use super::{Prompt, PromptError, n_repeated, parse_prompts, synthetic_prompts};
    use serde_json::json;

    #[test]
    fn lines_are_prompts() {
        let prompts = parse_prompts("one\n\n  two {\n3\n").unwrap();
        assert_eq!(prompts, ["one", "  two {", "3"].map(|text| Prompt::Text(text.into())));
    }

    #[test]
    fn json_lines_are_strings_prompts_or_messages() {
        let text = "\"a\\nb\"\n{\"prompt\": \"c\"}\n{\"messages\": [{\"role\": \"user\", \"content\": \"d\"}]}\n";
        let prompts = parse_prompts(text).unwrap();
        let messages = Prompt::Messages(json!([{"role": "user", "content": "d"}]));
        assert_eq!(prompts, [Prompt::Text("a\nb".into()), Prompt::Text("c".into()), messages]);
    }

    #[test]
    fn a_bad_line_among_json_is_named() {
        let error = parse_prompts("{\"prompt\": \"a\"}\n\n{\"text\": \"b\"}\n").unwrap_err();
        assert_eq!(error, PromptError::Line { line: 3, found: "{\"text\": \"b\"}".into() });
        assert_eq!(parse_prompts(" \n").unwrap_err(), PromptError::Empty);
    }

    #[test]
    fn synthetic_prompts_have_their_lengths_and_differ() {
        let prompts = synthetic_prompts(&[10, 200], 4, 1);
        let texts: Vec<&str> = prompts
            .iter()
            .map(|prompt| match prompt {
                Prompt::Text(text) => text.as_str(),
                Prompt::Messages(_) => panic!("a text"),
            })
            .collect();
        let lengths: Vec<usize> = texts.iter().map(|text| text.split(' ').count()).collect();
        assert_eq!(lengths, [10, 200, 10, 200]);
        assert!(texts[0] != texts[2] && !texts[3].starts_with(&texts[1][..20]));
        assert_eq!(prompts, synthetic_prompts(&[10, 200], 4, 1));
        assert!(synthetic_prompts(&[], 4, 1).is_empty());
    }

    #[test]
    fn prompts_repeat_only_where_there_are_no_others() {
        // Of 48 words there are 2304 pairs, among which chance alone would have found some twice.
        let pairs = synthetic_prompts(&[2], 400, 1);
        assert_eq!(n_repeated(&pairs, 400), 0);
        assert_eq!(n_repeated(&pairs, 1000), 600);
        let words = synthetic_prompts(&[1], 100, 1);
        assert!(n_repeated(&words, 100) >= 52);
        let chat = Prompt::Messages(json!([{"role": "user", "content": "a"}]));
        assert_eq!(n_repeated(&[chat.clone(), Prompt::Text("a".into()), chat], 3), 1);
    }
}
