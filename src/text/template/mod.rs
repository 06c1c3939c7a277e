//! Chat templates: a conversation to the text that a model was trained on, as Python's `transformers` renders it.
//!
//! The template comes with the model, so a stranger wrote it. minijinja compiles it and runs it; what is here makes it
//! speak Python where the two differ, and stops it: steps, time, output and recursion are limited. Two things are not, and
//! can end the process: the memory of a string that doubles itself, and the printing of a namespace that contains itself.
//!
//! Known differences, which no template at hand needs: `%` does not format, macros have no `varargs` and `kwargs`, some
//! methods (`rsplit`, `removeprefix`, `index`…) and filters (`wordcount`, `truncate`, `center`…) are missing and fail, and
//! `repr` shows invisible characters as they are.

mod conversation;
mod error;
mod json;
mod python;

use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use std::io::{self, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use conversation::Blank;
pub use conversation::{Content, Conversation, Message};
pub use error::TemplateError;

const NAME: &str = "chat template";

/// Instructions of one rendering. The hungriest known template takes 70,000 for 200 messages with calls, and grows with
/// the square of them.
const MAX_STEPS: u64 = 500_000;

/// Long for any template: they take milliseconds.
const MAX_TIME: Duration = Duration::from_secs(5);

/// Values nest as deep as there are steps, and minijinja prints, compares and drops them recursively: at most 450 bytes
/// a level. Only what is used takes memory.
const STACK_BYTES: usize = MAX_STEPS as usize * 512;

/// Many times the longest known. What it nests is compiled recursively, on the same stack.
const MAX_SOURCE_BYTES: usize = 256 << 10;

/// No context window holds as much text.
const MAX_OUTPUT_BYTES: usize = 16 << 20;

/// A compiled chat template.
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles a template; `bos` and `eos` are the tokens that it sees as `bos_token` and `eos_token`.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Syntax`], or [`TemplateError::Limit`] if the source is no chat template by its length.
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<ChatTemplate, TemplateError> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(TemplateError::Limit("its source is too long"));
        }
        let source = with_scopes(source);
        let environment = on_deep_stack(move || compile(source))??;
        Ok(ChatTemplate { environment: Arc::new(environment), bos: bos.into(), eos: eos.into() })
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
        let environment = Arc::clone(&self.environment);
        let variables = self.variables(conversation, blank);
        let text = on_deep_stack(move || {
            let mut out = Capped::default();
            let template = environment.get_template(NAME);
            let done = template.and_then(|template| template.render_captured_to(variables, &mut out).map(drop));
            done.map(|()| out.0).map_err(|error| TemplateError::rendering(&error))
        })??;
        // minijinja writes whole strings.
        Ok(String::from_utf8_lossy(&text).into_owned())
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
            ("strftime_now", Value::from_function(move |format: &str| python::strftime(format, now))),
        ];
        let extra = conversation.extra.iter().map(|(name, value)| (name.as_str(), Value::from(Serde(value))));
        Value::from_pairs(own.into_iter().chain(extra))
    }
}

fn compile(source: String) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|error| TemplateError::syntax(&error))?);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_debug(true);
    python::extend(&mut environment);
    environment.add_template_owned(NAME, source).map_err(|error| TemplateError::syntax(&error))?;
    Ok(environment)
}

/// The result of `work` on a thread of its own, because of its stack and because it can be left behind.
fn on_deep_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TemplateError> {
    let (sender, receiver) = mpsc::channel();
    // Nobody listens after the deadline.
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || _ = sender.send(work()));
    thread.map_err(|_| TemplateError::Limit("there is no memory for its stack"))?;
    receiver.recv_timeout(MAX_TIME).map_err(|_| TemplateError::Limit("too much time"))
}

/// The source with `{% generation %}` as `{% with %}`, which leaves the text and the whitespace rules as they are: the
/// former marks what a model is trained on, and otherwise only opens a scope. Line ends become those of Jinja.
fn with_scopes(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
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
