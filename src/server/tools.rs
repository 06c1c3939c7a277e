//! Tool calls: which form a model writes them in, and telling them from the text around.

use super::wire::{Body, Tool, ToolChoice, ToolMode};
use crate::engine::Grammar;
use crate::server::error::ApiError;
use serde_json::{Map, Value, json};

/// How a model writes that it wants a function called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallFormat {
    /// `<tool_call>{"name": …, "arguments": …}</tool_call>`, one after another: Qwen, Hermes.
    Tagged,
    /// `[TOOL_CALLS] [{"name": …, "arguments": …}]`: Mistral.
    Listed,
    /// `{"name": …, "parameters": …}` and nothing else: Llama 3.
    Bare,
}

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";
const LIST: &str = "[TOOL_CALLS]";

/// A call that a model asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// Its place among those of the answer.
    pub(super) index: usize,
    pub(super) id: String,
    pub(super) name: String,
    /// JSON.
    pub(super) arguments: String,
}

impl CallFormat {
    /// The form that the chat template of a model shows.
    pub(super) fn of_template(source: &str) -> CallFormat {
        if source.contains(LIST) {
            CallFormat::Listed
        } else if source.contains(OPEN) {
            CallFormat::Tagged
        } else {
            CallFormat::Bare
        }
    }

    /// Where the calls begin; `None` where they are all there is.
    fn marker(self) -> Option<&'static str> {
        match self {
            CallFormat::Tagged => Some(OPEN),
            CallFormat::Listed => Some(LIST),
            CallFormat::Bare => None,
        }
    }

    /// The grammar of exactly one call of one of `tools`.
    fn grammar(self, tools: &[&Tool]) -> Grammar {
        let arguments = if self == CallFormat::Bare { "parameters" } else { "arguments" };
        let one = |tool: &&Tool| {
            let parameters = tool.function.parameters.clone().unwrap_or_else(|| json!({ "type": "object" }));
            json!({
                "type": "object",
                "properties": { "name": { "const": tool.function.name }, arguments: parameters },
                "required": ["name", arguments],
                "additionalProperties": false,
            })
        };
        let schema = json!({ "anyOf": tools.iter().map(one).collect::<Vec<_>>() });
        match self {
            CallFormat::Bare => Grammar::JsonSchema(schema),
            CallFormat::Listed => Grammar::Lark(format!("start: \"{LIST} [\" call \"]\"\ncall: %json {schema}")),
            // Some vocabularies have the tags as tokens of their own, which still spell these bytes.
            CallFormat::Tagged => {
                Grammar::Lark(format!("start: \"{OPEN}\\n\" call \"\\n{CLOSE}\"\ncall: %json {schema}"))
            }
        }
    }
}

/// What a request says of tools.
pub(super) struct Tools {
    /// As the template gets them.
    pub(super) values: Vec<Value>,
    /// What an answer that must call one fits.
    pub(super) grammar: Option<Grammar>,
}

impl Tools {
    /// The tools of a request; `None` if there are none or none may be called.
    pub(super) fn of(body: &Body, format: CallFormat) -> Result<Option<Tools>, ApiError> {
        let tools = body.tools.as_deref().unwrap_or_default();
        let choice = body.tool_choice.as_ref();
        if tools.is_empty() {
            return match choice {
                None | Some(ToolChoice::Mode(ToolMode::None | ToolMode::Auto)) => Ok(None),
                Some(_) => {
                    Err(ApiError::invalid("tool_choice", "`tool_choice` asks for a tool, but there are no `tools`"))
                }
            };
        }
        let called: Vec<&Tool> = match choice {
            Some(ToolChoice::Mode(ToolMode::None)) => return Ok(None),
            None | Some(ToolChoice::Mode(ToolMode::Auto)) => Vec::new(),
            Some(ToolChoice::Mode(ToolMode::Required)) => tools.iter().collect(),
            Some(ToolChoice::Named { function }) => {
                let named: Vec<_> = tools.iter().filter(|tool| tool.function.name == function.name).collect();
                if named.is_empty() {
                    let message = format!("`tool_choice` names `{}`, which is none of the `tools`", function.name);
                    return Err(ApiError::invalid("tool_choice", message));
                }
                named
            }
        };
        let grammar = (!called.is_empty()).then(|| format.grammar(&called));
        Ok(Some(Tools { values: tools.iter().map(Tool::to_value).collect(), grammar }))
    }
}

/// Tells calls from text while it comes.
#[derive(Clone, Debug)]
pub(super) struct CallParser {
    format: CallFormat,
    /// Text that may begin a call, or a call that is not whole yet.
    held: String,
    /// Makes the ids of calls.
    id: String,
    n_calls: usize,
}

impl CallParser {
    pub(super) fn new(format: CallFormat, id: &str) -> CallParser {
        CallParser { format, held: String::new(), id: id.to_owned(), n_calls: 0 }
    }

