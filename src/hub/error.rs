//! Why a reference does not lead to a model, a variant per remedy.

use super::reference::HubReference;
use super::select::SelectError;
use std::{io, path::PathBuf};

/// Why a MODEL argument is not understood, or its files are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The argument is neither a path nor a reference to the Hub: the command line is wrong.
    #[error("the model {reference} {reason}")]
    Malformed {
        /// The argument, in backticks.
        reference: String,
        /// What is wrong with it and what was expected, perhaps with a hint.
        reason: String,
    },
    /// Neither the environment nor the system says where the home folder is.
    #[error("no home folder is known, so neither is the model cache\nhint: set HF_HUB_CACHE to a folder")]
    NoHome,
    /// The cache has nothing of the repository.
    #[error("`{repo}` is not in the cache `{}`\nhint: download it with `{download}`", cache.display())]
    NotCached {
        /// Owner and name.
        repo: String,
        /// The folder of the cache.
        cache: PathBuf,
        /// The command that fetches it.
        download: String,
    },
    /// The cache has the repository at other revisions only.
    #[error(
        "revision `{revision}` of `{repo}` is not in the cache, which has {found}\nhint: download it with `{download}`"
    )]
    RevisionNotCached {
        /// Owner and name.
        repo: String,
        /// Branch, tag or commit that was asked for.
        revision: String,
        /// The revisions that are there, as text.
        found: String,
        /// The command that fetches it.
        download: String,
    },
    /// The start of a commit hash fits several commits in the cache.
    #[error("revision `{revision}` of `{repo}` is the start of several commits: {found}\nhint: give more digits")]
    AmbiguousRevision {
        /// Owner and name.
        repo: String,
        /// The start that was given.
        revision: String,
        /// The commits, as text.
        found: String,
    },
    /// The files of the repository that are in the cache do not have what was asked for, or have several of it.
    #[error("`{repo}` in the cache {source}{}", missing_hint(source, download))]
    NotSelected {
        /// Owner and name.
        repo: String,
        /// What was asked for and what is there.
        source: SelectError,
        /// The command that fetches what was asked for.
        download: String,
    },
    /// A download of it was begun and not finished, or its blobs were deleted.
    #[error("the download of `{repo}` is incomplete: {reason}\nhint: finish it with `{download}`")]
    Incomplete {
        /// Owner and name.
        repo: String,
        /// What is missing.
        reason: String,
        /// The command that finishes it.
        download: String,
    },
    /// The cache does not have the form that `huggingface_hub` gives it.
    #[error("the cache is damaged: `{}` {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// The operating system refuses a file or folder of the cache.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl HubError {
    /// Whether fetching the model may help.
    pub fn is_missing(&self) -> bool {
        match self {
            HubError::NotCached { .. } | HubError::RevisionNotCached { .. } | HubError::Incomplete { .. } => true,
            HubError::NotSelected { source, .. } => !matches!(source, SelectError::Ambiguous { .. }),
            _ => false,
        }
    }
}

fn missing_hint(source: &SelectError, download: &str) -> String {
    match source {
        // Its own hint is to say which.
        SelectError::Ambiguous { .. } => String::new(),
        _ => format!("\nhint: download it with `{download}`"),
    }
}

/// The command that fetches what `reference` means.
pub(super) fn download_command(reference: &HubReference) -> String {
    format!("taper pull {}", shell_word(&reference.to_string()))
}

/// `text` as one word of a shell: what a hint may have of a stranger's text.
pub fn shell_word(text: &str) -> String {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:@".contains(c)) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `text` in backticks on one line, shortened if it is long: what a message may quote of a stranger's text.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut quoted: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    format!("`{quoted}`")
}

/// `items` in a row for a message, the first few of many.
pub(super) fn enumerate(items: impl ExactSizeIterator<Item = String>) -> String {
    const MOST: usize = 12;
    let rest = items.len().saturating_sub(MOST);
    let mut text = items.take(MOST).collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        text.push_str("none");
    }
    if rest > 0 {
        text.push_str(&format!(" and {rest} more"));
    }
    text
}
