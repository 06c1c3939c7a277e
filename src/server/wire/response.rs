//! Answers, whole and in pieces, of chats and of plain completions.

use crate::{
    engine::{Completion, TokenLogprobs},
    sampling::Logprob,
    server::tools::Call,
    text::Tokenizer,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Which of the two kinds of completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Kind {
    Chat,
    Text,
}

/// What all pieces of one answer have in common.
#[derive(Clone)]
pub(in crate::server) struct Ids {
    pub(in crate::server) kind: Kind,
    pub(in crate::server) id: String,
    /// Seconds since 1970.
    pub(in crate::server) created: u64,
    pub(in crate::server) model: String,
    pub(in crate::server) tokenizer: Arc<Tokenizer>,
}

/// Tokens that a request took.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::server) struct Usage {
    n_prompt: usize,
    n_reused: usize,
    n_completion: usize,
}

/// What a choice has to say, in one piece or as a part of a stream.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Piece {
    pub(in crate::server) text: String,
    pub(in crate::server) reasoning: String,
    pub(in crate::server) calls: Vec<Call>,
    /// `None` if they were not asked for.
    pub(in crate::server) logprobs: Option<Vec<TokenLogprobs>>,
    /// Bytes of text that came before, to which completions count their offsets.
    pub(in crate::server) n_before: usize,
    pub(in crate::server) finish_reason: Option<&'static str>,
}

impl Usage {
    /// Adds an answer; the prompt counts once for all choices that are made of it.
    pub(in crate::server) fn add(&mut self, completion: &Completion, is_first_of_prompt: bool) {
        if is_first_of_prompt {
            self.n_prompt += completion.n_prompt;
            self.n_reused += completion.n_reused;
        }
        self.n_completion += completion.tokens.len();
    }

    fn to_json(self) -> Value {
        json!({
            "prompt_tokens": self.n_prompt,
            "completion_tokens": self.n_completion,
            "total_tokens": self.n_prompt + self.n_completion,
            "prompt_tokens_details": { "cached_tokens": self.n_reused },
        })
    }
}

impl Ids {
    /// The whole answer.
    pub(in crate::server) fn answer(&self, pieces: Vec<Piece>, usage: Usage) -> Value {
        let choices = pieces.into_iter().enumerate().map(|(index, piece)| match self.kind {
            Kind::Chat => piece.message(index, &self.tokenizer),
            Kind::Text => piece.text(index, &self.tokenizer),
        });
        let object = match self.kind {
            Kind::Chat => "chat.completion",
            Kind::Text => "text_completion",
        };
        let mut answer = self.envelope(object, choices.collect());
        answer.insert("usage".into(), usage.to_json());
        answer.into()
    }

    /// A part of the answer of choice `index`; the first of a chat says who speaks.
    pub(in crate::server) fn chunk(&self, index: usize, piece: Piece, is_first: bool) -> Value {
        let (object, choice) = match self.kind {
            Kind::Chat => ("chat.completion.chunk", piece.delta(index, is_first, &self.tokenizer)),
            Kind::Text => ("text_completion", piece.text(index, &self.tokenizer)),
        };
        self.envelope(object, vec![choice]).into()
    }

    /// The last part of a stream that reports its usage.
    pub(in crate::server) fn usage_chunk(&self, usage: Usage) -> Value {
        let object = if self.kind == Kind::Chat { "chat.completion.chunk" } else { "text_completion" };
        let mut chunk = self.envelope(object, Vec::new());
        chunk.insert("usage".into(), usage.to_json());
        chunk.into()
    }

