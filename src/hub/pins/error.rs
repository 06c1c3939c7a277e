//! Why a model is not what is pinned, a variant per remedy.

use super::super::error::{HubError, shell_word};
use std::{io, path::PathBuf};

/// Why a model is not what is pinned, or the lock file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file is not as taper writes it.
    #[error("line {line}: {reason}")]
    Malformed {
        /// From 1.
        line: usize,
        /// What was found and what was expected.
        reason: String,
    },
    /// The file does not have the reference.
    #[error(
        "`{reference}` is not pinned, only {pinned}\nhint: pin it with `taper pull --lock FILE {}`",
        shell_word(reference)
    )]
    NotPinned {
        /// The reference.
        reference: String,
        /// Those that are, as text.
        pinned: String,
    },
    /// The reference stands for another commit.
    #[error("`{repo}` is at commit {found}, pinned is {pinned}")]
    OtherCommit {
        /// Owner and name.
        repo: String,
        /// The one that was found.
        found: String,
        /// The one that should be.
        pinned: String,
    },
    /// A file of the model is not pinned.
    #[error("`{model}` has the file `{name}` (sha256 {sha256}), which is not pinned for it")]
    Extra {
        /// The reference or path.
        model: String,
        /// The file.
        name: String,
        /// Of its content.
        sha256: String,
    },
    /// A pinned file is not there.
    #[error(
        "`{model}` lacks the file `{name}`, pinned with sha256 {sha256}\nhint: fetch it with `taper pull {}`",
        shell_word(model)
    )]
    Lacks {
        /// The reference.
        model: String,
        /// The file.
        name: String,
        /// What is pinned.
        sha256: String,
    },
    /// A file has other content.
    #[error(
        "the file `{name}` of `{model}` has sha256 {found} and {found_bytes} bytes, pinned is {pinned} and {pinned_bytes} bytes"
    )]
    OtherContent {
        /// The reference.
        model: String,
        /// The file.
        name: String,
        /// The hash that was found.
        found: String,
        /// The size that was found.
        found_bytes: u64,
        /// The hash that should be.
        pinned: String,
        /// The size that should be.
        pinned_bytes: u64,
    },
    /// The reference is malformed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The operating system refuses a file.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}
