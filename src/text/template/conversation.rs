//! What a chat template renders: messages, tools and switches, named as OpenAI's chat API names them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One turn of a conversation.
///
/// A field without a value does not exist for the template, which is how `transformers` passes messages on: many
/// templates ask whether a message has `tool_calls`, and few are ready for a null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or whatever else the template knows.
    pub role: String,
    /// What was said; assistant messages that only call tools have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The calls that an assistant message makes: `{"id", "type", "function": {"name", "arguments"}}` each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<Value>>,
    /// Which call a `tool` message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Who speaks, or which tool answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What an assistant message thought before it answered. Templates also see it as `thinking`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Every other field, passed on as it is.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Typed parts, such as `{"type": "text", "text": "…"}`.
    Parts(Vec<Value>),
}

/// How a template sees the content of a message that has none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blank {
    Absent,
    Null,
    Empty,
}

/// Everything that one rendering needs.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    /// The turns, oldest first.
    pub messages: Vec<Message>,
    /// Tools that the model may call, as JSON schemas; templates see `none` without them.
    pub tools: Option<Vec<Value>>,
    /// Whether the text ends with the opening of an assistant turn.
    pub add_generation_prompt: bool,
    /// Further variables of the template, such as `enable_thinking` or `documents`.
    pub extra: Map<String, Value>,
    /// The time that `strftime_now` gives. `None` is the current local time; tests and cached prompts set it.
    pub now: Option<jiff::civil::DateTime>,
}

impl Message {
    /// A message of plain text.
    pub fn new(role: impl Into<String>, text: impl Into<String>) -> Message {
        Message {
            role: role.into(),
            content: Some(Content::Text(text.into())),
            tool_calls: None,
            tool_call_id: None,
            name: None,
            reasoning_content: None,
            extra: Map::new(),
        }
    }

    /// The message with each call's `arguments` as an object where they are a string that holds one.
    ///
    /// OpenAI's API carries arguments as a string of JSON, but most templates write them with `tojson` and would
    /// quote that string a second time.
    pub fn with_parsed_arguments(mut self) -> Message {
        for call in self.tool_calls.iter_mut().flatten() {
            let Some(arguments) = call.pointer_mut("/function/arguments") else { continue };
            if let Some(object @ Value::Object(_)) = arguments.as_str().and_then(|text| serde_json::from_str(text).ok())
            {
                *arguments = object;
            }
        }
        self
    }

    /// The message as templates see it: no nulls, and its reasoning under the names that templates read.
    pub(super) fn to_map(&self, blank: Blank) -> Map<String, Value> {
        // Serializing strings, maps and values into a `Value` cannot fail, and a struct becomes an object.
        let Ok(Value::Object(mut fields)) = serde_json::to_value(self) else { return Map::new() };
        fields.retain(|_, value| !value.is_null());
        match blank {
            Blank::Null => _ = fields.entry("content").or_insert(Value::Null),
            Blank::Empty => _ = fields.entry("content").or_insert("".into()),
            Blank::Absent => {}
        }
        let reasoning = ["reasoning_content", "thinking", "reasoning"].iter().find_map(|key| fields.get(*key)).cloned();
        if let Some(reasoning) = reasoning {
            if !fields.contains_key("thinking") {
                fields.shift_insert(0, "thinking".into(), reasoning.clone());
            }
            fields.insert("reasoning_content".into(), reasoning);
        }
        fields
    }
}
