//! Chat on a terminal.

use super::output::Output;
use crate::{
    engine::Completion,
    text::{Conversation, Message},
};
use rustyline::{Config, DefaultEditor, error::ReadlineError};

const HELP: &str = "\
/help          this list
/clear         forget the conversation
/system TEXT   set the system prompt and forget the conversation
/retry         answer the last question again
/exit          leave (so does Ctrl-D)
End a line with \\ to go on in the next, or put several lines between two lines of \"\"\".
Ctrl-C stops an answer. The arrow keys bring earlier lines back.
";

/// The user's side of a conversation.
pub(crate) struct Repl<'a> {
    editor: DefaultEditor,
    conversation: Conversation,
    output: &'a Output,
    /// How often an answer was asked for again: the same seed would give the same one.
    n_retries: u64,
    /// Whether Ctrl-C was the last thing that was typed.
    interrupted: bool,
}

/// What a line asks for.
enum Line {
    Turn,
    Again,
    Leave,
}

impl<'a> Repl<'a> {
    /// A chat with the model that is called `model`.
    ///
    /// # Errors
    /// When there is no terminal to read from.
    pub(crate) fn new(model: &str, conversation: Conversation, output: &'a Output) -> anyhow::Result<Repl<'a>> {
        let config = Config::builder().auto_add_history(false).build();
        let editor = DefaultEditor::with_config(config)?;
        output.note(&format!("{model}; /help lists the commands, Ctrl-D leaves"));
        Ok(Repl { editor, conversation, output, n_retries: 0, interrupted: false })
    }

    /// The conversation with a new question at its end, and how often an answer was asked for again; `None` when the
    /// user leaves.
    ///
    /// # Errors
    /// When the terminal fails.
    pub(crate) fn next_turn(&mut self) -> anyhow::Result<Option<(&Conversation, u64)>> {
        loop {
            let text = match self.read() {
                Ok(text) => text,
                Err(ReadlineError::Interrupted) if self.interrupted => return Ok(None),
                Err(ReadlineError::Interrupted) => {
                    self.interrupted = true;
                    self.output.note("Ctrl-C again or Ctrl-D leaves");
                    continue;
                }
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            self.interrupted = false;
            match self.take(&text) {
                Line::Turn => return Ok(Some((&self.conversation, self.n_retries))),
                Line::Again => {}
                Line::Leave => return Ok(None),
            }
        }
    }

    /// Adds the answer to the conversation.
    pub(crate) fn answered(&mut self, completion: &Completion) {
        self.conversation.messages.push(Message::new("assistant", completion.text.as_str()));
    }

    /// Takes the last question back, since it has no answer.
    pub(crate) fn failed(&mut self, error: &anyhow::Error) {
        self.conversation.messages.pop();
        self.output.report(error);
        self.output.note("/clear forgets the conversation");
    }

    /// A line, or several where the user says so.
    fn read(&mut self) -> Result<String, ReadlineError> {
        let mut text = self.editor.readline(">>> ")?;
        if text.trim() == "\"\"\"" {
            text.clear();
            loop {
                let line = self.editor.readline("... ")?;
                if line.trim() == "\"\"\"" {
                    break;
                }
                text = text + &line + "\n";
            }
        }
        while text.ends_with('\\') {
            text.pop();
            text = text + "\n" + &self.editor.readline("... ")?;
        }
        if !text.trim().is_empty() {
            self.editor.add_history_entry(text.as_str())?;
        }
        Ok(text)
    }

    fn take(&mut self, text: &str) -> Line {
        let text = text.trim();
        let (command, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match command {
            "" => Line::Again,
            "/exit" | "/quit" | "/bye" => Line::Leave,
            "/help" | "/?" => self.tell(HELP),
            "/clear" => {
                self.conversation.messages.retain(|message| message.role == "system");
                self.tell("forgotten\n")
            }
            "/system" => {
                self.conversation.messages.clear();
                if !rest.is_empty() {
                    self.conversation.messages.push(Message::new("system", rest.trim()));
                }
                self.tell("set\n")
            }
            "/retry" => {
                if self.conversation.messages.last().is_some_and(|message| message.role == "assistant") {
                    self.conversation.messages.pop();
                    self.n_retries += 1;
                    return Line::Turn;
                }
                self.tell("there is no answer yet\n")
            }
            _ if command.starts_with('/') && !command[1..].contains('/') => {
                self.tell(&format!("no command `{command}`: /help lists them\n"))
            }
            _ => {
                self.conversation.messages.push(Message::new("user", text));
                Line::Turn
            }
        }
    }

    fn tell(&self, text: &str) -> Line {
        self.output.say(text);
        Line::Again
    }
}
