//! The stream of an answer: server-sent events with JSON, timed as they come. Its bytes come from a stranger.

use super::failure::{Failed, Failure};
use serde_json::Value;
use std::{
    io::{BufRead, Read},
    time::{Duration, Instant},
};

/// The longest line that is read.
const MAX_LINE_BYTES: u64 = 4 << 20;
/// The most chunks that an answer may have.
const MAX_CHUNKS: usize = 1 << 20;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answered {
    /// From when the request was due to its first token.
    pub(super) first: Duration,
    /// From there to the end of the answer.
    pub(super) end: Duration,
    /// Between each chunk with text and the next.
    pub(super) gaps: Vec<Duration>,
    /// What the server says that it counted.
    pub(super) usage: Usage,
}

/// Tokens as a server counts them, where it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) n_prompt: Option<u64>,
    pub(super) n_completion: Option<u64>,
}

impl Answered {
    /// Chunks that had text.
    pub(super) fn n_chunks(&self) -> u64 {
        self.gaps.len() as u64 + 1
    }

    /// Generated tokens: the server's count, or that of the chunks.
    pub(super) fn n_tokens(&self) -> u64 {
        self.usage.n_completion.unwrap_or_else(|| self.n_chunks())
    }

    /// From the first token to the last.
    pub(super) fn generation(&self) -> Duration {
        self.gaps.iter().sum()
    }
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// Nothing that matters.
    Other,
    /// The answer is complete.
    Done,
    Chunk {
        has_text: bool,
        finished: bool,
        usage: Usage,
    },
}

/// Reads an answer to its end; times are counted from `due`.
pub(super) fn follow(mut reader: impl BufRead, due: Instant) -> Result<Answered, Failed> {
    let mut answered = Answered::default();
    let mut arrivals: Vec<Instant> = Vec::new();
    let mut line = Vec::new();
    let mut finished = None;
    loop {
        line.clear();
        match reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(n) if n as u64 == MAX_LINE_BYTES => return Err(Failed::new(Failure::Malformed, "an endless line")),
            Ok(_) => {}
            // Whatever happens after the end does not change the answer.
            Err(_) if finished.is_some() => break,
            Err(error) => return Err(Failed::in_answer(&error)),
        }
        let now = Instant::now();
        match parse(&line)? {
            Line::Other => {}
            Line::Done => {
                finished = Some(now);
                break;
            }
            Line::Chunk { has_text, finished: last, usage } => {
                if has_text {
                    arrivals.push(now);
                }
                if last || finished.is_some() {
                    finished = Some(now);
                }
                answered.usage.n_prompt = usage.n_prompt.or(answered.usage.n_prompt);
                answered.usage.n_completion = usage.n_completion.or(answered.usage.n_completion);
            }
        }
        if arrivals.len() > MAX_CHUNKS {
            return Err(Failed::new(Failure::Malformed, "an endless answer"));
        }
    }
    let end = finished
        .ok_or_else(|| Failed::new(Failure::Truncated, &format!("the stream ended after {} chunks", arrivals.len())))?;
    let first = arrivals.first().ok_or_else(|| Failed::new(Failure::Empty, "the answer has no text"))?;
    answered.first = first.saturating_duration_since(due);
    answered.end = end.saturating_duration_since(due);
    answered.gaps = arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A connection whose body is read to its end serves the next request too.
    let _ = std::io::copy(&mut reader.take(MAX_LINE_BYTES), &mut std::io::sink());
    Ok(answered)
}

fn parse(line: &[u8]) -> Result<Line, Failed> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    let other = [":", "event:", "id:", "retry:"].iter().any(|field| text.starts_with(field));
    if text.is_empty() || other {
        return Ok(Line::Other);
    }
    let Some(data) = text.strip_prefix("data:").map(str::trim) else {
        return Err(Failed::new(Failure::Malformed, text));
    };
    if data == "[DONE]" {
        return Ok(Line::Done);
    }
    let chunk: Value = serde_json::from_str(data).map_err(|_| Failed::new(Failure::Malformed, data))?;
    if !chunk.is_object() {
        return Err(Failed::new(Failure::Malformed, data));
    }
    if chunk.get("error").is_some_and(|error| !error.is_null()) {
        return Err(Failed::new(Failure::Reported, data));
    }
    let choice = &chunk["choices"][0];
    let delta = &choice["delta"];
    let text_of = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    // Thinking and calls of tools are generated tokens as well.
    let has_text =
        [&choice["text"], &delta["content"], &delta["reasoning_content"], &delta["reasoning"]].into_iter().any(text_of)
            || delta["tool_calls"].is_array();
    let count = |name| chunk["usage"][name].as_u64();
    Ok(Line::Chunk {
        has_text,
        finished: text_of(&choice["finish_reason"]),
        usage: Usage { n_prompt: count("prompt_tokens"), n_completion: count("completion_tokens") },
    })
}

#[cfg(test)]
mod tests {
    use super::{Answered, Failed, Failure, follow};
    use std::time::Instant;

    fn answer(text: &str) -> Result<Answered, Failed> {
        follow(text.as_bytes(), Instant::now())
    }

    fn kind(text: &str) -> Failure {
        answer(text).unwrap_err().kind
    }

    const CHUNK: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n\r\n";

    #[test]
    fn chunks_with_text_are_counted_where_the_server_does_not_count() {
        let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
        let answered = answer(&format!(": hello\n\n{role}{CHUNK}{CHUNK}data: [DONE]\n\n")).unwrap();
        assert_eq!((answered.n_chunks(), answered.n_tokens(), answered.usage.n_prompt), (2, 2, None));
    }

    #[test]
    fn the_count_of_the_server_wins_and_may_come_without_choices() {
        let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n";
        let answered = answer(&format!("{CHUNK}{CHUNK}{usage}data: [DONE]\n\n")).unwrap();
        assert_eq!((answered.n_chunks(), answered.n_tokens(), answered.usage.n_prompt), (2, 5, Some(7)));
    }

    #[test]
    fn texts_thinking_and_tool_calls_are_tokens() {
        for choice in [
            "{\"text\":\"a\"}",
            "{\"delta\":{\"reasoning_content\":\"a\"}}",
            "{\"delta\":{\"reasoning\":\"a\"}}",
            "{\"delta\":{\"tool_calls\":[{}]}}",
        ] {
            let stream = format!("data: {{\"choices\":[{choice}]}}\n\ndata: [DONE]\n\n");
            assert_eq!(answer(&stream).unwrap().n_chunks(), 1, "{choice}");
        }
    }

    #[test]
    fn a_finish_reason_ends_an_answer_without_done() {
        let last = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
        assert_eq!(answer(&format!("{CHUNK}{last}")).unwrap().n_chunks(), 1);
    }

    #[test]
    fn failures_have_their_kinds() {
        assert_eq!(kind(CHUNK), Failure::Truncated);
        assert_eq!(kind(""), Failure::Truncated);
        assert_eq!(kind("data: [DONE]\n\n"), Failure::Empty);
        assert_eq!(kind("data: {\"choices\":\n\n"), Failure::Malformed);
        assert_eq!(kind("data: [1]\n\n"), Failure::Malformed);
        assert_eq!(kind("{\"choices\":[]}"), Failure::Malformed);
        assert_eq!(kind("data: {\"error\":{\"message\":\"out of memory\"}}\n\n"), Failure::Reported);
        assert_eq!(kind(&"x".repeat(5 << 20)), Failure::Malformed);
    }
}
