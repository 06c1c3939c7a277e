//! Tells a model's thinking from its answer.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A piece of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the model thinks.
    Reasoning,
    /// What it answers.
    Answer,
}

/// Cuts text that comes in pieces at `<think>` and `</think>`. Thinking counts only where it opens the output, so that an
/// answer may speak of the tags.
#[derive(Clone, Debug)]
pub(super) struct ReasoningSplitter {
    state: State,
    held: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Nothing but white space yet.
    Start,
    /// After the opening tag, before the first thought.
    Opened,
    Thinking,
    /// After the closing tag, before the answer's first character.
    Closed,
    Answering,
}

impl ReasoningSplitter {
    /// A splitter for what follows `prompt`, which may itself have opened the thinking.
    pub(super) fn after(prompt: &str) -> ReasoningSplitter {
        let state = if prompt.trim_end().ends_with(OPEN) { State::Opened } else { State::Start };
        ReasoningSplitter { state, held: String::new() }
    }

    /// Adds `text`; gives the parts that are certain.
    pub(super) fn push(&mut self, text: &str) -> Vec<(Part, String)> {
        self.held.push_str(text);
        let mut parts = Vec::new();
        while let Some(part) = self.step() {
            if !part.1.is_empty() {
                parts.push(part);
            }
        }
        parts
    }

    /// What is held back when the output ends.
    pub(super) fn finish(&mut self) -> Option<(Part, String)> {
        let thinks = matches!(self.state, State::Opened | State::Thinking);
        let part = if thinks { Part::Reasoning } else { Part::Answer };
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then_some((part, held))
    }

    /// Changes the state; there is nothing to show for it.
    fn enter(&mut self, state: State) -> (Part, String) {
        self.state = state;
        (Part::Answer, String::new())
    }

    /// One step of the automaton; `None` when it needs more text.
    fn step(&mut self) -> Option<(Part, String)> {
        match self.state {
            State::Start => {
                let begin = self.held.trim_start();
                if let Some(rest) = begin.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    return Some(self.enter(State::Opened));
                }
                (!OPEN.starts_with(begin)).then(|| self.enter(State::Answering))
            }
            State::Opened => {
                self.held = self.held.trim_start().to_owned();
                (!self.held.is_empty()).then(|| self.enter(State::Thinking))
            }
            State::Thinking => {
                if let Some((thought, rest)) = self.held.split_once(CLOSE) {
                    let thought = thought.trim_end().to_owned();
                    self.held = rest.to_owned();
                    self.state = State::Closed;
                    return Some((Part::Reasoning, thought));
                }
                // White space and what may begin the closing tag wait for what follows.
                let certain = self.held.trim_end_matches(char::is_whitespace).len();
                let tag = (1..CLOSE.len()).rev().find(|&n| self.held.ends_with(&CLOSE[..n])).unwrap_or(0);
                let certain = self.held[..certain.min(self.held.len() - tag)].trim_end().len();
                (certain > 0).then(|| (Part::Reasoning, self.held.drain(..certain).collect()))
            }
            State::Closed => {
                self.held = self.held.trim_start().to_owned();
                (!self.held.is_empty()).then(|| self.enter(State::Answering))
            }
            State::Answering => (!self.held.is_empty()).then(|| (Part::Answer, std::mem::take(&mut self.held))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(prompt: &str, pieces: &[&str]) -> (String, String) {
        let mut splitter = ReasoningSplitter::after(prompt);
        let mut parts: Vec<_> = pieces.iter().flat_map(|piece| splitter.push(piece)).collect();
        parts.extend(splitter.finish());
        let all = |part| parts.iter().filter(|p| p.0 == part).map(|p| p.1.as_str()).collect::<String>();
        (all(Part::Reasoning), all(Part::Answer))
    }

    #[test]
    fn thinking_that_opens_the_output_is_cut_off() {
        let text = "<think>\nhm, 1 < 2\n\nso\n</think>\n\nYes.\n";
        let expected = ("hm, 1 < 2\n\nso".to_owned(), "Yes.\n".to_owned());
        assert_eq!(split("", &[text]), expected);
        let letters: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(split("", &letters.iter().map(String::as_str).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn a_prompt_can_open_the_thinking() {
        assert_eq!(split("<assistant><think>\n", &["a", "</thi", "nk>b"]), ("a".into(), "b".into()));
    }

    #[test]
    fn an_answer_may_speak_of_the_tags() {
        assert_eq!(split("", &["Use <think> and </think>."]), (String::new(), "Use <think> and </think>.".into()));
        assert_eq!(split("", &["  <th"]), (String::new(), "  <th".into()));
    }

    #[test]
    fn thinking_that_never_ends_is_no_answer() {
        assert_eq!(split("", &["<think>a </th"]), ("a </th".into(), String::new()));
    }
}
