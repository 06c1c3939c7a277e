//! Requests for text. Fields that nobody here knows are ignored, as OpenAI does.

use crate::{
    TokenId,
    server::{MOST_CHOICES, MOST_LOGPROBS, error::ApiError},
    text::{Controls, Message},
};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A request for a chat or a plain completion: `messages` belong to the one and `prompt` to the other.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(in crate::server) struct Body {
    /// The name of the served model; none means whichever there is.
    pub(in crate::server) model: Option<String>,
    #[schemars(length(min = 1))]
    pub(in crate::server) messages: Option<Vec<Message>>,
    pub(in crate::server) prompt: Option<PromptField>,
    /// None goes on to the end of the context, in completions to 16.
    pub(in crate::server) max_tokens: Option<usize>,
    pub(in crate::server) max_completion_tokens: Option<usize>,
    /// Answers to each prompt.
    #[schemars(range(min = 1, max = MOST_CHOICES))]
    pub(in crate::server) n: Option<usize>,
    pub(in crate::server) stream: Option<bool>,
    pub(in crate::server) stream_options: Option<StreamOptions>,
    /// Texts before which an answer ends.
    pub(in crate::server) stop: Option<OneOrMany<String>>,
    /// Whether the answer begins with the prompt, whose tokens have log-probabilities then if those are asked for.
    pub(in crate::server) echo: Option<bool>,
    /// The same seed gives the same answer; 0 without one.
    pub(in crate::server) seed: Option<i64>,
    /// 0 takes the likeliest token.
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::server) temperature: Option<f32>,
    /// Keep the likeliest tokens that add up to this.
    #[schemars(range(min = 0, max = 1))]
    pub(in crate::server) top_p: Option<f32>,
    /// Keep so many of the likeliest tokens; 0 and -1 keep all.
    pub(in crate::server) top_k: Option<i64>,
    /// Keep tokens at least this share as likely as the likeliest.
    #[schemars(range(min = 0, max = 1))]
    pub(in crate::server) min_p: Option<f32>,
    /// Divides the logits of recent tokens.
    #[serde(alias = "repeat_penalty")]
    #[schemars(range(min = 0.01, max = 100))]
    pub(in crate::server) repetition_penalty: Option<f32>,
    /// Taken from the logits of tokens of the answer.
    #[schemars(range(min = -2, max = 2))]
    pub(in crate::server) presence_penalty: Option<f32>,
    /// The same, as often as they are there.
    #[schemars(range(min = -2, max = 2))]
    pub(in crate::server) frequency_penalty: Option<f32>,
    /// What is added to the logits of tokens, -100 to 100.
    pub(in crate::server) logit_bias: Option<BTreeMap<String, f32>>,
    /// In chats whether the log-probabilities of tokens are wanted, in completions of how many beside each.
    pub(in crate::server) logprobs: Option<LogprobsField>,
    /// In chats, of how many likely tokens beside each.
    #[schemars(range(max = MOST_LOGPROBS))]
    pub(in crate::server) top_logprobs: Option<usize>,
    pub(in crate::server) response_format: Option<ResponseFormat>,
    /// The answer is what this grammar derives, in Lark or GBNF.
    pub(in crate::server) grammar: Option<String>,
    /// The answer matches this as a whole.
    pub(in crate::server) regex: Option<String>,
    /// Functions that the model may ask for.
    pub(in crate::server) tools: Option<Vec<Tool>>,
    pub(in crate::server) tool_choice: Option<ToolChoice>,
    /// Whether to go on where the model would end.
    pub(in crate::server) ignore_eos: Option<bool>,
    /// Further variables of the chat template.
    pub(in crate::server) chat_template_kwargs: Option<Map<String, Value>>,
}

