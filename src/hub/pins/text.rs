//! The text of a lock file: TOML, of which only what taper writes is read.
//!
//! ```toml
//! # Written by `taper pull --lock`; `--locked` refuses every other file.
//! version = 1
//!
//! [[model]]
//! reference = "owner/repo:Q8_0"
//! repository = "owner/repo"
//! commit = "0123456789abcdef0123456789abcdef01234567"
//! files = [
//!   { name = "model-Q8_0.gguf", size = 639446688, sha256 = "…64 digits…" },
//! ]
//! ```
//!
//! A line for each fact, in a fixed order, so that a change of one shows as one line, and that merges of changes to
//! different models do not meet.

use super::super::{
    error::quote,
    reference::{HubReference, Reference},
};
use super::{PinError, PinnedFile, PinnedModel, Pins};
use std::{collections::BTreeMap, fmt::Write, iter::Peekable};

const HEAD: &str = "# Written by `taper pull --lock`; `--locked` refuses every other file.\n";
const VERSION: &str = "version = 1";

/// The pins as text.
pub(super) fn to_text(pins: &Pins) -> String {
    let mut models: Vec<&PinnedModel> = pins.models.iter().collect();
    models.sort_by(|a, b| a.reference.cmp(&b.reference));
    let mut text = format!("{HEAD}{VERSION}\n");
    for model in models {
        text += "\n[[model]]\n";
        for (key, value) in [("reference", &model.reference), ("repository", &model.repo), ("commit", &model.commit)] {
            text.extend([key, " = ", &quoted(value), "\n"]);
        }
        text += "files = [\n";
        let mut files: Vec<&PinnedFile> = model.files.iter().collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        for PinnedFile { name, size_bytes, sha256 } in files {
            // Writing into a string does not fail.
            let _ = writeln!(text, "  {{ name = {}, size = {size_bytes}, sha256 = \"{sha256}\" }},", quoted(name));
        }
        text += "]\n";
    }
    text
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// The lines that say something, with their numbers.
struct Lines<'a, I: Iterator<Item = (usize, &'a str)>> {
    lines: Peekable<I>,
    /// The number of the last line that was read.
    at: usize,
}

/// The pins that a text has.
pub(super) fn parse(text: &str) -> Result<Pins, PinError> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let said = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut lines = Lines { lines: said.peekable(), at: 1 };
    match lines.next() {
        Some(VERSION) => {}
        Some(line) if line.starts_with("version = ") => {
            return Err(
                lines.wrong(format!("has {}, expected `{VERSION}`\nhint: use the taper that wrote it", quote(line)))
            );
        }
        other => return Err(lines.expected(&format!("`{VERSION}`"), other)),
    }
    let mut models = BTreeMap::new();
    while let Some(line) = lines.next() {
        if line != "[[model]]" {
            return Err(lines.expected("`[[model]]`", Some(line)));
        }
        let first = lines.at;
        let model = lines.model()?;
        let reference = quote(&model.reference);
        if models.insert(model.reference.clone(), model).is_some() {
            return Err(PinError::Malformed { line: first, reason: format!("pins {reference} a second time") });
        }
    }
    Ok(Pins { models: models.into_values().collect() })
}

