//! Hashing what is in the cache again: the name of a blob is the hash of its content.

use super::super::cache::Cache;
use super::{
    contents::{Contents, Entry, Holds, Revision},
    error::KeepError,
    locks::is_partial,
    target::Target,
};
use crate::hash::{Algorithm, Hashed};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File, FileTimes},
    io,
    path::{Path, PathBuf},
};

/// A file that is to be checked.
#[derive(Clone, Debug)]
pub struct Check {
    /// Owner and name.
    pub repo: String,
    /// Path within the repository; that of a blob if no revision has it.
    pub name: String,
    /// A commit that has it; `None` if no revision has.
    pub revision: Option<String>,
    /// The blob, or the file where there is none.
    pub path: PathBuf,
    /// `None` if it is not there.
    pub size_bytes: Option<u64>,
    /// How its content is hashed, and what that must give; `None` if nothing says.
    pub expected: Option<(Algorithm, String)>,
}

/// What a check finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The content is what its name says.
    Sound,
    /// The content is something else.
    Damaged {
        /// Its hash.
        found: String,
    },
    /// A link without a file behind it.
    Missing,
    /// The file cannot be read.
    Unreadable {
        /// What the operating system says.
        reason: String,
    },
    /// Nothing says what the content must be: a copy, as on Windows, or a blob named in another way.
    Unknown,
}

impl Cache {
    /// The files to check: every blob once, and files of revisions without one; of `target`, or of all models.
    ///
    /// # Errors
    /// [`KeepError`] when `target` is not there, or the cache cannot be read.
    pub fn checks(&self, target: Option<&Target>) -> Result<Vec<Check>, KeepError> {
        let mut checks = Vec::new();
        if let Some(target) = target {
            let contents = target.contents(self)?;
            if !target.is_whole() {
                let entries = target.entries(&contents, self)?;
                of_entries(&contents, entries.into_iter(), &mut checks);
                return Ok(checks);
            }
            of_all(&contents, &mut checks);
            return Ok(checks);
        }
        for (repo, folder) in self.repositories()? {
            // A file among the repositories is none.
            if folder.is_dir() {
                of_all(&Contents::read(&repo, &folder)?, &mut checks);
            }
        }
        Ok(checks)
    }
}

fn of_all(contents: &Contents, checks: &mut Vec<Check>) {
    let entries = contents.revisions.iter().map(|revision| (revision, revision.entries.iter().collect()));
    let seen = of_entries(contents, entries, checks);
    for (name, blob) in &contents.blobs {
        if seen.contains(name.as_os_str()) || is_partial(name) {
            continue;
        }
        let name = format!("blobs/{}", name.to_string_lossy());
        checks.push(Check::of_blob(&contents.repo, name, None, &blob.path));
    }
}

/// Adds a check for each blob behind `entries`, and gives the blobs.
fn of_entries<'a>(
    contents: &Contents,
    entries: impl Iterator<Item = (&'a Revision, Vec<&'a Entry>)>,
    checks: &mut Vec<Check>,
) -> BTreeSet<&'a OsStr> {
    let mut seen = BTreeSet::new();
    let mut by_name: BTreeMap<(&str, &str), Check> = BTreeMap::new();
    for (revision, entries) in entries {
        for entry in entries {
            let (name, commit) = (entry.name.clone(), Some(revision.commit.clone()));
            let check = match &entry.holds {
                Holds::Blob(blob) if !seen.insert(blob.as_os_str()) && entry.size_bytes.is_some() => continue,
                Holds::Blob(blob) => {
                    Check::of_blob(&contents.repo, name, commit, &contents.folder.join("blobs").join(blob))
                }
                Holds::Itself | Holds::Elsewhere => Check {
                    repo: contents.repo.clone(),
                    name,
                    revision: commit,
                    path: entry.path.clone(),
                    size_bytes: entry.size_bytes,
                    expected: None,
                },
            };
            by_name.insert((&entry.name, &revision.commit), check);
        }
    }
    checks.extend(by_name.into_values());
    seen
}

impl Check {
    fn of_blob(repo: &str, name: String, revision: Option<String>, path: &Path) -> Check {
        let hash = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        Check {
            repo: repo.into(),
            name,
            revision,
            path: path.into(),
            size_bytes: fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len()),
            expected: Algorithm::of_name(hash).map(|algorithm| (algorithm, hash.to_owned())),
        }
    }

    /// Reads the file and hashes it, telling `progress` of every piece how many bytes it has.
    pub fn run(&self, progress: &mut dyn FnMut(u64)) -> State {
        let (Some(_), Some((algorithm, expected))) = (self.size_bytes, &self.expected) else {
            return if self.size_bytes.is_none() { State::Missing } else { State::Unknown };
        };
        match unnoticed(&self.path, || algorithm.hash(&self.path, progress)) {
            Ok(Hashed { hex, .. }) if hex == *expected => State::Sound,
            Ok(Hashed { hex, .. }) => State::Damaged { found: hex },
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::Missing,
            Err(error) => State::Unreadable { reason: error.to_string() },
        }
    }
}

/// Does `work` with a file and gives it the time of access back: a check is no use of a model.
fn unnoticed<T>(path: &Path, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let accessed = fs::metadata(path).and_then(|metadata| metadata.accessed());
    let result = work();
    if let (Ok(accessed), Ok(file)) = (accessed, File::open(path)) {
        // Only its owner may; to others the time does not matter.
        let _ = file.set_times(FileTimes::new().set_accessed(accessed));
    }
    result
}
