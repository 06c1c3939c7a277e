//! From text or a conversation to the tokens of a prompt.

use super::OpenError;
use crate::{
    TokenId,
    text::{ChatTemplate, Content, Conversation, Special, Tokenizer},
};
use std::sync::Arc;

/// A prompt as the model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The text, special tokens written out.
    pub text: String,
    /// Its tokens, with what the model's rules put before.
    pub tokens: Vec<TokenId>,
}

/// Makes prompts for one model.
pub struct Prompter {
    tokenizer: Arc<Tokenizer>,
    template: Option<ChatTemplate>,
}

impl Prompter {
    /// Prompts through `template`, where the model has one.
    pub fn new(tokenizer: Arc<Tokenizer>, template: Option<ChatTemplate>) -> Prompter {
        Prompter { tokenizer, template }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokenizer, for whoever else needs it.
    pub fn shared_tokenizer(&self) -> Arc<Tokenizer> {
        Arc::clone(&self.tokenizer)
    }

    /// The chat template; `None` if the model has none and only continues text.
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.template.as_ref()
    }

    /// The text as it is; what reads like a special token is text.
    ///
    /// # Errors
    /// [`OpenError::Text`] if the text is too long for any tokenizer.
    pub fn raw(&self, text: &str) -> Result<Prompt, OpenError> {
        let mut tokens = self.tokenizer.before().to_vec();
        tokens.extend(self.tokenizer.encode(text, Special::AsText)?);
        Ok(Prompt { text: text.to_owned(), tokens })
    }

    /// The conversation through the chat template; without one, its messages as plain text.
    ///
    /// # Errors
    /// [`OpenError::Template`] if the template refuses the conversation.
    pub fn chat(&self, conversation: &Conversation) -> Result<Prompt, OpenError> {
        let Some(template) = &self.template else { return self.raw(&plain_text(conversation)) };
        let text = template.render(conversation)?;
        let mut tokens = self.tokenizer.encode(&text, Special::Parse)?;
        // Most templates write the token that begins a text; twice it would mean something else.
        if !tokens.starts_with(self.tokenizer.before()) {
            tokens.splice(0..0, self.tokenizer.before().iter().copied());
        }
        Ok(Prompt { text, tokens })
    }
}

/// The messages of a conversation, a blank line between.
fn plain_text(conversation: &Conversation) -> String {
    let texts = conversation.messages.iter().filter_map(|message| match &message.content {
        Some(Content::Text(text)) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}
