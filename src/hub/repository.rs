//! One repository in the cache: `refs/<revision>` names a commit, `snapshots/<commit>/` links to `blobs/`.

use super::error::{HubError, quote};
use super::name::quantization;
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedFile {
    /// Path within the repository, with `/` between folders.
    pub name: String,
    /// Where it is: in the snapshot, usually a link to a blob.
    pub path: PathBuf,
    /// `None` if the blob behind the link is missing or cannot be reached.
    pub size_bytes: Option<u64>,
    /// What a GGUF's name says, as [`quantization`] has it.
    pub quantization: Option<String>,
    /// When it was last read or written, as the file system remembers.
    pub last_used: Option<SystemTime>,
}

/// The folder of a repository.
pub(super) struct Repository {
    folder: PathBuf,
}

/// What a revision stands for in the cache.
pub(super) enum Commit {
    Known(String),
    Unknown,
    /// The start of these hashes.
    Several(Vec<String>),
}

/// A branch or tag.
pub(super) struct Ref {
    pub(super) name: String,
    /// The error when its file is damaged.
    pub(super) commit: Result<String, HubError>,
}

/// Files that systems leave in every folder.
pub(super) const CLUTTER: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];

/// How the names of unfinished downloads end: Python's and ours.
const PARTIAL: [&str; 2] = [".incomplete", ".taper-partial"];

impl Repository {
    pub(super) fn new(folder: PathBuf) -> Repository {
        Repository { folder }
    }

    pub(super) fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The commit of a branch, tag, commit hash or a start of one that is in the cache.
    pub(super) fn commit(&self, revision: &str) -> Result<Commit, HubError> {
        let snapshots = self.commits()?;
        let reference = self.folder.join("refs").join(revision);
        let commit = match reference.is_file() {
            true => read_ref(&reference)?,
            false => revision.to_ascii_lowercase(),
        };
        if snapshots.contains(&commit) {
            return Ok(Commit::Known(commit));
        }
        // Shorter than git takes it for a hash.
        let hash = commit.len() >= 4 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut starting = snapshots.into_iter().filter(|snapshot| hash && snapshot.starts_with(&commit));
        Ok(match (starting.next(), starting.next()) {
            (None, _) => Commit::Unknown,
            (Some(commit), None) => Commit::Known(commit),
            (Some(first), Some(second)) => Commit::Several([first, second].into_iter().chain(starting).collect()),
        })
    }

    /// The commits that have a snapshot, sorted.
    pub(super) fn commits(&self) -> Result<Vec<String>, HubError> {
        let mut commits = Vec::new();
        for entry in entries(&self.folder.join("snapshots"))? {
            if let (true, Some(name)) = (entry.path().is_dir(), entry.file_name().to_str()) {
                commits.push(name.to_owned());
            }
        }
        commits.sort();
        Ok(commits)
    }

    /// The names under `refs/` with their commits, sorted.
    pub(super) fn refs(&self) -> Result<Vec<Ref>, HubError> {
        let files = walk(&self.folder.join("refs"))?;
        Ok(files.into_iter().map(|(name, path)| Ref { name, commit: read_ref(&path) }).collect())
    }

    /// The files of the snapshot of a commit, sorted by name.
    pub(super) fn files(&self, commit: &str) -> Result<Vec<CachedFile>, HubError> {
        let mut files = Vec::new();
        for (name, path) in walk(&self.snapshot(commit))? {
            let metadata = fs::metadata(&path).ok();
            // A link to a folder is none of Python's making.
            if metadata.as_ref().is_some_and(|metadata| !metadata.is_file()) {
                continue;
            }
            let size_bytes = metadata.as_ref().map(fs::Metadata::len);
            let last_used = metadata.and_then(|metadata| last_used(&metadata));
            let quantization = quantization(&name);
            files.push(CachedFile { name, path, size_bytes, quantization, last_used });
        }
        Ok(files)
    }

    /// How many bytes of unfinished downloads there are; `None` if no download is unfinished.
    pub(super) fn partial_bytes(&self) -> Result<Option<u64>, HubError> {
        let mut bytes = None;
        for entry in entries(&self.folder.join("blobs"))? {
            let name = entry.file_name();
            let partial = PARTIAL.iter().any(|end| name.to_string_lossy().ends_with(end));
            if let (true, Ok(metadata)) = (partial, entry.metadata()) {
                bytes = Some(metadata.len().saturating_add(bytes.unwrap_or(0)));
            }
        }
        Ok(bytes)
    }
}

/// When a file was last read or written.
pub(super) fn last_used(metadata: &fs::Metadata) -> Option<SystemTime> {
    metadata.accessed().ok().max(metadata.modified().ok())
}

/// The commit that a file under `refs/` names.
pub(super) fn read_ref(path: &Path) -> Result<String, HubError> {
    // Longer than any hash, so that a wrong file is not read whole.
    const LONGEST: u64 = 256;
    let io = |source| HubError::Io { path: path.into(), source };
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)).map_err(io)?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    // Mirrors name commits in other ways than git, but a name with a separator would lead out of the folder.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        let reason = format!("has {}, expected the hash of a commit", quote(&text));
        return Err(HubError::Damaged { path: path.into(), reason });
    }
    Ok(text)
}

/// All that is below `folder` and no folder, sorted: names with `/`, and paths. Links are not followed.
pub(super) fn walk(folder: &Path) -> Result<Vec<(String, PathBuf)>, HubError> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), folder.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        for entry in entries(&folder)? {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push((format!("{name}/"), path)),
                Ok(_) => found.push((name, path)),
                Err(source) => return Err(HubError::Io { path, source }),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is in `folder`, save [`CLUTTER`]; nothing if it is not there.
pub(super) fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, HubError> {
    let io = |source| HubError::Io { path: folder.into(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io)?,
    };
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.retain(|entry| !CLUTTER.iter().any(|name| entry.file_name() == *name));
    Ok(entries)
}
