//! A folder for the weights in the format of a side.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A new folder among the temporary files, which goes with this value.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> io::Result<Folder> {
        static N: AtomicUsize = AtomicUsize::new(0);
        let name = format!("taper-bench-{}-{}", process::id(), N.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        // Refused if something of the name is there, whose ever it is.
        fs::create_dir(&path)?;
        Ok(Folder(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is a temporary file nevertheless.
        let _ = fs::remove_dir_all(&self.0);
    }
}
