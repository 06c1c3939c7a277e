//! The locks that downloads hold: `.locks/<repository>/<blob>.lock`, by `flock`, as Python's `filelock` does.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// The locks of a repository.
pub(super) struct Locks {
    folder: PathBuf,
    /// Where `hf-hub` has its own.
    blobs: PathBuf,
}

/// A lock that this process holds until it is dropped.
pub(super) struct Lock {
    path: PathBuf,
    /// Held by being open.
    _file: File,
}

impl Locks {
    /// Those of the repository in `folder`.
    pub(super) fn of(cache: &Path, folder: &Path) -> Locks {
        let name = folder.file_name().unwrap_or_default();
        Locks { folder: cache.join(".locks").join(name), blobs: folder.join("blobs") }
    }

    /// Whether a download runs.
    pub(super) fn busy(&self) -> io::Result<bool> {
        for path in self.files()? {
            if matches!(hold(&path)?, Held::Others) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the lock of a blob, making its file if need be; `None` if another process has it.
    pub(super) fn take(&self, blob: &OsStr) -> io::Result<Option<Lock>> {
        let mut name = blob.to_owned();
        name.push(".lock");
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(match hold(&path)? {
            Held::Ours(lock) => Some(lock),
            Held::Others | Held::Nobodys => None,
        })
    }

    /// The lock files that no process holds.
    pub(super) fn stale(&self) -> io::Result<Vec<PathBuf>> {
        let mut stale = Vec::new();
        for path in self.files()? {
            if matches!(hold(&path)?, Held::Ours(_)) {
                stale.push(path);
            }
        }
        Ok(stale)
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        // A lock that is made behind a link would be made anywhere.
        for folder in self.folder.parent().into_iter().chain([self.folder.as_path()]) {
            if fs::symlink_metadata(folder).is_ok_and(|metadata| !metadata.is_dir()) {
                let reason = format!("`{}` is no folder of its own", folder.display());
                return Err(io::Error::new(io::ErrorKind::NotADirectory, reason));
            }
        }
        for folder in [&self.folder, &self.blobs] {
            let entries = match fs::read_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let path = entry?.path();
                if path.extension() == Some(OsStr::new("lock")) {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

impl Lock {
    /// Deletes the file while the lock is held: who waits for it sees that it has no name any more and begins anew.
    pub(super) fn delete(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Deletes a lock file unless a process holds it, and the folder with the last; whether it is gone.
pub(super) fn delete(path: &Path) -> io::Result<bool> {
    match hold(path)? {
        Held::Ours(lock) => lock.delete()?,
        Held::Nobodys => {}
        Held::Others => return Ok(false),
    }
    // Not empty is no error, and a folder that stays does no harm.
    let _ = path.parent().map(fs::remove_dir);
    Ok(true)
}

enum Held {
    Ours(Lock),
    Others,
    /// The file is gone, or is a link, which no lock is.
    Nobodys,
}

fn hold(path: &Path) -> io::Result<Held> {
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(Held::Nobodys);
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Held::Nobodys),
        file => file?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(Held::Others),
        // A file system without locks has nobody who could hold one.
        Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Held::Ours(Lock { path: path.into(), _file: file })),
    }
}

/// The blob that a file of `blobs/` belongs to: itself, or what an unfinished download is going to be.
pub(super) fn blob_of(name: &OsStr) -> OsString {
    let Some(text) = name.to_str() else { return name.to_owned() };
    let Some(stem) = partial_stem(text) else { return name.to_owned() };
    // Python adds eight random digits.
    let random = |rest: &str| rest.len() == 8 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    match stem.rsplit_once('.') {
        Some((blob, rest)) if random(rest) => blob.into(),
        _ => stem.into(),
    }
}

/// Whether a file of `blobs/` is an unfinished download.
pub(super) fn is_partial(name: &OsStr) -> bool {
    name.to_str().is_some_and(|text| partial_stem(text).is_some())
}

fn partial_stem(name: &str) -> Option<&str> {
    let ours = || name.split_once(".taper-").map(|(stem, _)| stem);
    name.strip_suffix(".incomplete").or_else(|| name.strip_suffix(".part")).or_else(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_downloads_are_told_by_their_names() {
        for (name, blob) in [
            ("ab12.incomplete", "ab12"),
            ("ab12.0a1b2c3d.incomplete", "ab12"),
            ("ab12.taper-partial", "ab12"),
            ("ab12.taper-ranges", "ab12"),
            ("a.b.incomplete", "a.b"),
            ("ab12.part", "ab12"),
        ] {
            assert_eq!((blob_of(OsStr::new(name)), is_partial(OsStr::new(name))), (blob.into(), true), "{name}");
        }
        assert_eq!((blob_of(OsStr::new("ab.12")), is_partial(OsStr::new("ab.12"))), ("ab.12".into(), false));
    }
}