    /// Adds text; gives what is surely text, and the calls that are whole now.
    pub(super) fn push(&mut self, text: &str) -> (String, Vec<Call>) {
        self.held.push_str(text);
        let (mut shown, mut calls) = (String::new(), Vec::new());
        match self.format.marker() {
            None if self.held.trim_start().starts_with('{') || self.held.trim().is_empty() => {}
            None => shown = std::mem::take(&mut self.held),
            Some(marker) => {
                loop {
                    let follows_call = self.n_calls > 0;
                    let Some((before, found)) = self.next_call(marker) else { break };
                    shown.push_str(beside_calls(&before, follows_call));
                    calls.extend(found);
                }
                let n_kept =
                    self.held.find(marker).map_or_else(|| beginning(&self.held, marker), |at| self.held.len() - at);
                let kept = self.held.split_off(self.held.len() - n_kept);
                let text = std::mem::replace(&mut self.held, kept);
                shown.push_str(beside_calls(&text, self.n_calls > 0));
            }
        }
        (shown, calls)
    }

    /// What is left at the end of the answer.
    pub(super) fn finish(&mut self) -> (String, Vec<Call>) {
        let held = std::mem::take(&mut self.held);
        let body =
            self.format.marker().map_or(Some(held.as_str()), |marker| held.split_once(marker).map(|(_, rest)| rest));
        let calls = body.map(|body| self.calls(body.trim_end().trim_end_matches(CLOSE))).unwrap_or_default();
        if calls.is_empty() { (held, calls) } else { (String::new(), calls) }
    }

    /// Takes a whole tagged call out of what is held, with the text before it. A malformed one stays text.
    fn next_call(&mut self, marker: &str) -> Option<(String, Vec<Call>)> {
        if self.format != CallFormat::Tagged {
            return None;
        }
        let open = self.held.find(marker)?;
        let close = open + self.held[open..].find(CLOSE)?;
        let rest = self.held.split_off(close + CLOSE.len());
        let whole = std::mem::replace(&mut self.held, rest);
        let calls = self.calls(&whole[open + marker.len()..close]);
        Some((if calls.is_empty() { whole } else { whole[..open].to_owned() }, calls))
    }

    /// The calls that `text` is, one or an array of them; none if it is anything else.
    fn calls(&mut self, text: &str) -> Vec<Call> {
        let values = match serde_json::from_str(text.trim()) {
            Ok(Value::Array(values)) => values,
            Ok(value) => vec![value],
            Err(_) => return Vec::new(),
        };
        let parts: Option<Vec<_>> = values.iter().map(parts).collect();
        let call = |(name, arguments): (&str, String)| {
            let index = self.n_calls;
            self.n_calls += 1;
            Call { index, id: format!("call_{}_{index}", self.id), name: name.to_owned(), arguments }
        };
        parts.unwrap_or_default().into_iter().map(call).collect()
    }
}

/// What of `text` is worth showing: line breaks between calls are not.
fn beside_calls(text: &str, follows_call: bool) -> &str {
    if follows_call && text.trim().is_empty() { "" } else { text }
}

/// Name and arguments of a call.
fn parts(call: &Value) -> Option<(&str, String)> {
    let name = call.get("name")?.as_str()?;
    let arguments = ["arguments", "parameters"].iter().find_map(|key| call.get(key));
    let arguments = match arguments {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => Value::from(Map::new()).to_string(),
    };
    Some((name, arguments))
}

/// Bytes at the end of `text` that begin `marker`.
fn beginning(text: &str, marker: &str) -> usize {
    (1..marker.len()).rev().find(|&n| text.ends_with(&marker[..n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: CallFormat, pieces: &[&str]) -> (String, Vec<(String, String)>) {
        let mut parser = CallParser::new(format, "x");
        let mut results: Vec<_> = pieces.iter().map(|piece| parser.push(piece)).collect();
        results.push(parser.finish());
        let text = results.iter().map(|(text, _)| text.as_str()).collect();
        (text, results.into_iter().flat_map(|(_, calls)| calls).map(|call| (call.name, call.arguments)).collect())
    }

    fn call(name: &str, arguments: &str) -> (String, String) {
        (name.into(), arguments.into())
    }

    #[test]
    fn calls_are_found_in_each_form_however_they_are_cut() {
        let tagged = "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>\n<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>";
        let listed = "Yes. [TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\"}]";
        let bare = "{\"name\": \"f\", \"parameters\": {\"a\": 1}}";
        for n in [1, 2, 7, 1000] {
            let cut = |text: &'static str| -> Vec<&str> {
                (0..text.len()).step_by(n).map(|at| &text[at..text.len().min(at + n)]).collect()
            };
            let both = vec![call("f", "{\"a\":1}"), call("g", "{}")];
            assert_eq!(read(CallFormat::Tagged, &cut(tagged)), ("Let me see.\n".into(), both.clone()), "{n}");
            assert_eq!(read(CallFormat::Listed, &cut(listed)), ("Yes. ".into(), both), "{n}");
            assert_eq!(read(CallFormat::Bare, &cut(bare)), (String::new(), vec![call("f", "{\"a\":1}")]), "{n}");
        }
    }

    #[test]
    fn what_is_no_call_stays_text() {
        for text in
            ["a < b <tool", "<tool_call>nonsense</tool_call>", "<tool_call>{\"name\":", "{\"a\": 1}", "[TOOL_CALLS] x"]
        {
            for format in [CallFormat::Tagged, CallFormat::Listed, CallFormat::Bare] {
                assert_eq!(read(format, &[text]), (text.to_owned(), Vec::new()), "{format:?}");
            }
        }
    }
}
