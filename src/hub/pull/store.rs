//! Putting files into the cache, in an order that never shows one that is not whole.

use super::error::PullError;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The folder of a repository in the cache, to write to.
pub(super) struct Store {
    folder: PathBuf,
    /// Whether there may be links.
    links: bool,
}

impl Store {
    pub(super) fn new(folder: &Path, links: bool) -> Store {
        Store { folder: folder.into(), links }
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    pub(super) fn pointer(&self, commit: &str, name: &str) -> PathBuf {
        let snapshot = self.folder.join("snapshots").join(commit);
        name.split('/').fold(snapshot, |path, part| path.join(part))
    }

    /// Whether the snapshot has the file. The size tells: what is in the cache has been hashed on its way.
    pub(super) fn has(&self, commit: &str, name: &str, size_bytes: u64) -> bool {
        is_of_size(&self.pointer(commit, name), size_bytes)
    }

    /// Whether the blob is there.
    pub(super) fn has_blob(&self, hash: &str, size_bytes: u64) -> bool {
        is_of_size(&self.blobs().join(hash), size_bytes)
    }

    /// Shows a blob in a snapshot. Where there are no links a blob of which `is_new` is moved, and another copied.
    pub(super) fn show(&self, commit: &str, name: &str, hash: &str, is_new: bool) -> Result<(), PullError> {
        let pointer = self.pointer(commit, name);
        let folder = pointer.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(PullError::write(folder))?;
        if !self.links || !link(&self.relative(name, hash), &pointer).map_err(PullError::write(&pointer))? {
            let mut blob = self.blobs().join(hash);
            if !is_new {
                let copy = self.blobs().join(format!("{hash}.taper-copy"));
                fs::copy(&blob, &copy).and_then(|_| File::open(&copy)?.sync_all()).map_err(PullError::write(&copy))?;
                blob = copy;
            }
            fs::rename(&blob, &pointer).map_err(PullError::write(&pointer))?;
        }
        sync_folder(folder);
        Ok(())
    }

    /// The way from the file `name` of a snapshot to its blob.
    fn relative(&self, name: &str, hash: &str) -> PathBuf {
        let up = std::iter::repeat_n("..", 1 + name.split('/').count());
        up.chain(["blobs", hash]).collect()
    }

    /// Lets a branch or tag stand for a commit. Hashes and starts of them need no such file.
    pub(super) fn name(&self, revision: &str, commit: &str) -> Result<(), PullError> {
        let path = self.folder.join("refs").join(revision);
        let known = || fs::read_to_string(&path).is_ok_and(|text| text == commit);
        if commit.starts_with(&revision.to_ascii_lowercase()) || known() {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(PullError::write(folder))?;
        let new = self.folder.join(format!(".ref-{}.tmp", std::process::id()));
        replace(&path, &new, commit.as_bytes()).map_err(PullError::write(&path))
    }

    /// Notes that the repository has no file of this name, which spares Python a question.
    pub(super) fn note_absence(&self, commit: &str, name: &str) -> Result<(), PullError> {
        let path = self.folder.join(".no_exist").join(commit).join(name);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(PullError::write(folder))?;
        if path.exists() { Ok(()) } else { File::create(&path).map(drop).map_err(PullError::write(&path)) }
    }
}

/// Writes a small file, by way of `new`, so that no reader and no crash ever sees a part of it.
pub(super) fn replace(path: &Path, new: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(new)?;
    let written = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| fs::rename(new, path));
    if written.is_err() {
        // The disk may be full: at least nothing more of it is taken.
        let _ = fs::remove_file(new);
    }
    written.inspect(|()| path.parent().into_iter().for_each(sync_folder))
}

/// Lets what was done in a folder outlast a power cut, on systems that have a way to ask for it.
pub(super) fn sync_folder(folder: &Path) {
    // Some file systems refuse, and then there is nothing else to do.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

fn is_of_size(path: &Path, size_bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size_bytes)
}

/// Makes `pointer` a link to `target`; false where there are no links.
fn link(target: &Path, pointer: &Path) -> io::Result<bool> {
    let made = match symlink(target, pointer) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // What is there is a link to nothing, or of the wrong size: the caller has looked.
            fs::remove_file(pointer)?;
            symlink(target, pointer)
        }
        made => made,
    };
    match made {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
        Err(error) => {
            tracing::info!("no links at `{}`: {error}", pointer.display());
            Ok(false)
        }
    }
}

#[cfg(unix)]
fn symlink(target: &Path, pointer: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, pointer)
}

#[cfg(windows)]
fn symlink(target: &Path, pointer: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, pointer)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_shown_with_and_without_links() {
        for links in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::new(folder.path(), links);
            fs::create_dir_all(store.blobs()).unwrap();
            for (hash, name, is_new) in [("a1", "x.gguf", true), ("b2", "d/e/y.gguf", true), ("c3", "z.gguf", false)] {
                fs::write(store.blobs().join(hash), hash).unwrap();
                store.show("c", name, hash, is_new).unwrap();
                assert!(store.has("c", name, 2) && !store.has("c", name, 3));
                assert_eq!(fs::read_to_string(store.pointer("c", name)).unwrap(), hash);
                assert_eq!(store.has_blob(hash, 2), (links && cfg!(unix)) || !is_new, "{name} {links}");
            }
            // A link or file that is wrong gives way.
            fs::write(store.blobs().join("d4"), "new").unwrap();
            store.show("c", "x.gguf", "d4", true).unwrap();
            assert_eq!(fs::read_to_string(store.pointer("c", "x.gguf")).unwrap(), "new");
        }
    }

    #[test]
    fn only_names_get_a_reference() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), true);
        for (revision, named) in [("main", true), ("refs/pr/1", true), ("ABC", false), ("abcdef", false)] {
            store.name(revision, "abcdef").unwrap();
            let text = fs::read_to_string(folder.path().join("refs").join(revision));
            assert_eq!(text.ok().as_deref(), named.then_some("abcdef"), "{revision}");
        }
        store.name("main", "fedcba").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("refs/main")).unwrap(), "fedcba");
        assert_eq!(fs::read_dir(folder.path().join("refs")).unwrap().count(), 2, "nothing is left behind");
    }
}
