//! The cache of models that Python's `huggingface_hub` shares, and finding what a reference means in it.

use super::error::{HubError, download_command, enumerate};
use super::location::cache_folder;
use super::reference::HubReference;
use super::repository::{CachedFile, Commit, Ref, Repository, entries};
use super::select::{ListedFile, SelectError, Selection, select};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The folder with a folder for each repository. It need not exist.
#[derive(Clone, Debug)]
pub struct Cache {
    path: PathBuf,
}

/// A model that is whole in the cache.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What to open: a GGUF file, the first part of a split one, or a folder with safetensors.
    pub path: PathBuf,
    /// The commit.
    pub revision: String,
    /// The files of the model; of GGUF the first is at `path`.
    pub files: Vec<CachedFile>,
    /// What the GGUF's name says; `None` for safetensors.
    pub quantization: Option<String>,
}

impl Cache {
    /// The cache in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Cache {
        Cache { path: path.into() }
    }

    /// The cache that the environment of this process names.
    ///
    /// # Errors
    /// [`HubError::NoHome`] when it names none.
    pub fn of_process() -> Result<Cache, HubError> {
        Cache::of_environment(|name| std::env::var_os(name), std::env::home_dir().as_deref())
    }

    /// The cache that these variables name: `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME` or `XDG_CACHE_HOME`,
    /// else `.cache/huggingface/hub` in the folder of the user.
    ///
    /// # Errors
    /// [`HubError::NoHome`] when there is none of them.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Result<Cache, HubError> {
        cache_folder(variable, home).map(Cache::new).ok_or(HubError::NoHome)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finds what `reference` means among the files that are in the cache.
    ///
    /// # Errors
    /// [`HubError`] when the repository, the revision, or a fitting model is not there, or not all of it.
    pub fn resolve(&self, reference: &HubReference) -> Result<Resolved, HubError> {
        let repository = self.repository(reference.repo());
        if !repository.exists() {
            let (repo, cache) = (reference.repo().to_owned(), self.path.clone());
            return Err(HubError::NotCached { repo, cache, download: download_command(reference) });
        }
        let revision = commit(&repository, reference)?;
        let mut files = repository.files(&revision)?;
        let listed: Vec<ListedFile> = files.iter().map(ListedFile::from).collect();
        let selection =
            select(&listed, reference.selector()).map_err(|source| not_selected(&repository, reference, source))?;
        let selected = selection.files();
        if let Some(missing) = selected.iter().find(|file| file.size_bytes.is_none()) {
            return Err(incomplete(reference, format!("the blob of `{}` is missing or unreadable", missing.name)));
        }
        let names: BTreeSet<&str> = selected.iter().map(|file| file.name.as_str()).collect();
        files.retain(|file| names.contains(file.name.as_str()));
        let snapshot = repository.snapshot(&revision);
        let (path, quantization) = match (&selection, files.first()) {
            (Selection::Gguf(_), Some(first)) => (first.path.clone(), first.quantization.clone()),
            _ => (snapshot, None),
        };
        Ok(Resolved { path, revision, files, quantization })
    }

    /// The folder of a repository, there or not.
    pub(super) fn folder(&self, repo: &str) -> PathBuf {
        self.path.join(hf_hub::Repo::model(repo.into()).folder_name())
    }

    /// The repositories of models: owner and name, and the folder; sorted, none if the cache is not there.
    pub(super) fn repositories(&self) -> Result<Vec<(String, PathBuf)>, HubError> {
        let mut found = Vec::new();
        for entry in entries(&self.path)? {
            if let Some(repo) = entry.file_name().to_string_lossy().strip_prefix("models--") {
                found.push((repo.replace("--", "/"), entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }

    pub(super) fn repository(&self, repo: &str) -> Repository {
        Repository::new(self.folder(repo))
    }
}

/// The commit that `reference` means.
fn commit(repository: &Repository, reference: &HubReference) -> Result<String, HubError> {
    let (repo, revision) = (reference.repo().to_owned(), reference.revision().to_owned());
    match repository.commit(reference.revision())? {
        Commit::Known(commit) => return Ok(commit),
        Commit::Several(commits) => {
            let found = enumerate(commits.into_iter());
            return Err(HubError::AmbiguousRevision { repo, revision, found });
        }
        Commit::Unknown => {}
    }
    if let Some(bytes) = repository.partial_bytes()? {
        return Err(incomplete(reference, partial(bytes)));
    }
    let commits = repository.commits()?;
    let there = |reference: Ref| Some((reference.name, reference.commit.ok().filter(|of| commits.contains(of))?));
    let (names, named): (Vec<String>, BTreeSet<String>) = repository.refs()?.into_iter().filter_map(there).unzip();
    let unnamed = commits.into_iter().filter(|commit| !named.contains(commit));
    let found: Vec<String> = names.into_iter().chain(unnamed).collect();
    let download = download_command(reference);
    Err(HubError::RevisionNotCached { repo, revision, found: enumerate(found.into_iter()), download })
}

/// The error for a snapshot without what `reference` means: an unfinished download is the likelier reason.
fn not_selected(repository: &Repository, reference: &HubReference, source: SelectError) -> HubError {
    match (&source, repository.partial_bytes()) {
        (SelectError::Ambiguous { .. }, _) | (_, Ok(None) | Err(_)) => {
            let (repo, download) = (reference.repo().to_owned(), download_command(reference));
            HubError::NotSelected { repo, source, download }
        }
        (_, Ok(Some(bytes))) => incomplete(reference, format!("it {source}, {}", partial(bytes))),
    }
}

fn incomplete(reference: &HubReference, reason: String) -> HubError {
    HubError::Incomplete { repo: reference.repo().into(), reason, download: download_command(reference) }
}

fn partial(bytes: u64) -> String {
    format!("{bytes} bytes of it lie in unfinished files")
}

impl From<&CachedFile> for ListedFile {
    fn from(file: &CachedFile) -> ListedFile {
        ListedFile { name: file.name.clone(), size_bytes: file.size_bytes }
    }
}
