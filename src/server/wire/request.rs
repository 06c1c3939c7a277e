//! Requests for text. Fields that nobody here knows are ignored, as OpenAI does.

use crate::{TokenId, server::error::ApiError, text::Message};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A request for a chat or a plain completion: `messages` belong to the one and `prompt` to the other.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::server) struct Body {
    pub(in crate::server) model: Option<String>,
    pub(in crate::server) messages: Option<Vec<Message>>,
    pub(in crate::server) prompt: Option<PromptField>,
    pub(in crate::server) max_tokens: Option<usize>,
    pub(in crate::server) max_completion_tokens: Option<usize>,
    pub(in crate::server) n: Option<usize>,
    pub(in crate::server) stream: Option<bool>,
    pub(in crate::server) stream_options: Option<StreamOptions>,
    pub(in crate::server) stop: Option<OneOrMany<String>>,
    pub(in crate::server) echo: Option<bool>,
    pub(in crate::server) seed: Option<i64>,
    pub(in crate::server) temperature: Option<f32>,
    pub(in crate::server) top_p: Option<f32>,
    pub(in crate::server) top_k: Option<i64>,
    pub(in crate::server) min_p: Option<f32>,
    #[serde(alias = "repeat_penalty")]
    pub(in crate::server) repetition_penalty: Option<f32>,
    pub(in crate::server) presence_penalty: Option<f32>,
    pub(in crate::server) frequency_penalty: Option<f32>,
    pub(in crate::server) logit_bias: Option<BTreeMap<String, f32>>,
    pub(in crate::server) logprobs: Option<LogprobsField>,
    pub(in crate::server) top_logprobs: Option<usize>,
    pub(in crate::server) response_format: Option<ResponseFormat>,
    pub(in crate::server) grammar: Option<String>,
    pub(in crate::server) regex: Option<String>,
    pub(in crate::server) tools: Option<Vec<Tool>>,
    pub(in crate::server) tool_choice: Option<ToolChoice>,
    pub(in crate::server) ignore_eos: Option<bool>,
    pub(in crate::server) chat_template_kwargs: Option<Map<String, Value>>,
}

/// A text or tokens, or several of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a string, an array of strings, an array of tokens or an array of those")]
pub(in crate::server) enum PromptField {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<TokenId>),
    TokenLists(Vec<Vec<TokenId>>),
}

/// `logprobs`: whether, in chats; how many beside each, in completions.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "true, false or a number")]
pub(in crate::server) enum LogprobsField {
    Wanted(bool),
    Count(usize),
}

/// A value, or an array of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a string or an array of strings")]
pub(in crate::server) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(in crate::server) fn into_vec(self) -> Vec<T> {
        match self {
            OneOrMany::One(value) => vec![value],
            OneOrMany::Many(values) => values,
        }
    }
}

/// What a stream has beside its text.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::server) struct StreamOptions {
    pub(in crate::server) include_usage: Option<bool>,
}

/// What the answer must be.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::server) enum ResponseFormat {
    Text,
    JsonObject,
    JsonSchema { json_schema: NamedSchema },
}

#[derive(Clone, Debug, Deserialize)]
pub(in crate::server) struct NamedSchema {
    pub(in crate::server) schema: Option<Value>,
}

/// A function that the model may ask for.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::server) struct Tool {
    pub(in crate::server) function: Function,
    /// With all else, as templates read it.
    #[serde(flatten)]
    pub(in crate::server) rest: Map<String, Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub(in crate::server) struct Function {
    pub(in crate::server) name: String,
    pub(in crate::server) parameters: Option<Value>,
    #[serde(flatten)]
    pub(in crate::server) rest: Map<String, Value>,
}

impl Tool {
    /// As templates read it.
    pub(in crate::server) fn to_value(&self) -> Value {
        let mut function = Map::from_iter([("name".to_owned(), Value::from(self.function.name.as_str()))]);
        function.extend(self.function.rest.clone());
        function.extend(self.function.parameters.clone().map(|parameters| ("parameters".to_owned(), parameters)));
        let mut tool = Map::from_iter([("type".to_owned(), Value::from("function"))]);
        tool.extend(self.rest.clone());
        tool.insert("function".to_owned(), function.into());
        tool.into()
    }
}

/// Whether a function is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "`none`, `auto`, `required` or a function")]
pub(in crate::server) enum ToolChoice {
    Mode(ToolMode),
    Named { function: NamedFunction },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::server) enum ToolMode {
    None,
    Auto,
    Required,
}

#[derive(Clone, Debug, Deserialize)]
pub(in crate::server) struct NamedFunction {
    pub(in crate::server) name: String,
}

/// Reads a body; an error names the field.
pub(in crate::server) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "" } else { &path };
        let message = error.inner().to_string();
        let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        ApiError::invalid(path, format!("{place}{message}"))
    })
}
