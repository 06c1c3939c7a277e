//! What a pull tells while it works.

use serde::Serialize;
use std::time::Duration;

/// Something that happened. As JSON an object with the name of the event in `event`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// It is known what is to be done.
    Planned {
        /// Owner and name.
        repo: &'a str,
        /// The commit.
        commit: &'a str,
        /// Of the model.
        n_files: usize,
        /// Of all files.
        size_bytes: u64,
        /// What is not in the cache yet.
        missing_bytes: u64,
    },
    /// A file is being fetched.
    Started {
        /// Path within the repository.
        file: &'a str,
        /// Of the whole file.
        size_bytes: u64,
        /// What earlier attempts have left.
        done_bytes: u64,
    },
    /// More of it has arrived; told a few times a second.
    Progress {
        /// Path within the repository.
        file: &'a str,
        /// Of the whole file.
        size_bytes: u64,
        /// What has arrived.
        done_bytes: u64,
    },
    /// Another process fetches the same file.
    Waiting {
        /// Path within the repository.
        file: &'a str,
    },
    /// Something failed that may work the next time.
    Retrying {
        /// What was being fetched.
        what: &'a str,
        /// What happened.
        reason: &'a str,
        /// Until the next attempt.
        #[serde(rename = "wait_seconds", serialize_with = "seconds")]
        wait: Duration,
    },
    /// What arrived has the wrong hash, perhaps for what an earlier attempt left: all of it is fetched anew.
    Restarted {
        /// Path within the repository.
        file: &'a str,
    },
    /// A file is in the cache and its hash is right.
    Finished {
        /// Path within the repository.
        file: &'a str,
        /// Of the file.
        size_bytes: u64,
    },
}

/// Who wants to know, and may lose patience. Several threads tell.
pub trait Watch: Sync {
    /// Takes note.
    fn tell(&self, event: &Event<'_>);

    /// Whether to give up; asked several times a second.
    fn stopped(&self) -> bool;
}

fn seconds<S: serde::Serializer>(wait: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wait.as_secs_f64())
}
