//! From the pieces of an answer to the form of a chat or a completion, whole or in parts.

use super::answer::{
    Answer, CalledFunction, ChatChoice, ChatLogprobs, ChunkChoice, Delta, Envelope, Finish, LikelyToken, PromptDetails,
    Reply, TextChoice, TextLogprobs, TokenEntry, ToolCall, Usage,
};
use crate::{
    engine::{Completion, TokenLogprobs},
    sampling::Logprob,
    server::{placed::PlacedToken, tools::Call},
    text::Tokenizer,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Which of the two kinds of completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Kind {
    Chat,
    Text,
}

impl Kind {
    /// The field of a request that has the prompt.
    pub(in crate::server) fn prompt_field(self) -> &'static str {
        match self {
            Kind::Chat => "messages",
            Kind::Text => "prompt",
        }
    }
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

/// What a choice has to say, in one piece or as a part of a stream.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Piece {
    pub(in crate::server) text: String,
    pub(in crate::server) reasoning: String,
    pub(in crate::server) calls: Vec<Call>,
    /// With their log-probabilities; `None` if those were not asked for.
    pub(in crate::server) tokens: Option<Vec<PlacedToken>>,
    pub(in crate::server) finish_reason: Option<Finish>,
}

impl Usage {
    /// Adds an answer; the prompt counts once for all choices that are made of it.
    pub(in crate::server) fn add(&mut self, completion: &Completion, is_first_of_prompt: bool) {
        if is_first_of_prompt {
            self.prompt_tokens += completion.n_prompt;
            let PromptDetails { cached_tokens } = &mut self.prompt_tokens_details;
            *cached_tokens += completion.n_reused;
        }
        self.completion_tokens += completion.tokens.len();
        self.total_tokens = self.prompt_tokens + self.completion_tokens;
    }
}

impl Ids {
    /// The whole answer.
    pub(in crate::server) fn answer(&self, pieces: Vec<Piece>, usage: Usage) -> Answer {
        let pieces = pieces.into_iter().enumerate();
        let usage = Some(Some(usage));
        match self.kind {
            Kind::Chat => {
                let choices = pieces.map(|(index, piece)| piece.message(index, &self.tokenizer)).collect();
                Answer::Chat(self.envelope("chat.completion", choices, usage))
            }
            Kind::Text => {
                let choices = pieces.map(|(index, piece)| piece.text(index, &self.tokenizer)).collect();
                Answer::Text(self.envelope("text_completion", choices, usage))
            }
        }
    }

    /// A part of the answer of choice `index`; the first of a chat says who speaks.
    pub(in crate::server) fn chunk(&self, index: usize, piece: Piece, is_first: bool, has_usage: bool) -> Answer {
        let usage = has_usage.then_some(None);
        match self.kind {
            Kind::Chat => self.chat_chunk(vec![piece.delta(index, is_first, &self.tokenizer)], usage),
            Kind::Text => {
                Answer::Text(self.envelope("text_completion", vec![piece.text(index, &self.tokenizer)], usage))
            }
        }
    }

    /// The last part of a stream that reports its usage.
    pub(in crate::server) fn usage_chunk(&self, usage: Usage) -> Answer {
        let usage = Some(Some(usage));
        match self.kind {
            Kind::Chat => self.chat_chunk(Vec::new(), usage),
            Kind::Text => Answer::Text(self.envelope("text_completion", Vec::new(), usage)),
        }
    }

    fn chat_chunk(&self, choices: Vec<ChunkChoice>, usage: Option<Option<Usage>>) -> Answer {
        Answer::Chunk(self.envelope("chat.completion.chunk", choices, usage))
    }

    fn envelope<C>(&self, object: &'static str, choices: Vec<C>, usage: Option<Option<Usage>>) -> Envelope<C> {
        Envelope {
            id: self.id.clone(),
            object,
            created: self.created,
            model: self.model.clone(),
            system_fingerprint: concat!("taper-", env!("CARGO_PKG_VERSION")),
            choices,
            usage,
        }
    }
}

