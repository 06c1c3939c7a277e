//! Why the cache cannot be put in order, a variant per remedy.

use super::super::{error::HubError, select::SelectError};
use std::{io, path::PathBuf};

/// Why something of the cache cannot be removed or checked.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The argument names nothing that the cache could have.
    #[error("`{model}` {reason}\nhint: give `owner/repo[:QUANTIZATION|:FILE][@REVISION]`, as `taper list` shows it")]
    NotOfCache {
        /// The argument.
        model: String,
        /// What it is instead.
        reason: &'static str,
    },
    /// The repository, or that revision of it, is not in the cache.
    #[error("{what} is not in the cache `{}`\nhint: `taper list` shows what is", cache.display())]
    NotThere {
        /// What was asked for, in backticks.
        what: String,
        /// The folder of the cache.
        cache: PathBuf,
    },
    /// No file of the repository, or more than one model, is what was asked for.
    #[error("`{repo}` in the cache {source}")]
    NotSelected {
        /// Owner and name.
        repo: String,
        /// What was asked for and what is there.
        source: SelectError,
    },
    /// Another process holds a lock of the repository.
    #[error("`{repo}` is in use: another process is downloading into it\nhint: wait for it or stop it, then try again")]
    InUse {
        /// Owner and name.
        repo: String,
    },
    /// A folder of the repository is a link or a file, and what lies behind may be anything.
    #[error("`{}` is no folder of its own but a link or file\nhint: taper deletes nothing behind it; do so by hand", path.display())]
    NotPlain {
        /// The link.
        path: PathBuf,
    },
    /// The argument is malformed, or the cache cannot be read.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The operating system refuses to delete a file or folder.
    #[error("cannot remove `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}
