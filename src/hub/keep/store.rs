//! The store that repositories share: `blobs/<2 digits>/<hash>`, to which blobs of repositories are links.
//!
//! Beside a file lies `<hash>.refs` with the blobs that link to it, a line each, appended before the link is made; a
//! line counts only if that link is there. Without the list nothing is deleted.
//!
//! Source: `huggingface_hub.utils._shared_blobs` (version 2.4).

use super::super::repository::entries;
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

/// The store of a cache.
pub(super) struct Store {
    cache: PathBuf,
    folder: PathBuf,
}

/// More than ten thousand links to the same file.
const LONGEST_LIST: u64 = 4 << 20;

impl Store {
    /// The store in the folder of a cache; `None` without one of the version that is understood.
    pub(super) fn of(cache: &Path) -> Option<Store> {
        let folder = cache.join("blobs");
        let mark = folder.join(".huggingface-shared-blobs");
        let owned = is_folder(&folder) && is_file(&mark) && read(&mark).is_ok_and(|text| text == "1\n");
        owned.then(|| Store { cache: cache.into(), folder })
    }

    /// The file of the store that a blob is a link to, there or not.
    pub(super) fn target(&self, blob: &Path) -> Option<PathBuf> {
        let target = plain(&blob.parent()?.join(fs::read_link(blob).ok()?));
        let parts: Vec<&str> =
            target.strip_prefix(plain(&self.folder)).ok()?.iter().filter_map(OsStr::to_str).collect();
        match parts[..] {
            [prefix, hash] if is_hash(hash) && &hash[..2] == prefix => Some(self.folder.join(prefix).join(hash)),
            _ => None,
        }
    }

    /// Its size, if nothing but `going` links to a file of the store.
    pub(super) fn freed_bytes(&self, payload: &Path, going: &BTreeSet<&Path>) -> Option<u64> {
        let links = self.links(payload)?;
        if !links.iter().all(|link| going.contains(link.as_path())) {
            return None;
        }
        fs::symlink_metadata(payload).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
    }

    /// The files to which nothing links any more, with their sizes.
    pub(super) fn orphans(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        for prefix in entries(&self.folder).unwrap_or_default() {
            if !prefix.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            for entry in entries(&prefix.path()).unwrap_or_default() {
                let named = entry.file_name().to_str().is_some_and(is_hash);
                let size = named.then(|| self.freed_bytes(&entry.path(), &BTreeSet::new())).flatten();
                found.extend(size.map(|size| (entry.path(), size)));
            }
        }
        found.sort();
        found
    }

    /// Deletes a file to which nothing links any more, and its list; whether it did.
    pub(super) fn sweep(&self, payload: &Path) -> io::Result<bool> {
        let path = beside(payload, ".lock");
        if fs::symlink_metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            return Ok(false);
        }
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        lock.lock()?;
        if self.freed_bytes(payload, &BTreeSet::new()).is_none() {
            return Ok(false);
        }
        fs::remove_file(payload)?;
        fs::remove_file(beside(payload, ".refs"))?;
        Ok(true)
    }

    /// The blobs that link to a file of the store; `None` if that is not known.
    fn links(&self, payload: &Path) -> Option<BTreeSet<PathBuf>> {
        let list = beside(payload, ".refs");
        let lines = if is_file(&list) { read(&list).ok()? } else { return None };
        let mut links = BTreeSet::new();
        for line in lines.lines() {
            let parts: Vec<&str> = line.split('/').collect();
            let [repository, "blobs", name] = parts[..] else { continue };
            let inside = !parts.contains(&"..") && repository.contains("--") && !line.contains('\\');
            let link = self.cache.join(repository).join("blobs").join(name);
            if inside && self.target(&link).as_deref() == Some(payload) {
                links.insert(link);
            }
        }
        Some(links)
    }
}

fn beside(payload: &Path, suffix: &str) -> PathBuf {
    let mut name = payload.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    payload.with_file_name(name)
}

fn is_hash(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST_LIST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_LIST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// `path` without `.` and `..`, by its text alone.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}
