//! Answers as they go over the wire.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// A whole answer, or a part of one in a stream.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(in crate::server) enum Answer {
    Chat(ChatAnswer),
    Chunk(Envelope<ChunkChoice>),
    Text(TextAnswer),
}

/// The answer to a chat.
pub(in crate::server) type ChatAnswer = Envelope<ChatChoice>;

/// The answer to a completion.
pub(in crate::server) type TextAnswer = Envelope<TextChoice>;

/// What all answers have around their choices.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "AnswerOf{C}")]
pub(in crate::server) struct Envelope<C> {
    pub(super) id: String,
    pub(super) object: &'static str,
    /// Seconds since 1970.
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) system_fingerprint: &'static str,
    pub(super) choices: Vec<C>,
    /// In a stream it is there if it was asked for, and null but in the last part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Option<Usage>>,
}

/// Tokens that a request took.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(in crate::server) struct Usage {
    pub(super) prompt_tokens: usize,
    pub(super) completion_tokens: usize,
    pub(super) total_tokens: usize,
    pub(super) prompt_tokens_details: PromptDetails,
}

#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(in crate::server) struct PromptDetails {
    /// Tokens of prompts that were not computed again.
    pub(super) cached_tokens: usize,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::server) enum Finish {
    Stop,
    Length,
    ToolCalls,
}

/// One of the answers to a chat.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct ChatChoice {
    pub(super) index: usize,
    pub(super) message: Reply,
    pub(super) logprobs: Option<ChatLogprobs>,
    pub(super) finish_reason: Option<Finish>,
}

/// What the model says.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct Reply {
    pub(super) role: &'static str,
    /// Null if it only calls functions.
    pub(super) content: Option<String>,
    pub(super) refusal: Option<String>,
    /// What it thought before.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(default)]
    pub(super) reasoning_content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) tool_calls: Vec<ToolCall>,
}

/// A part of one of the answers to a chat.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct ChunkChoice {
    pub(super) index: usize,
    pub(super) delta: Delta,
    pub(super) logprobs: Option<ChatLogprobs>,
    pub(super) finish_reason: Option<Finish>,
}

/// What has come since the part before.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(in crate::server) struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<Vec<ToolCall>>,
}

/// A function that the model wants called.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct ToolCall {
    /// In a stream, its place among those of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<usize>,
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) function: CalledFunction,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct CalledFunction {
    pub(super) name: String,
    /// JSON.
    pub(super) arguments: String,
}

/// The log-probabilities of the tokens of a chat.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct ChatLogprobs {
    pub(super) content: Vec<TokenEntry>,
    pub(super) refusal: Option<Vec<TokenEntry>>,
}

/// A token with the likeliest in its place.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct TokenEntry {
    #[serde(flatten)]
    pub(super) chosen: LikelyToken,
    pub(super) top_logprobs: Vec<LikelyToken>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct LikelyToken {
    pub(super) token: String,
    pub(super) logprob: f32,
    pub(super) bytes: Vec<u8>,
}

/// One of the answers to a completion, or a part of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct TextChoice {
    pub(super) index: usize,
    pub(super) text: String,
    pub(super) logprobs: Option<TextLogprobs>,
    pub(super) finish_reason: Option<Finish>,
}

/// The log-probabilities of the tokens of a completion, those of the prompt first if it is echoed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct TextLogprobs {
    pub(super) tokens: Vec<String>,
    /// Null for the first token of a prompt.
    pub(super) token_logprobs: Vec<Option<f32>>,
    /// Of the likeliest tokens in the place of each, and of itself.
    pub(super) top_logprobs: Vec<Option<Map<String, Value>>>,
    /// Characters of text before each.
    pub(super) text_offset: Vec<usize>,
}
