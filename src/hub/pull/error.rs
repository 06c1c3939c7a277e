//! Why a model does not arrive, a variant per remedy.

use crate::hub::{HubError, SelectError};
use std::{io, path::PathBuf};

/// Why a model could not be had from the Hub.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The environment forbids the network.
    #[error("the network is not to be used: {0}")]
    Offline(String),
    /// A variable or flag that says how to reach the Hub is wrong.
    #[error("{name} {reason}")]
    Setup {
        /// The variable or flag, in backticks where it is a value.
        name: String,
        /// What it is and what was expected.
        reason: String,
    },
    /// The cache refuses.
    #[error(transparent)]
    Cache(#[from] HubError),
    /// The Hub knows no such repository, or does not show it to everybody.
    #[error("there is no model `{repo}` on {host}{}", if *.anonymous { PRIVATE } else { "" })]
    NoRepository {
        /// Owner and name.
        repo: String,
        /// Of the Hub.
        host: String,
        /// Whether no token was sent, so that it may also be a private one.
        anonymous: bool,
    },
    /// The repository has no such branch, tag or commit.
    #[error("`{repo}` has no revision `{revision}`, expected a branch, tag or commit")]
    NoRevision {
        /// Owner and name.
        repo: String,
        /// What was asked for.
        revision: String,
    },
    /// A file that the repository lists is not there.
    #[error("`{repo}` has no file `{name}` any more")]
    NoFile {
        /// Owner and name.
        repo: String,
        /// Of the file.
        name: String,
    },
    /// The repository has no files for the reference, or several.
    #[error("`{repo}` {source}")]
    NotSelected {
        /// Owner and name.
        repo: String,
        /// What was asked for and what is there.
        source: SelectError,
    },
    /// Gated or private, or the token is bad.
    #[error("access to `{repo}` is denied: {reason}\nhint: {hint}")]
    Denied {
        /// Owner and name.
        repo: String,
        /// What the Hub says.
        reason: String,
        /// The way in, with the page to visit.
        hint: String,
    },
    /// The network or the Hub failed, after retries.
    #[error("cannot fetch {what}: {reason}")]
    Network {
        /// What was to be fetched, from where.
        what: String,
        /// What happened, perhaps with a hint.
        reason: String,
    },
    /// What arrived is not what the Hub lists.
    #[error(
        "`{name}` of `{repo}` arrived damaged: its {kind} is {found}, expected {expected}\nhint: nothing of it was kept; try again, perhaps through another network"
    )]
    Damaged {
        /// Owner and name.
        repo: String,
        /// Of the file.
        name: String,
        /// Of the hash.
        kind: &'static str,
        /// The hash of what arrived, in hexadecimal digits.
        found: String,
        /// The hash that the Hub lists.
        expected: String,
    },
    /// The disk is too small.
    #[error("not enough disk space at `{}`: {needed} bytes are needed, {available} are free\nhint: make room, or set HF_HUB_CACHE to a folder on another disk", path.display())]
    NoSpace {
        /// The cache.
        path: PathBuf,
        /// Bytes still to be written.
        needed: u64,
        /// Bytes that there are.
        available: u64,
    },
    /// The operating system refuses to write to the cache.
    #[error("cannot write `{}`: {source}{}", path.display(), elsewhere(source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The user does not want it any more.
    #[error("interrupted; what has arrived is kept\nhint: the same command goes on from there")]
    Interrupted,
}

const PRIVATE: &str = "\nhint: check the name; if the model is private, set HF_TOKEN";

/// Where to write instead, if that is the remedy.
fn elsewhere(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => {
            "\nhint: set HF_HUB_CACHE to a folder that you may write to"
        }
        io::ErrorKind::FileTooLarge => {
            "\nhint: set HF_HUB_CACHE to a folder on a file system that has such large files"
        }
        _ => "",
    }
}

impl PullError {
    pub(super) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> PullError {
        let path = path.into();
        move |source| PullError::Write { path, source }
    }
}
