//! What is to be deleted.

use super::super::{cache::Cache, repository::walk};
use super::{
    contents::{Contents, Entry},
    error::KeepError,
    locks::{Locks, is_partial},
    store::Store,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Files of a cache that are to be deleted, or have been.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    /// In the order in which they go.
    pub items: Vec<Item>,
    /// What stays although it should go.
    pub kept: Vec<Kept>,
    pub(super) cache: PathBuf,
    /// Folders of repositories of which something goes, with their names.
    pub(super) repositories: BTreeMap<PathBuf, String>,
    /// Those that go as a whole.
    pub(super) whole: BTreeSet<PathBuf>,
}

/// A file to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Owner and name; `None` for what no repository has.
    pub repo: Option<String>,
    /// Where it is.
    pub path: PathBuf,
    /// What deleting it frees: of links nothing.
    pub size_bytes: u64,
}

/// What a deleted file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// A branch or tag.
    Ref,
    /// A note of what a revision does not have.
    Absence,
    /// A file of a revision: a link, or on Windows a copy.
    Entry,
    /// An unfinished download.
    Partial,
    /// Content.
    Blob,
    /// Content that several repositories shared.
    Shared,
    /// Anything else in the folder of a repository.
    Other,
    /// A lock that nobody holds.
    Lock,
}

/// Something that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What.
    pub path: PathBuf,
    /// Why, a line.
    pub reason: String,
}

/// What of a repository is to go; branches, tags and folders go with the last file of their revision.
#[derive(Default)]
pub(super) struct Doomed<'a> {
    pub(super) entries: BTreeSet<&'a Path>,
    /// Commits that go even if they have no file.
    pub(super) revisions: BTreeSet<&'a str>,
    pub(super) stray_refs: bool,
    pub(super) blobs: Blobs,
    /// Whatever else is in the folder.
    pub(super) whole: bool,
}

/// Which blobs go, of those that no remaining file links to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Blobs {
    /// Those that a file linked to which goes.
    #[default]
    OfDoomed,
    /// All.
    Unlinked,
}

impl<'a> Doomed<'a> {
    pub(super) fn everything(contents: &'a Contents) -> Doomed<'a> {
        Doomed {
            entries: contents.entries().map(|entry| entry.path.as_path()).collect(),
            revisions: contents.revisions.iter().map(|revision| revision.commit.as_str()).collect(),
            stray_refs: true,
            blobs: Blobs::Unlinked,
            whole: true,
        }
    }
}

impl Deletion {
    pub(super) fn of(cache: &Cache) -> Deletion {
        Deletion { cache: cache.path().into(), ..Deletion::default() }
    }

    /// How many bytes the file system gets back.
    pub fn freed_bytes(&self) -> u64 {
        self.items.iter().fold(0, |sum, item| sum.saturating_add(item.size_bytes))
    }

    /// Refuses a repository in which a download runs.
    pub(super) fn refuse_busy(&self, contents: &Contents) -> Result<(), KeepError> {
        let locks = Locks::of(&self.cache, &contents.folder);
        match locks.busy().map_err(|source| KeepError::Io { path: contents.folder.clone(), source })? {
            true => Err(KeepError::InUse { repo: contents.repo.clone() }),
            false => Ok(()),
        }
    }

