//! A cache in a temporary folder, laid out as `huggingface_hub` does.

use super::hash::{git_hash, sha256};
use std::{fs, path::PathBuf};
use taper::hub::{Cache, HubError, HubReference, Reference, Resolved};
use tempfile::TempDir;

/// Two commits that begin alike, and one that does not.
pub(crate) const COMMITS: [&str; 3] = [
    "0123456789abcdef0123456789abcdef01234567",
    "0123456789ab0000000000000000000000000000",
    "fedcba9876543210fedcba9876543210fedcba98",
];

/// How a snapshot holds a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As a link to its blob: everywhere but on Windows without developer mode.
    Links,
    /// As the file itself.
    Copies,
}

/// The layouts that this system can have.
pub(crate) const LAYOUTS: &[Layout] = if cfg!(unix) { &[Layout::Links, Layout::Copies] } else { &[Layout::Copies] };

/// The cache, deleted with it.
pub(crate) struct HubCache {
    pub(crate) folder: TempDir,
    layout: Layout,
}

impl HubCache {
    pub(crate) fn new(layout: Layout) -> HubCache {
        HubCache { folder: tempfile::tempdir().unwrap(), layout }
    }

    pub(crate) fn repo(&self, repo: &str) -> PathBuf {
        self.folder.path().join(format!("models--{}", repo.replace('/', "--")))
    }

    pub(crate) fn snapshot(&self, repo: &str, commit: &str) -> PathBuf {
        self.repo(repo).join("snapshots").join(commit)
    }

    pub(crate) fn write(&self, path: PathBuf, content: impl AsRef<[u8]>) -> &HubCache {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn reference(&self, repo: &str, name: &str, commit: &str) -> &HubCache {
        self.write(self.repo(repo).join("refs").join(name), commit)
    }

    /// A file whose blob is named after its content, as on the Hub: weights by SHA-256, the rest as in git.
    pub(crate) fn file(&self, repo: &str, commit: &str, name: &str, content: &str) -> &HubCache {
        let pointer = self.snapshot(repo, commit).join(name);
        if self.layout == Layout::Copies {
            return self.write(pointer, content);
        }
        let blob = blob_name(name, content);
        fs::create_dir_all(pointer.parent().unwrap()).unwrap();
        link(&format!("{}blobs/{blob}", "../".repeat(1 + name.split('/').count())), &pointer);
        self.write(self.repo(repo).join("blobs").join(blob), content)
    }

    /// A blob that no file links to, if it is given the name of none.
    pub(crate) fn blob(&self, repo: &str, name: &str, content: &str) -> &HubCache {
        self.write(self.repo(repo).join("blobs").join(name), content)
    }

    /// All that lies in the cache, sorted: folders with `/` at the end, links with `@`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let (path, kind) = (entry.path(), entry.file_type().unwrap());
                let name = path.strip_prefix(self.folder.path()).unwrap().to_string_lossy().replace('\\', "/");
                found.push(
                    name + if kind.is_dir() {
                        "/"
                    } else if kind.is_symlink() {
                        "@"
                    } else {
                        ""
                    },
                );
                if kind.is_dir() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    }

    pub(crate) fn cache(&self) -> Cache {
        Cache::new(self.folder.path())
    }

    pub(crate) fn resolve(&self, reference: &str) -> Result<Resolved, HubError> {
        self.cache().resolve(&hub(reference))
    }

    /// The error that resolving `reference` gives, without the folder's name.
    pub(crate) fn refusal(&self, reference: &str) -> String {
        let text = self.resolve(reference).expect_err(reference).to_string();
        text.replace(self.folder.path().to_str().unwrap(), "CACHE")
    }
}

/// What the Hub calls the content of a file.
pub(crate) fn blob_name(name: &str, content: &str) -> String {
    let is_large = name.ends_with(".gguf") || name.ends_with(".safetensors");
    if is_large { sha256(content) } else { git_hash(content) }
}

/// A reference to the Hub, whatever is on disk.
pub(crate) fn hub(text: &str) -> HubReference {
    match Reference::parse(text, |_| false) {
        Ok(Reference::Hub(reference)) => reference,
        other => panic!("{text} is {other:?}"),
    }
}

#[cfg(unix)]
fn link(target: &str, pointer: &std::path::Path) {
    std::os::unix::fs::symlink(target, pointer).unwrap();
}

#[cfg(not(unix))]
fn link(_: &str, _: &std::path::Path) {
    unreachable!("only Unix is asked for links");
}
