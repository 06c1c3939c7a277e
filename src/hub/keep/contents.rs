//! What lies in the folder of a repository: which revisions there are, and which blob is behind each of their files.

use super::super::repository::{Repository, entries, read_ref, walk};
use super::{error::KeepError, store::plain};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

/// A repository as it lies on disk.
pub(super) struct Contents {
    /// Owner and name.
    pub(super) repo: String,
    pub(super) folder: PathBuf,
    /// By commit.
    pub(super) revisions: Vec<Revision>,
    /// Files under `refs/` that name no revision which is there.
    pub(super) stray_refs: Vec<PathBuf>,
    /// By name.
    pub(super) blobs: BTreeMap<OsString, Blob>,
}

/// A folder of `snapshots/`.
pub(super) struct Revision {
    pub(super) commit: String,
    /// The files of branches and tags that stand for it.
    pub(super) refs: Vec<PathBuf>,
    pub(super) entries: Vec<Entry>,
}

/// A file of a revision.
pub(super) struct Entry {
    /// Path within the repository, with `/` between folders.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) holds: Holds,
    /// Of the file, wherever it is; `None` if it is not there.
    pub(super) size_bytes: Option<u64>,
}

/// Where the content of an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// In a blob.
    Blob(OsString),
    /// Here: no link, as on Windows.
    Itself,
    /// Somewhere else: a link that nobody but the user can have made.
    Elsewhere,
}

/// A file of `blobs/`.
pub(super) struct Blob {
    pub(super) path: PathBuf,
    /// What deleting it frees: nothing if it is a link.
    pub(super) size_bytes: u64,
}

/// The folders of a repository that `huggingface_hub` makes.
pub(super) const FOLDERS: [&str; 4] = ["blobs", "refs", "snapshots", ".no_exist"];

impl Contents {
    /// Reads the repository in `folder`.
    ///
    /// # Errors
    /// When it cannot be read, or one of its folders is a link.
    pub(super) fn read(repo: &str, folder: &Path) -> Result<Contents, KeepError> {
        for folder in std::iter::once(folder.to_owned()).chain(FOLDERS.map(|name| folder.join(name))) {
            match fs::symlink_metadata(&folder) {
                Ok(metadata) if !metadata.is_dir() => return Err(KeepError::NotPlain { path: folder }),
                _ => {}
            }
        }
        let mut refs: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        let mut stray_refs = Vec::new();
        for (_, path) in walk(&folder.join("refs"))? {
            match read_ref(&path) {
                Ok(commit) => refs.entry(commit).or_default().push(path),
                Err(_) => stray_refs.push(path),
            }
        }
        let blobs = blobs(&folder.join("blobs"))?;
        let mut revisions = Vec::new();
        for entry in entries(&folder.join("snapshots"))? {
            let commit = entry.file_name().to_string_lossy().into_owned();
            let refs = refs.remove(&commit).unwrap_or_default();
            revisions.push(Revision { commit, refs, entries: snapshot(folder, &entry)? });
        }
        revisions.sort_by(|a, b| a.commit.cmp(&b.commit));
        stray_refs.extend(refs.into_values().flatten());
        stray_refs.sort();
        Ok(Contents { repo: repo.into(), folder: folder.into(), revisions, stray_refs, blobs })
    }

    /// The files of all revisions.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.revisions.iter().flat_map(|revision| &revision.entries)
    }

    /// The blobs that `entries` link to.
    pub(super) fn linked<'a>(entries: impl Iterator<Item = &'a Entry>) -> BTreeSet<&'a OsStr> {
        let blob = |entry: &'a Entry| match &entry.holds {
            Holds::Blob(name) => Some(name.as_os_str()),
            Holds::Itself | Holds::Elsewhere => None,
        };
        entries.filter_map(blob).collect()
    }

    /// As [`Repository`].
    pub(super) fn repository(&self) -> Repository {
        Repository::new(self.folder.clone())
    }
}

fn blobs(folder: &Path) -> Result<BTreeMap<OsString, Blob>, KeepError> {
    let mut blobs = BTreeMap::new();
    for entry in entries(folder)? {
        let (path, name) = (entry.path(), entry.file_name());
        let metadata = match fs::symlink_metadata(&path) {
            // Gone since: a download has just been finished or given up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata.map_err(|source| KeepError::Io { path: path.clone(), source })?,
        };
        // Locks of `hf-hub` are no content.
        if metadata.is_dir() || path.extension() == Some(OsStr::new("lock")) {
            continue;
        }
        let size_bytes = if metadata.is_file() { on_disk(&metadata) } else { 0 };
        blobs.insert(name, Blob { path, size_bytes });
    }
    Ok(blobs)
}

/// What a file takes: unfinished downloads have holes.
fn on_disk(metadata: &fs::Metadata) -> u64 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // Of a file that has just been written, some file systems do not know yet.
        let blocks = metadata.blocks().saturating_mul(512);
        if blocks > 0 {
            return blocks.min(metadata.len());
        }
    }
    metadata.len()
}

/// The files of an entry of `snapshots/`; a link to a folder is an entry itself.
fn snapshot(folder: &Path, entry: &fs::DirEntry) -> Result<Vec<Entry>, KeepError> {
    let path = entry.path();
    let files = match entry.file_type() {
        Ok(kind) if kind.is_dir() => walk(&path)?,
        _ => vec![(String::new(), path)],
    };
    let blobs = folder.join("blobs");
    // Links may spell the folder in another way.
    let real = fs::canonicalize(&blobs).ok();
    let holds = |path: &Path| {
        let Ok(target) = fs::read_link(path) else { return Holds::Itself };
        let target = plain(&path.parent().unwrap_or(Path::new("")).join(target));
        let parent = target.parent().unwrap_or(Path::new(""));
        let inside = parent == plain(&blobs) || (real.is_some() && fs::canonicalize(parent).ok() == real);
        target.file_name().filter(|_| inside).map_or(Holds::Elsewhere, |name| Holds::Blob(name.into()))
    };
    let entry = |(name, path): (String, PathBuf)| {
        let size_bytes = fs::metadata(&path).ok().map(|metadata| metadata.len());
        Entry { holds: holds(&path), name, path, size_bytes }
    };
    Ok(files.into_iter().map(entry).collect())
}