    /// Adds what of a repository is doomed, and what only that needs.
    pub(super) fn plan(&mut self, contents: &Contents, doomed: Doomed<'_>) -> Result<(), KeepError> {
        let first = self.items.len();
        let repo = Some(contents.repo.clone());
        let mut add = |kind, path: &Path, size_bytes| {
            self.items.push(Item { kind, repo: repo.clone(), path: path.into(), size_bytes });
        };
        let goes = |entry: &&Entry| doomed.entries.contains(entry.path.as_path());
        for revision in &contents.revisions {
            let left = revision.entries.iter().any(|entry| !goes(&entry));
            let named = !revision.entries.is_empty() || doomed.revisions.contains(revision.commit.as_str());
            if left || !named {
                continue;
            }
            revision.refs.iter().for_each(|path| add(ItemKind::Ref, path, 0));
            let absence = contents.folder.join(".no_exist").join(&revision.commit);
            if absence.symlink_metadata().is_ok() {
                add(ItemKind::Absence, &absence, 0);
            }
        }
        if doomed.stray_refs {
            contents.stray_refs.iter().for_each(|path| add(ItemKind::Ref, path, 0));
        }
        for entry in contents.entries().filter(goes) {
            // A link counts as its blob, if that goes.
            let own = entry.path.symlink_metadata().ok().filter(fs::Metadata::is_file);
            add(ItemKind::Entry, &entry.path, own.map_or(0, |metadata| metadata.len()));
        }
        let linked = Contents::linked(contents.entries().filter(|entry| !goes(entry)));
        let of_doomed = Contents::linked(contents.entries().filter(goes));
        for (name, blob) in &contents.blobs {
            if linked.contains(name.as_os_str()) {
                continue;
            }
            if doomed.blobs == Blobs::Unlinked || of_doomed.contains(name.as_os_str()) {
                let kind = if is_partial(name) { ItemKind::Partial } else { ItemKind::Blob };
                add(kind, &blob.path, blob.size_bytes);
            }
        }
        if doomed.whole {
            self.plan_rest(contents, first)?;
        }
        // Folders without a file go, too: Python takes them for damage.
        let empty = doomed.blobs == Blobs::Unlinked && walk(&contents.folder)?.is_empty();
        if self.items.len() > first || doomed.whole || empty {
            self.repositories.insert(contents.folder.clone(), contents.repo.clone());
        }
        Ok(())
    }

    /// Adds what else is in the folder of a repository, and its locks.
    fn plan_rest(&mut self, contents: &Contents, first: usize) -> Result<(), KeepError> {
        self.plan_locks(contents)?;
        let known: BTreeSet<&Path> = self.items[first..].iter().map(|item| item.path.as_path()).collect();
        let absences = contents.folder.join(".no_exist");
        let files = walk(&contents.folder)?.into_iter().map(|(_, path)| path);
        let rest: Vec<PathBuf> =
            files.filter(|path| !known.contains(path.as_path()) && !path.starts_with(&absences)).collect();
        for path in rest {
            let size_bytes = path.symlink_metadata().map_or(0, |metadata| metadata.len());
            self.items.push(Item { kind: ItemKind::Other, repo: Some(contents.repo.clone()), path, size_bytes });
        }
        self.whole.insert(contents.folder.clone());
        Ok(())
    }

    /// Adds the locks of a repository that nobody holds.
    pub(super) fn plan_locks(&mut self, contents: &Contents) -> Result<(), KeepError> {
        self.plan_locks_of(Some(&contents.repo), &contents.folder)
    }

    /// Adds the locks of the repository in `folder`, be it there or not.
    pub(super) fn plan_locks_of(&mut self, repo: Option<&str>, folder: &Path) -> Result<(), KeepError> {
        let stale = Locks::of(&self.cache, folder).stale();
        for path in stale.map_err(|source| KeepError::Io { path: folder.into(), source })? {
            self.items.push(Item { kind: ItemKind::Lock, repo: repo.map(str::to_owned), path, size_bytes: 0 });
        }
        Ok(())
    }

    /// Adds shared files to which only what goes links.
    pub(super) fn add_payloads(&mut self, store: Option<&Store>) {
        let Some(store) = store else { return };
        let going: BTreeSet<&Path> = self.items.iter().map(|item| item.path.as_path()).collect();
        let payloads: BTreeSet<PathBuf> = going.iter().filter_map(|path| store.target(path)).collect();
        let freed = |path: PathBuf| store.freed_bytes(&path, &going).map(|size_bytes| (path, size_bytes));
        let items: Vec<(PathBuf, u64)> = payloads.into_iter().filter_map(freed).collect();
        self.add_shared(items);
    }

    /// Adds shared files to which nothing links.
    pub(super) fn add_orphans(&mut self, store: Option<&Store>) {
        self.add_shared(store.map(Store::orphans).unwrap_or_default());
    }

    fn add_shared(&mut self, items: Vec<(PathBuf, u64)>) {
        let item = |(path, size_bytes)| Item { kind: ItemKind::Shared, repo: None, path, size_bytes };
        self.items.extend(items.into_iter().map(item));
    }
}