impl Piece {
    /// Adds what comes after.
    pub(in crate::server) fn append(&mut self, next: Piece) {
        self.text.push_str(&next.text);
        self.reasoning.push_str(&next.reasoning);
        self.calls.extend(next.calls);
        if let Some(tokens) = next.tokens {
            self.tokens.get_or_insert_default().extend(tokens);
        }
        self.finish_reason = next.finish_reason.or(self.finish_reason);
    }

    fn message(self, index: usize, tokenizer: &Tokenizer) -> ChatChoice {
        let logprobs = self.tokens.as_ref().map(|tokens| chat_logprobs(tokens, tokenizer));
        let message = Reply {
            role: "assistant",
            content: (!self.text.is_empty() || self.calls.is_empty()).then_some(self.text),
            refusal: None,
            reasoning_content: self.reasoning,
            tool_calls: self.calls.into_iter().map(|call| ToolCall { index: None, ..call.into() }).collect(),
        };
        ChatChoice { index, message, logprobs, finish_reason: self.finish_reason }
    }

    fn delta(self, index: usize, is_first: bool, tokenizer: &Tokenizer) -> ChunkChoice {
        let logprobs = self.tokens.as_ref().map(|tokens| chat_logprobs(tokens, tokenizer));
        let opens = is_first && self.reasoning.is_empty() && self.calls.is_empty();
        let delta = Delta {
            role: is_first.then_some("assistant"),
            content: (!self.text.is_empty() || opens).then_some(self.text),
            reasoning_content: (!self.reasoning.is_empty()).then_some(self.reasoning),
            tool_calls: (!self.calls.is_empty()).then(|| self.calls.into_iter().map(ToolCall::from).collect()),
        };
        ChunkChoice { index, delta, logprobs, finish_reason: self.finish_reason }
    }

    fn text(self, index: usize, tokenizer: &Tokenizer) -> TextChoice {
        let logprobs = self.tokens.as_ref().map(|tokens| text_logprobs(tokens, tokenizer));
        TextChoice { index, text: self.text, logprobs, finish_reason: self.finish_reason }
    }
}

impl From<Call> for ToolCall {
    fn from(call: Call) -> ToolCall {
        let function = CalledFunction { name: call.name, arguments: call.arguments };
        ToolCall { index: Some(call.index), id: call.id, kind: "function", function }
    }
}

/// The log-probabilities of tokens as chats report them.
fn chat_logprobs(tokens: &[PlacedToken], tokenizer: &Tokenizer) -> ChatLogprobs {
    let entry = |logprob: &Logprob| {
        let bytes = tokenizer.token_bytes(logprob.token).into_owned();
        LikelyToken { token: String::from_utf8_lossy(&bytes).into(), logprob: finite(logprob.logprob), bytes }
    };
    let content = tokens
        .iter()
        .filter_map(|token| token.logprobs.as_ref())
        .map(|token| TokenEntry { chosen: entry(&token.chosen), top_logprobs: token.top.iter().map(entry).collect() });
    ChatLogprobs { content: content.collect(), refusal: None }
}

/// The same as completions report them.
fn text_logprobs(tokens: &[PlacedToken], tokenizer: &Tokenizer) -> TextLogprobs {
    let likely = |logprobs: &TokenLogprobs| {
        let mut likely = Map::new();
        // The token itself comes along where it is none of the likeliest. Of those that read alike the likeliest counts.
        for Logprob { token, logprob } in logprobs.top.iter().chain([&logprobs.chosen]) {
            likely.entry(tokenizer.token_text(*token)).or_insert_with(|| number(*logprob));
        }
        likely
    };
    let logprobs = || tokens.iter().map(|token| token.logprobs.as_ref());
    TextLogprobs {
        tokens: tokens.iter().map(|token| tokenizer.token_text(token.token)).collect(),
        token_logprobs: logprobs().map(|logprobs| Some(finite(logprobs?.chosen.logprob))).collect(),
        top_logprobs: logprobs().map(|logprobs| logprobs.map(likely)).collect(),
        text_offset: tokens.iter().map(|token| token.offset).collect(),
    }
}

/// With the digits that it has as an `f32` elsewhere: clients compare the two.
fn number(logprob: f32) -> Value {
    finite(logprob).to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// JSON has no infinity; OpenAI writes this for what cannot be.
fn finite(logprob: f32) -> f32 {
    logprob.max(-9999.0)
}
