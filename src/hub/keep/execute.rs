//! Deleting what is planned.

use super::super::{
    error::HubError,
    repository::{CLUTTER, walk},
};
use super::{
    contents::Contents,
    deletion::{Deletion, Item, ItemKind, Kept},
    error::KeepError,
    locks::{self, Lock, Locks, blob_of},
    store::Store,
};
use std::{
    collections::{BTreeMap, btree_map},
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// Blobs that are locked, looked at again and deleted together: more open files than this a process may not have.
const TOGETHER: usize = 128;

impl Deletion {
    /// Deletes it, and gives what was deleted; what is in use by now is kept.
    ///
    /// # Errors
    /// [`KeepError::Io`] when the system refuses; the cache is whole then, too, with less in it.
    pub fn execute(mut self) -> Result<Deletion, KeepError> {
        let planned = std::mem::take(&mut self.items);
        let of = |kinds: &'static [ItemKind]| planned.iter().filter(move |item| kinds.contains(&item.kind));
        for item in of(&[ItemKind::Ref]).chain(of(&[ItemKind::Absence])).chain(of(&[ItemKind::Entry])) {
            self.delete(item)?;
        }
        for (folder, repo) in self.repositories.clone() {
            let inside = |item: &&Item| item.repo.as_ref() == Some(&repo);
            let blobs: Vec<&Item> = of(&[ItemKind::Partial, ItemKind::Blob]).filter(inside).collect();
            for blobs in blobs.chunks(TOGETHER) {
                self.delete_blobs(&repo, &folder, blobs)?;
            }
        }
        for item in of(&[ItemKind::Other]) {
            self.delete(item)?;
        }
        let store = Store::of(&self.cache);
        for item in of(&[ItemKind::Shared]) {
            let sweep = |store: &Store| store.sweep(&item.path);
            if store.as_ref().map_or(Ok(false), sweep).map_err(|source| refused(&item.path, source))? {
                self.items.push(item.clone());
            }
        }
        for item in of(&[ItemKind::Lock]) {
            if locks::delete(&item.path).map_err(|source| refused(&item.path, source))? {
                self.items.push(item.clone());
            }
        }
        self.tidy()?;
        Ok(self)
    }

    fn delete(&mut self, item: &Item) -> Result<(), KeepError> {
        let folder = item.path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        let deleted = if folder { fs::remove_dir_all(&item.path) } else { fs::remove_file(&item.path) };
        match deleted {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            deleted => deleted.map_err(|source| refused(&item.path, source))?,
        }
        self.items.push(item.clone());
        Ok(())
    }

    /// Deletes blobs of a repository under their locks, save those to which a download has linked meanwhile.
    fn delete_blobs(&mut self, repo: &str, folder: &Path, blobs: &[&Item]) -> Result<(), KeepError> {
        let locks = Locks::of(&self.cache, folder);
        let mut held: BTreeMap<OsString, Option<Lock>> = BTreeMap::new();
        for item in blobs {
            let blob = blob_of(item.path.file_name().unwrap_or_default());
            if let btree_map::Entry::Vacant(vacant) = held.entry(blob) {
                let lock = locks.take(vacant.key()).map_err(|source| refused(&item.path, source))?;
                vacant.insert(lock);
            }
        }
        let contents = Contents::read(repo, folder)?;
        let linked = Contents::linked(contents.entries());
        for item in blobs {
            let name = item.path.file_name().unwrap_or_default();
            if matches!(held.get(&blob_of(name)), Some(None)) || linked.contains(name) {
                self.kept.push(Kept { path: item.path.clone(), reason: format!("`{repo}` is in use") });
            } else {
                self.delete(item)?;
            }
        }
        for (_, lock) in held {
            let deleted = lock.map_or(Ok(()), Lock::delete);
            deleted.map_err(|source| refused(folder, source))?;
        }
        Ok(())
    }

    /// Removes folders that have become empty; `snapshots` stays as long as its repository.
    fn tidy(&self) -> Result<(), KeepError> {
        for folder in self.repositories.keys() {
            for name in ["snapshots", "refs", ".no_exist"] {
                for entry in list(&folder.join(name))? {
                    if entry.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                        remove_empty(&entry)?;
                    }
                }
            }
            let unused = self.whole.contains(folder) || walk(folder)?.is_empty();
            // A download that has begun meanwhile keeps its folder.
            let busy = Locks::of(&self.cache, folder).busy().map_err(|source| refused(folder, source))?;
            if unused && !busy && !self.kept.iter().any(|kept| kept.path.starts_with(folder)) {
                fs::remove_dir_all(folder).map_err(|source| refused(folder, source))?;
            }
            let locks = self.cache.join(".locks").join(folder.file_name().unwrap_or_default());
            // Not empty is no error, and a folder that stays does no harm.
            let _ = fs::remove_dir(locks).and_then(|()| fs::remove_dir(self.cache.join(".locks")));
        }
        Ok(())
    }
}

/// Removes `folder` if nothing but empty folders and clutter is in it; whether it did.
fn remove_empty(folder: &Path) -> Result<bool, KeepError> {
    let mut empty = true;
    for entry in list(folder)? {
        let is_folder = entry.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        empty &= if is_folder { remove_empty(&entry)? } else { is_clutter(&entry) };
    }
    if empty {
        fs::remove_dir_all(folder).map_err(|source| refused(folder, source))?;
    }
    Ok(empty)
}

fn is_clutter(path: &Path) -> bool {
    CLUTTER.iter().any(|name| path.file_name() == Some(name.as_ref()))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, KeepError> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect()),
    };
    Ok(listed.map_err(|source| HubError::Io { path: folder.into(), source })?)
}

fn refused(path: &Path, source: io::Error) -> KeepError {
    KeepError::Io { path: path.into(), source }
}
