//! The text that `demo` is trained on: reads the files beside this program, expands their alternatives, and spoils
//! questions the way people type them.

use anyhow::{Context, Result, bail};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

/// Words that people leave out.
const SMALL_WORDS: [&str; 14] =
    ["a", "an", "the", "do", "I", "is", "to", "of", "my", "in", "does", "you", "that", "for"];

/// One thing that `demo` can answer.
pub(crate) struct Topic {
    /// How often it is drawn, relative to a topic of weight 1.
    weight: f64,
    /// Templates of questions to train on.
    questions: Vec<String>,
    /// Questions that are never trained on, to measure with.
    pub(crate) held_out: Vec<String>,
    pub(crate) answer: String,
}

/// Everything in the text files.
pub(crate) struct Corpus {
    /// `$name = one|two` lines: words that stay the same within one expansion.
    macros: HashMap<String, Vec<String>>,
    pub(crate) topics: Vec<Topic>,
    systems: Vec<String>,
    /// Words that may stand for each other.
    synonyms: Vec<Vec<String>>,
    paragraphs: Vec<String>,
}

impl Corpus {
    /// Reads the questions (`help`) and the plain sentences (`prose`).
    ///
    /// # Errors
    /// A line that is none of the kinds which the head of the file explains, or a topic without an answer.
    pub(crate) fn parse(help: &[&str], prose: &str) -> Result<Self> {
        let (mut macros, mut topics) = (HashMap::new(), Vec::new());
        let (mut systems, mut synonyms) = (Vec::new(), Vec::new());
        for block in help.iter().flat_map(|text| text.split("\n\n")) {
            let mut topic = Topic { weight: 1.0, questions: vec![], held_out: vec![], answer: String::new() };
            for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                match line.split_once(' ').context("a line of one word")? {
                    ("Q:", text) => topic.questions.push(text.to_owned()),
                    ("T:", text) => topic.held_out.push(text.replace("\\n", "\n")),
                    ("W:", text) => topic.weight = text.parse()?,
                    ("A:", text) if topic.answer.is_empty() => topic.answer = text.to_owned(),
                    ("A:", text) => topic.answer = format!("{}\n{text}", topic.answer),
                    ("S:", text) => systems.push(text.to_owned()),
                    ("Y:", text) => synonyms.push(text.split(' ').map(str::to_owned).collect()),
                    (name, text) if name.starts_with('$') => define(&mut macros, name, text),
                    _ => bail!("expected `Q:`, `T:`, `A:`, `W:`, `S:`, `Y:` or `$name =`, found `{line}`"),
                }
            }
            match (topic.questions.is_empty(), topic.answer.is_empty()) {
                (false, false) => topics.push(topic),
                (true, true) => {}
                _ => bail!("a topic needs `Q:` and `A:`: `{block}`"),
            }
        }
        let lines = prose.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (definitions, paragraphs) = lines.partition::<Vec<_>, _>(|line| line.contains(" = "));
        for (name, text) in definitions.iter().filter_map(|line| line.split_once(' ')) {
            define(&mut macros, name, text);
        }
        let paragraphs = paragraphs.into_iter().map(str::to_owned).collect();
        Ok(Self { macros, topics, systems, synonyms, paragraphs })
    }

    /// Draws a topic, and a question to it as someone might type it.
    pub(crate) fn question(&self, rng: &mut ChaCha8Rng) -> (String, &str) {
        let mut left = rng.random_range(0.0..self.topics.iter().map(|topic| topic.weight).sum());
        let reached = |topic: &&Topic| {
            left -= topic.weight;
            left < 0.0
        };
        let topic = self.topics.iter().find(reached).unwrap_or(&self.topics[0]);
        let template = topic.questions.choose(rng).expect("`parse` refuses topics without questions");
        (self.spoil(&self.expand(template, rng), rng), &topic.answer)
    }

    /// Draws a system prompt.
    pub(crate) fn system(&self, rng: &mut ChaCha8Rng) -> String {
        self.systems.choose(rng).map(|text| self.expand(text, rng)).unwrap_or_default()
    }

    /// Draws one to three paragraphs of plain sentences.
    pub(crate) fn prose(&self, rng: &mut ChaCha8Rng) -> String {
        let n = *[1, 1, 1, 2].choose(rng).expect("the list is not empty");
        let draw = |_| self.paragraphs.choose(rng).map(|text| self.expand(text, rng)).unwrap_or_default();
        (0..n).map(draw).collect::<Vec<_>>().join("\n\n")
    }

    /// Chooses among `(one|two)` and replaces `$name`; the same name gives the same words throughout.
    fn expand(&self, template: &str, rng: &mut ChaCha8Rng) -> String {
        let mut text = template.to_owned();
        // Innermost first, so that alternatives may nest.
        while let Some(end) = text.find(')') {
            let Some(start) = text[..end].rfind('(') else { break };
            let choices = text[start + 1..end].split('|').collect::<Vec<_>>();
            let choice = choices.choose(rng).map_or(String::new(), |&words| words.to_owned());
            text.replace_range(start..=end, &choice);
        }
        text = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        // Last, because pasted code has brackets of its own.
        for (name, words) in self.sorted_macros() {
            let mark = format!("${name}");
            if text.contains(&mark) {
                text = text.replace(&mark, words.choose(rng).map_or("", String::as_str));
            }
        }
        text.replace("\\n", "\n")
    }

    /// Longest name first, so that `$he` does not eat `$hero`; and the same order in every run.
    fn sorted_macros(&self) -> Vec<(&String, &Vec<String>)> {
        let mut macros = self.macros.iter().collect::<Vec<_>>();
        macros.sort_by_key(|(name, _)| (std::cmp::Reverse(name.len()), name.as_str()));
        macros
    }

    /// Sometimes another word for `word`.
    fn synonym(&self, word: &str, rng: &mut ChaCha8Rng) -> String {
        let group = self.synonyms.iter().find(|group| group.iter().any(|other| other == word));
        match group.and_then(|group| group.choose(rng)) {
            Some(other) if rng.random_bool(0.25) => other.clone(),
            _ => word.to_owned(),
        }
    }

    /// Politeness, synonyms, case, punctuation, missing words and slips of the finger.
    fn spoil(&self, question: &str, rng: &mut ChaCha8Rng) -> String {
        let mut text = question.to_owned();
        if rng.random_bool(0.12) {
            text = self.expand(&format!("$before {text}"), rng);
        }
        let mut words = text.split(' ').map(|word| self.synonym(word, rng)).collect::<Vec<_>>();
        let drop = rng.random_range(0..words.len());
        let droppable = words.len() > 3 && SMALL_WORDS.contains(&words[drop].as_str()) || words.len() > 6;
        if droppable && rng.random_bool(0.2) {
            words.remove(drop);
        }
        text = if words.len() > 3 { words.join(" ") } else { text };
        if rng.random_bool(0.25) {
            (0..rng.random_range(1..3)).for_each(|_| slip(&mut text, rng));
        }
        let end = *["?", "?", "?", "?", "?", "", "", "", "", ".", "!", " ?", "??"].choose(rng).expect("not empty");
        text.push_str(end);
        if rng.random_bool(0.08) {
            text = self.expand(&format!("{text} $after"), rng);
        }
        match rng.random_range(0..20) {
            0..7 => text.to_lowercase(),
            7..15 => capitalized(&text),
            15 if text.len() < 40 => text.to_uppercase(),
            _ => text,
        }
    }
}

/// Keeps the words of a line `$name = one|two`, split there at the first space.
fn define(macros: &mut HashMap<String, Vec<String>>, name: &str, text: &str) {
    let words = text.trim_start_matches("= ").split('|').map(str::to_owned).collect();
    macros.insert(name.trim_start_matches('$').to_owned(), words);
}

/// One slip: a letter left out, doubled, swapped with the next, or replaced.
fn slip(text: &mut String, rng: &mut ChaCha8Rng) {
    let mut letters = text.chars().collect::<Vec<_>>();
    let at = rng.random_range(0..letters.len().max(1));
    if letters.len() < 6 || at + 1 >= letters.len() || !letters[at].is_ascii_alphabetic() {
        return;
    }
    match rng.random_range(0..4) {
        0 => drop(letters.remove(at)),
        1 => letters.insert(at, letters[at]),
        2 => letters.swap(at, at + 1),
        _ => letters[at] = char::from(rng.random_range(b'a'..=b'z')),
    }
    *text = letters.into_iter().collect();
}

/// `text` with a capital first letter.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
