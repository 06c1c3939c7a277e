//! Chat templates: a conversation to the text that a model was trained on, as Python's `transformers` renders it.
//!
//! The template comes with the model, so a stranger wrote it. minijinja compiles it and runs it; what is here makes it
//! speak Python where the two differ, and stops it. Steps, output and recursion are limited. Memory is only bounded by
//! the steps: a string that doubles itself costs few of them, and minijinja has no limit for it.

mod conversation;
mod error;
mod json;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, ErrorKind};
use std::io::{self, Write};

use conversation::Blank;
pub use conversation::{Content, Conversation, Message};
pub use error::TemplateError;

const NAME: &str = "chat template";

/// Instructions of one rendering. The hungriest known template takes 50 times less for 200 messages.
const MAX_STEPS: u64 = 10_000_000;

/// No context window holds as much text.
const MAX_OUTPUT_BYTES: usize = 32 << 20;

/// A compiled chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles a template; `bos` and `eos` are the tokens that it sees as `bos_token` and `eos_token`.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Syntax`].
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<ChatTemplate, TemplateError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| TemplateError::syntax(&error))?);
        environment.set_fuel(Some(MAX_STEPS));
        environment.set_debug(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", json::to_json);
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned(NAME, with_scopes(source)).map_err(|error| TemplateError::syntax(&error))?;
        Ok(ChatTemplate { environment, bos: bos.into(), eos: eos.into() })
    }

    /// The text of a conversation.
    ///
    /// A message without content has no such field or, where the template fails on that, a null or an empty one:
    /// templates differ in which of them they can read.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Raised`] where the template refuses the conversation, [`TemplateError::Limit`] where it does not
    /// come to an end, [`TemplateError::Failed`] where it breaks.
    pub fn render(&self, conversation: &Conversation) -> Result<String, TemplateError> {
        let mut result = self.render_with(conversation, Blank::Absent);
        if conversation.messages.iter().any(|message| message.content.is_none()) {
            for blank in [Blank::Null, Blank::Empty] {
                if matches!(result, Err(TemplateError::Failed { .. })) {
                    result = self.render_with(conversation, blank);
                }
            }
        }
        result
    }

    fn render_with(&self, conversation: &Conversation, blank: Blank) -> Result<String, TemplateError> {
        let mut out = Capped::default();
        let variables = self.variables(conversation, blank);
        let template = self.environment.get_template(NAME);
        template
            .and_then(|template| template.render_captured_to(variables, &mut out).map(drop))
            .map_err(|error| TemplateError::rendering(&error))?;
        // minijinja writes whole strings.
        Ok(String::from_utf8_lossy(&out.0).into_owned())
    }

    /// Whether the source has `name` as a word: without it, the variable of that name changes nothing.
    pub fn mentions(&self, name: &str) -> bool {
        let is_part = |char: char| char.is_alphanumeric() || char == '_';
        let Ok(template) = self.environment.get_template(NAME) else { return false };
        template.source().split(|char| !is_part(char)).any(|word| word == name)
    }

    /// What the template sees, with the defaults that `transformers` gives.
    fn variables(&self, conversation: &Conversation, blank: Blank) -> Value {
        let messages = conversation.messages.iter().map(|message| Value::from(Serde(message.to_map(blank))));
        let now = conversation.now;
        let own = [
            ("bos_token", Value::from(&self.bos)),
            ("eos_token", Value::from(&self.eos)),
            ("messages", messages.collect()),
            ("tools", Value::from(Serde(&conversation.tools))),
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(conversation.add_generation_prompt)),
            ("strftime_now", Value::from_function(move |format: &str| strftime(format, now))),
        ];
        let extra = conversation.extra.iter().map(|(name, value)| (name.as_str(), Value::from(Serde(value))));
        Value::from_pairs(own.into_iter().chain(extra))
    }
}

/// The source with `{% generation %}` as `{% with %}`, which leaves the text and the whitespace rules as they are: the
/// former marks what a model is trained on, and otherwise only opens a scope.
fn with_scopes(source: &str) -> String {
    let mut pieces = source.split("{%");
    let mut out = String::from(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.push_str("{%");
        let tag = piece.split_once("%}").map_or("", |(tag, _)| tag);
        match tag.trim_matches(|char: char| char.is_whitespace() || "-+".contains(char)) {
            "generation" | "endgeneration" => out.push_str(&piece.replacen("generation", "with", 1)),
            _ => out.push_str(piece),
        }
    }
    out
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    let raised = TemplateError::Raised(error::one_line(&message.to_string()));
    Err(Error::from(ErrorKind::InvalidOperation).with_source(raised))
}

/// Python's `strftime` in the C locale; without a time, now.
fn strftime(format: &str, now: Option<jiff::civil::DateTime>) -> Result<String, Error> {
    let time = now.unwrap_or_else(|| jiff::Zoned::now().datetime());
    let lenient = jiff::fmt::strtime::Config::new().lenient(true);
    jiff::fmt::strtime::BrokenDownTime::from(time)
        .to_string_with_config(&lenient, format)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// Output that fails when it grows too long.
#[derive(Default)]
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
