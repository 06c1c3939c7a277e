//! One process at a time for a file, as `huggingface_hub` agrees on it.

use super::error::PullError;
use std::{
    fs::{self, File, TryLockError},
    path::Path,
    thread,
    time::Duration,
};

/// Held until it is dropped. The file stays: deleting it would let two processes hold one lock each.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the lock ends with the file")] File);

/// How often a lock that another process holds is tried.
const GLANCE: Duration = Duration::from_millis(100);

impl Lock {
    /// Takes the lock at `path`; while another process has it, asks `goes_on` again and again.
    ///
    /// Source: `filelock`, which takes flock(2) on Unix and locks the first byte on Windows; the standard library's locks
    /// exclude both.
    pub(super) fn take(path: &Path, goes_on: impl Fn() -> bool) -> Result<Lock, PullError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(PullError::write(folder))?;
        }
        loop {
            let options = File::options().create(true).write(true).truncate(false).open(path);
            let file = options.map_err(PullError::write(path))?;
            match file.try_lock() {
                Ok(()) if is_at(&file, path) => return Ok(Lock(file)),
                // Whoever had it has deleted it: the next comer would make another.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if goes_on() => thread::sleep(GLANCE),
                Err(TryLockError::WouldBlock) => return Err(PullError::Interrupted),
                // Network file systems without locks: two processes would fetch the same bytes, which does no harm.
                Err(TryLockError::Error(error)) => {
                    tracing::warn!("no lock on `{}`: {error}", path.display());
                    return Ok(Lock(file));
                }
            }
        }
    }
}

/// Whether `file` is what the path leads to.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |it: fs::Metadata| (it.dev(), it.ino());
    file.metadata().is_ok_and(|file| fs::metadata(path).is_ok_and(|there| identity(there) == identity(file)))
}

/// Elsewhere a file that is open is not deleted.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_lock_whose_file_is_deleted_is_taken_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.lock");
        let is_free = || File::open(&path).unwrap().try_lock().is_ok();
        let first = Lock::take(&path, || true).unwrap();
        assert!(!is_free());
        assert!(matches!(Lock::take(&path, || false), Err(PullError::Interrupted)));
        let second = thread::scope(|scope| {
            let second = scope.spawn(|| Lock::take(&path, || true).unwrap());
            thread::sleep(GLANCE / 2);
            fs::remove_file(&path).unwrap();
            drop(first);
            second.join().unwrap()
        });
        assert!(!is_free());
        drop(second);
        assert!(is_free() && path.exists());
    }
}
