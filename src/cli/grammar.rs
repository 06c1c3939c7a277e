//! Flags that hold an answer to a form.

use super::{args::read_text, exit::UsageError};
use crate::{
    engine::{Constraint, Grammar, Grammars},
    text::Tokenizer,
};
use std::path::PathBuf;

/// What the answer must be.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct GrammarArgs {
    /// The output is JSON that fits this schema: a file, or the schema itself
    #[arg(long, value_name = "FILE|TEXT", help_heading = "Form")]
    json_schema: Option<String>,
    /// The output is what this grammar derives, in Lark or GBNF
    #[arg(long, value_name = "FILE", help_heading = "Form")]
    grammar: Option<PathBuf>,
    /// The output matches this regular expression as a whole
    #[arg(long, value_name = "TEXT", help_heading = "Form")]
    regex: Option<String>,
}

impl GrammarArgs {
    /// The constraint on tokens of `tokenizer`; `None` if any answer will do.
    pub(crate) fn constraint(&self, tokenizer: &Tokenizer) -> anyhow::Result<Option<Constraint>> {
        let Some(grammar) = self.grammar()? else { return Ok(None) };
        Ok(Some(Grammars::new(tokenizer)?.compile(&grammar)?))
    }

    fn grammar(&self) -> anyhow::Result<Option<Grammar>> {
        if let Some(schema) = &self.json_schema {
            let text = if schema.trim_start().starts_with('{') { schema } else { &read_text(schema.as_ref())? };
            let schema =
                serde_json::from_str(text).map_err(|error| UsageError(format!("the schema is not JSON: {error}")))?;
            return Ok(Some(Grammar::JsonSchema(schema)));
        }
        if let Some(file) = &self.grammar {
            return Ok(Some(Grammar::from_text(&read_text(file)?)?));
        }
        Ok(self.regex.clone().map(Grammar::Regex))
    }
}
