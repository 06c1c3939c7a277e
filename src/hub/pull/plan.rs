//! What a reference means at the Hub, and what the cache lacks of it.

use super::digest::Digest;
use super::error::PullError;
use super::listing::{Listing, RemoteFile};
use super::partial::Partial;
use super::store::Store;
use super::watch::Event;
use crate::hub::select::{ListedFile, OPTIONAL, Selection, select};
use crate::hub::{Cache, HubReference};
use std::path::{Path, PathBuf};

/// The files of a model at a commit.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) reference: HubReference,
    pub(super) commit: String,
    pub(super) files: Vec<PlannedFile>,
    /// Files that such a model may have and this one does not.
    pub(super) absent: Vec<&'static str>,
    path: PathBuf,
}

/// A file of a model.
#[derive(Clone, Debug)]
pub struct PlannedFile {
    /// Path within the repository, with `/` between folders.
    pub name: String,
    /// Of the whole file.
    pub size_bytes: u64,
    /// What its content hashes to.
    pub digest: Digest,
    /// How much of it the cache has; all of it if it has the file.
    pub cached_bytes: u64,
}

impl Plan {
    pub(super) fn new(
        reference: &HubReference,
        listing: &Listing,
        cache: &Cache,
        host: &str,
    ) -> Result<Plan, PullError> {
        let (repo, commit) = (reference.repo().to_owned(), listing.commit.clone());
        let listed: Vec<ListedFile> = listing.files.iter().map(ListedFile::from).collect();
        let selection = select(&listed, reference.selector())
            .map_err(|source| PullError::NotSelected { repo: repo.clone(), source })?;
        let store = Store::new(cache.repository(&repo).folder(), true);
        let planned = |wanted: &ListedFile| {
            let file = listing.files.iter().find(|file| file.name == wanted.name);
            let planned = file.and_then(|file| PlannedFile::new(file, &commit, &store));
            planned.ok_or_else(|| PullError::Network {
                what: format!("`{}` of `{repo}` from {host}", wanted.name),
                reason: "the listing has no size or no hash of it\nhint: HF_ENDPOINT may be no full mirror".into(),
            })
        };
        let files = selection.files().iter().map(planned).collect::<Result<Vec<PlannedFile>, _>>()?;
        let (path, absent) = match (&selection, files.first()) {
            (Selection::Gguf(_), Some(first)) => (store.pointer(&commit, &first.name), Vec::new()),
            _ => {
                let there = |name: &&'static str| listing.files.iter().any(|file| file.name == **name);
                let absent = OPTIONAL.into_iter().filter(|name| !there(name)).collect();
                (cache.repository(&repo).snapshot(&commit), absent)
            }
        };
        Ok(Plan { reference: reference.clone(), commit, files, absent, path })
    }

    /// Owner and name.
    pub fn repo(&self) -> &str {
        self.reference.repo()
    }

    /// The hash of the commit.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The files; of a split GGUF in the order of its parts.
    pub fn files(&self) -> &[PlannedFile] {
        &self.files
    }

    /// What to open once all is there: a GGUF file, the first part of a split one, or a folder with safetensors.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size_bytes))
    }

    /// What the cache lacks.
    pub fn missing_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size_bytes - file.cached_bytes))
    }

    /// That it is known.
    pub fn event(&self) -> Event<'_> {
        Event::Planned {
            repo: self.repo(),
            commit: &self.commit,
            n_files: self.files.len(),
            size_bytes: self.size_bytes(),
            missing_bytes: self.missing_bytes(),
        }
    }
}

impl PlannedFile {
    /// `None` if the listing lacks its size or hash.
    fn new(file: &RemoteFile, commit: &str, store: &Store) -> Option<PlannedFile> {
        let (name, size_bytes, digest) = (file.name.clone(), file.size_bytes?, file.digest.clone()?);
        let there = store.has(commit, &name, size_bytes) || store.has_blob(digest.text(), size_bytes);
        let partial = || Partial::len_on_disk(&store.blobs(), &digest, size_bytes);
        let cached_bytes = if there { size_bytes } else { partial() };
        Some(PlannedFile { name, size_bytes, digest, cached_bytes })
    }
}

impl From<&RemoteFile> for ListedFile {
    fn from(file: &RemoteFile) -> ListedFile {
        ListedFile { name: file.name.clone(), size_bytes: file.size_bytes }
    }
}
