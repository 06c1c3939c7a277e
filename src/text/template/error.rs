//! What can be wrong with a chat template or with a conversation, a variant per remedy.

use minijinja::{Error, ErrorKind};
use std::error::Error as _;

/// Why a chat template gives no text. Each is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template cannot be compiled.
    #[error("the chat template has a syntax error in line {line}: {reason}")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// What was found and what was expected.
        reason: String,
    },
    /// The template itself refuses the conversation, with `raise_exception`: the request is wrong.
    #[error("the chat template refuses this conversation: {0}")]
    Raised(String),
    /// The template does not come to an end.
    #[error("the chat template was stopped: {0}")]
    Limit(&'static str),
    /// An operation of the template failed.
    #[error("the chat template failed in line {line}: {reason}")]
    Failed {
        /// Where, from 1.
        line: usize,
        /// What failed.
        reason: String,
    },
}

impl TemplateError {
    pub(super) fn syntax(error: &Error) -> TemplateError {
        TemplateError::Syntax { line: error.line().unwrap_or(1), reason: reason(error) }
    }

    /// The kind of an error and of those that it wraps.
    pub(super) fn rendering(error: &Error) -> TemplateError {
        if let Some(source) = error.source() {
            if let Some(raised) = source.downcast_ref::<TemplateError>() {
                return raised.clone();
            }
            if let Some(inner) = source.downcast_ref::<Error>() {
                return TemplateError::rendering(inner);
            }
        }
        match error.kind() {
            ErrorKind::OutOfFuel => TemplateError::Limit("too many steps"),
            ErrorKind::WriteFailure => TemplateError::Limit("too much output"),
            _ if error.detail() == Some("recursion limit exceeded") => TemplateError::Limit("too deep a recursion"),
            _ => TemplateError::Failed { line: error.line().unwrap_or(1), reason: reason(error) },
        }
    }
}

fn reason(error: &Error) -> String {
    one_line(&error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind())))
}

/// Text of a stranger, fit for a message.
pub(super) fn one_line(text: &str) -> String {
    const MAX_CHARS: usize = 1000;
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|char| !char.is_control())
        .take(MAX_CHARS)
        .collect()
}