impl<'a, I: Iterator<Item = (usize, &'a str)>> Lines<'a, I> {
    fn next(&mut self) -> Option<&'a str> {
        let (at, line) = self.lines.next()?;
        self.at = at;
        Some(line)
    }

    fn wrong(&self, reason: String) -> PinError {
        PinError::Malformed { line: self.at, reason }
    }

    fn expected(&self, what: &str, found: Option<&str>) -> PinError {
        match found {
            None => PinError::Malformed { line: self.at, reason: format!("the file ends after this, expected {what}") },
            Some(line) if ["<<<<<<<", "=======", ">>>>>>>", "|||||||"].iter().any(|mark| line.starts_with(mark)) => {
                self.wrong("has the mark of a merge that is not finished".into())
            }
            Some(line) => self.wrong(format!("has {}, expected {what}", quote(line))),
        }
    }

    /// A model, after its heading.
    fn model(&mut self) -> Result<PinnedModel, PinError> {
        let reference = self.value("reference")?;
        let parsed = canonical(&reference).ok_or_else(|| {
            self.wrong(format!(
                "has {}, expected `owner/repo[:SELECTOR][@REVISION]` in its canonical form",
                quote(&reference)
            ))
        })?;
        let repo = self.value("repository")?;
        if repo != parsed.repo() {
            return Err(self.wrong(format!(
                "has the repository {}, expected that of {}",
                quote(&repo),
                quote(&reference)
            )));
        }
        let commit = self.value("commit")?;
        // Mirrors name commits in other ways than git.
        let wordlike = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if parsed.at_revision(&commit).is_err() || !commit.bytes().all(wordlike) {
            return Err(self.wrong(format!("has {}, expected the hash of a commit", quote(&commit))));
        }
        match self.next() {
            Some("files = [") => {}
            other => return Err(self.expected("`files = [`", other)),
        }
        let mut files: Vec<PinnedFile> = Vec::new();
        loop {
            match self.next() {
                Some("]") => break,
                Some(line) if line.starts_with('{') => {
                    let file = pinned_file(line).map_err(|reason| self.wrong(reason))?;
                    // As taper writes them, which also finds the same name twice.
                    if files.last().is_some_and(|last| last.name >= file.name) {
                        return Err(self.wrong(format!("has {} after a later name", quote(&file.name))));
                    }
                    files.push(file);
                }
                other => return Err(self.expected("a file or `]`", other)),
            }
        }
        if files.is_empty() {
            return Err(self.wrong(format!("pins no file for {}", quote(&reference))));
        }
        Ok(PinnedModel { reference, repo, commit, files })
    }

    fn value(&mut self, key: &str) -> Result<String, PinError> {
        let line = self.next();
        let found = line.and_then(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        let Some(rest) = found else { return Err(self.expected(&format!("`{key} = \"…\"`"), line)) };
        match unquoted(rest) {
            Some((value, "")) => Ok(value),
            _ => Err(self.expected(&format!("`{key} = \"…\"`"), line)),
        }
    }
}

fn canonical(text: &str) -> Option<HubReference> {
    match Reference::parse(text, |_| false) {
        Ok(Reference::Hub(reference)) if reference.to_string() == text => Some(reference),
        _ => None,
    }
}

/// `{ name = "…", size = 1, sha256 = "…" },`
fn pinned_file(line: &str) -> Result<PinnedFile, String> {
    let parts = || {
        let (name, rest) = unquoted(line.strip_prefix("{ name = ")?)?;
        let (size, rest) = rest.strip_prefix(", size = ")?.split_once(", sha256 = ")?;
        let (sha256, rest) = unquoted(rest)?;
        // The last line of an array may go without a comma.
        matches!(rest, " }," | " }").then_some((name, size, sha256))
    };
    let form = "`{ name = \"…\", size = …, sha256 = \"…\" },`";
    let (name, size, sha256) = parts().ok_or_else(|| format!("has {}, expected {form}", quote(line)))?;
    let sane = |part: &str| !part.is_empty() && part.len() <= 255 && part != "." && part != "..";
    if name.len() > 1024 || name.contains(['\\', ':']) || name.contains(char::is_control) || !name.split('/').all(sane)
    {
        return Err(format!("has the name {}, expected that of a file within a repository", quote(&name)));
    }
    let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    let size_bytes = size.parse().ok().filter(|_| digits);
    let size_bytes = size_bytes.ok_or_else(|| format!("has the size {}, expected a number of bytes", quote(size)))?;
    if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(format!("has the sha256 {}, expected 64 digits from 0 to f", quote(&sha256)));
    }
    Ok(PinnedFile { name, size_bytes, sha256 })
}

/// The string that a text begins with, and the rest.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.strip_prefix('"')?.char_indices();
    loop {
        match chars.next()?.1 {
            '"' => return Some((value, chars.as_str())),
            '\\' => match chars.next()?.1 {
                c @ ('"' | '\\') => value.push(c),
                'u' => {
                    let digits = chars.as_str().get(..4).filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()))?;
                    value.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
                    chars.nth(3);
                }
                _ => return None,
            },
            c => value.push(c),
        }
    }
}
