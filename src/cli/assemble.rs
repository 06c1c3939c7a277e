//! Putting a prompt together from words, files and standard input.

use super::args::{read_text, utf8};
use std::{
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

/// The prompt: words, then files, then standard input unless that is a terminal, a blank line between. `None` if nothing
/// was given at all. A lone part stays as it is to the byte.
///
/// # Errors
/// When a file or standard input cannot be read or is not UTF-8.
pub(crate) fn prompt(words: &[String], files: &[PathBuf]) -> anyhow::Result<Option<String>> {
    let mut parts = Vec::new();
    if !words.is_empty() {
        parts.push(words.join(" "));
    }
    for file in files {
        // The name that other tools give to standard input.
        if file != Path::new("-") {
            parts.push(read_text(file)?);
        }
    }
    if !io::stdin().is_terminal() {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        if !bytes.is_empty() {
            parts.push(utf8(bytes, "standard input")?);
        }
    }
    Ok(joined(parts))
}

fn joined(mut parts: Vec<String>) -> Option<String> {
    let last = parts.pop()?;
    let before: String = parts.iter().map(|part| format!("{}\n\n", part.trim_end_matches(['\r', '\n']))).collect();
    Some(before + &last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_line_stands_between_parts_and_a_lone_part_is_untouched() {
        let parts = |parts: &[&str]| joined(parts.iter().map(|&part| part.to_owned()).collect());
        assert_eq!(parts(&[]), None);
        assert_eq!(parts(&[" a\n"]).as_deref(), Some(" a\n"));
        assert_eq!(parts(&["a", "b\r\n\n", "c\n"]).as_deref(), Some("a\n\nb\n\nc\n"));
    }
}