/// A [`Body`] as the description of the API has it for chats.
#[derive(JsonSchema)]
#[schemars(transform = keep_for_chats)]
pub(in crate::server) struct ChatRequest(#[expect(dead_code, reason = "only its schema is used")] Body);

/// A [`Body`] as the description of the API has it for completions.
#[derive(JsonSchema)]
#[schemars(transform = keep_for_texts)]
pub(in crate::server) struct TextRequest(#[expect(dead_code, reason = "only its schema is used")] Body);

/// A [`Body`] as the description of the API has it for prompts that are not answered.
#[derive(JsonSchema)]
#[schemars(transform = keep_for_templates)]
pub(in crate::server) struct TemplateRequest(#[expect(dead_code, reason = "only its schema is used")] Body);

fn keep_for_chats(schema: &mut Schema) {
    keep(schema, "messages", |name| !["prompt", "echo"].contains(&name));
}

fn keep_for_texts(schema: &mut Schema) {
    let others = ["messages", "tools", "tool_choice", "top_logprobs", "chat_template_kwargs"];
    keep(schema, "prompt", |name| !others.contains(&name));
}

fn keep_for_templates(schema: &mut Schema) {
    let read = ["model", "messages", "tools", "tool_choice", "chat_template_kwargs"];
    keep(schema, "messages", |name| read.contains(&name));
}

/// Leaves out the fields that are of no use to a kind of request, and says which it needs.
fn keep(schema: &mut Schema, needed: &str, is_read: impl Fn(&str) -> bool) {
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.retain(|name, _| is_read(name));
    }
    schema.insert("required".into(), vec![needed].into());
}

/// A text or tokens, or several of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a string, an array of strings, an array of tokens or an array of those")]
pub(in crate::server) enum PromptField {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<TokenId>),
    TokenLists(Vec<Vec<TokenId>>),
}

impl PromptField {
    /// Whether control tokens are in the text of the prompt: in a text nothing is one, but what goes before it.
    pub(in crate::server) fn controls(&self) -> Controls {
        match self {
            PromptField::Text(_) | PromptField::Texts(_) => Controls::Skip,
            PromptField::Tokens(_) | PromptField::TokenLists(_) => Controls::Show,
        }
    }
}

/// `logprobs`: whether, in chats; how many beside each, in completions.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "true, false or a number")]
pub(in crate::server) enum LogprobsField {
    Wanted(bool),
    Count(usize),
}

/// A value, or an array of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
pub(in crate::server) struct StreamOptions {
    pub(in crate::server) include_usage: Option<bool>,
}

/// What the answer must be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::server) enum ResponseFormat {
    Text,
    JsonObject,
    JsonSchema { json_schema: NamedSchema },
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(in crate::server) struct NamedSchema {
    pub(in crate::server) schema: Option<Value>,
}

/// A function that the model may ask for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(in crate::server) struct Tool {
    pub(in crate::server) function: Function,
    /// With all else, as templates read it.
    #[serde(flatten)]
    pub(in crate::server) rest: Map<String, Value>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`none`, `auto`, `required` or a function")]
pub(in crate::server) enum ToolChoice {
    Mode(ToolMode),
    Named { function: NamedFunction },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::server) enum ToolMode {
    None,
    Auto,
    Required,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(in crate::server) struct NamedFunction {
    pub(in crate::server) name: String,
}

/// Reads a body; an error names the field.
pub(in crate::server) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut body: Value = serde_json::from_slice(bytes)
        .map_err(|error| ApiError::invalid("", format!("the body is not JSON: {error}")))?;
    make_whole(&mut body);
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "" } else { &path };
        let message = error.inner().to_string();
        // What is missing has no path of its own.
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        let param = [path, missing.unwrap_or_default()].into_iter().filter(|part| !part.is_empty());
        let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        ApiError::invalid(&param.collect::<Vec<_>>().join("."), format!("{place}{message}"))
    })
}

/// Turns `5.0` into `5` everywhere: JSON does not tell them apart, and some clients write all their numbers so.
fn make_whole(value: &mut Value) {
    /// Whole numbers up to here are exact.
    const MOST: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(x) = number.as_f64().filter(|x| x.fract() == 0.0 && x.abs() <= MOST) {
                *value = (x as i64).into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        _ => {}
    }
}