    fn envelope(&self, object: &str, choices: Vec<Value>) -> Map<String, Value> {
        let fields = [
            ("id", Value::from(self.id.as_str())),
            ("object", object.into()),
            ("created", self.created.into()),
            ("model", self.model.as_str().into()),
            ("system_fingerprint", concat!("taper-", env!("CARGO_PKG_VERSION")).into()),
            ("choices", choices.into()),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Piece {
    /// Adds what comes after.
    pub(in crate::server) fn append(&mut self, next: Piece) {
        self.text.push_str(&next.text);
        self.reasoning.push_str(&next.reasoning);
        self.calls.extend(next.calls);
        if let Some(logprobs) = next.logprobs {
            self.logprobs.get_or_insert_default().extend(logprobs);
        }
        self.finish_reason = next.finish_reason.or(self.finish_reason);
    }

    fn message(self, index: usize, tokenizer: &Tokenizer) -> Value {
        let logprobs = self.logprobs.as_ref().map(|tokens| chat_logprobs(tokens, tokenizer));
        let content = match self.text.is_empty() && !self.calls.is_empty() {
            true => Value::Null,
            false => self.text.into(),
        };
        let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
        if !self.reasoning.is_empty() {
            message["reasoning_content"] = self.reasoning.into();
        }
        if !self.calls.is_empty() {
            message["tool_calls"] = self.calls.iter().map(Call::to_json).collect();
        }
        json!({ "index": index, "message": message, "logprobs": logprobs, "finish_reason": self.finish_reason })
    }

    fn delta(self, index: usize, is_first: bool, tokenizer: &Tokenizer) -> Value {
        let logprobs = self.logprobs.as_ref().map(|tokens| chat_logprobs(tokens, tokenizer));
        let mut delta = Map::new();
        if is_first {
            delta.insert("role".into(), "assistant".into());
        }
        if !self.text.is_empty() || (is_first && self.reasoning.is_empty() && self.calls.is_empty()) {
            delta.insert("content".into(), self.text.into());
        }
        if !self.reasoning.is_empty() {
            delta.insert("reasoning_content".into(), self.reasoning.into());
        }
        if !self.calls.is_empty() {
            let calls = self.calls.iter().map(|call| {
                let mut value = call.to_json();
                value["index"] = call.index.into();
                value
            });
            delta.insert("tool_calls".into(), calls.collect());
        }
        json!({ "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": self.finish_reason })
    }

    fn text(self, index: usize, tokenizer: &Tokenizer) -> Value {
        let logprobs = self.logprobs.as_ref().map(|tokens| text_logprobs(tokens, tokenizer, self.n_before));
        json!({ "index": index, "text": self.text, "logprobs": logprobs, "finish_reason": self.finish_reason })
    }
}

/// The log-probabilities of tokens as chats report them.
fn chat_logprobs(tokens: &[TokenLogprobs], tokenizer: &Tokenizer) -> Value {
    let entry = |logprob: &Logprob| {
        let bytes = tokenizer.token_bytes(logprob.token);
        json!({ "token": String::from_utf8_lossy(&bytes), "logprob": finite(logprob.logprob), "bytes": bytes })
    };
    let content = tokens.iter().map(|token| {
        let mut value = entry(&token.chosen);
        value["top_logprobs"] = token.top.iter().map(entry).collect();
        value
    });
    json!({ "content": content.collect::<Value>(), "refusal": null })
}

/// The same as completions report them; `n_before` bytes of text came before.
fn text_logprobs(tokens: &[TokenLogprobs], tokenizer: &Tokenizer, n_before: usize) -> Value {
    let text = |logprob: &Logprob| tokenizer.token_text(logprob.token);
    let mut offset = n_before;
    let offsets = tokens.iter().map(|token| {
        let at = offset;
        offset += tokenizer.token_bytes(token.chosen.token).len();
        at
    });
    let offsets: Vec<usize> = offsets.collect();
    let top = tokens.iter().map(|token| {
        let likely = token.top.iter().map(|logprob| (text(logprob), Value::from(finite(logprob.logprob))));
        Value::from(likely.collect::<Map<_, _>>())
    });
    json!({
        "tokens": tokens.iter().map(|token| text(&token.chosen)).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|token| finite(token.chosen.logprob)).collect::<Vec<_>>(),
        "top_logprobs": top.collect::<Value>(),
        "text_offset": offsets,
    })
}

/// JSON has no infinity; OpenAI writes this for what cannot be.
fn finite(logprob: f32) -> f32 {
    logprob.max(-9999.0)
}
