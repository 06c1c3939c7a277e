//! What can be wrong with a GGUF file, a variant per remedy.

use std::{io, path::PathBuf};

/// Why a GGUF file, or a part of it, cannot be used. Each is one line that names the file, key or tensor.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The operating system refuses the file; `source.kind()` tells a missing one from the rest.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Not a GGUF file at all.
    #[error("{origin} is not a GGUF file but {found}")]
    NotGguf {
        /// The file, in backticks.
        origin: String,
        /// What it looks like, perhaps with a hint.
        found: &'static str,
    },
    /// A GGUF file of a version or byte order that is not supported.
    #[error("{origin} is {found}, expected little-endian GGUF version 2 or 3\nhint: convert the model again")]
    Version {
        /// The file, in backticks.
        origin: String,
        /// Its version or byte order.
        found: String,
    },
    /// The file ends too early.
    #[error("{origin} ends at {len_bytes} bytes, but {item} {needs}: damaged or incomplete download")]
    Truncated {
        /// The file, in backticks.
        origin: String,
        /// Its size.
        len_bytes: usize,
        /// The key, tensor or part of the header that does not fit.
        item: String,
        /// What it needs, or how far it reaches.
        needs: String,
    },
    /// The header contradicts itself or the specification.
    #[error("{origin} is malformed: {item}: {reason}")]
    Malformed {
        /// The file, in backticks.
        origin: String,
        /// The key, tensor or part of the header.
        item: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// A metadata value is not of the type or range that its reader needs.
    #[error("metadata key {key} is {found}, expected {expected}")]
    Value {
        /// The key, in backticks.
        key: String,
        /// The value or its type.
        found: String,
        /// What its reader needs.
        expected: String,
    },
    /// A tensor is stored in a type that taper does not compute with; the rest of the file is usable.
    #[error("tensor {name} is stored as {found}, which is not supported\nhint: supported are {supported}")]
    TensorType {
        /// The tensor, in backticks.
        name: String,
        /// The name or number of its type.
        found: String,
        /// The names of the types that are.
        supported: String,
    },
    /// The parts of a split model do not belong together, or the wrong one was given.
    #[error("{origin} {reason}")]
    Split {
        /// The file, in backticks.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A part of a split model is not beside its first part.
    #[error("part {number} of {count} of the model is missing: `{}`", path.display())]
    MissingPart {
        /// Where it should be.
        path: PathBuf,
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        count: usize,
    },
}

/// `text` in backticks on one line, shortened if it is long: what a message may quote of a hostile file.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut quoted: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    format!("`{quoted}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_name_stays_on_one_short_line() {
        assert_eq!(quote("a\nb\u{1b}[0m"), r"`a\nb\u{1b}[0m`");
        assert_eq!(quote(&"é".repeat(100)).chars().count(), 83);
    }
}
