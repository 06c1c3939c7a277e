//! What is in the cache.

use super::cache::Cache;
use super::error::HubError;
use super::name::has_extension;
use super::repository::{CachedFile, Repository, entries, last_used};
use super::select::{ListedFile, ggufs};
use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    path::PathBuf,
    time::SystemTime,
};

/// The models in a cache.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// By name.
    pub models: Vec<CachedModel>,
    /// What could not be read or is not whole, a line each; the rest of the listing is right without it.
    pub problems: Vec<String>,
}

/// A repository in the cache.
#[derive(Clone, Debug)]
pub struct CachedModel {
    /// Owner and name; old repositories have no owner.
    pub repo: String,
    /// Those that have a snapshot, by commit.
    pub revisions: Vec<CachedRevision>,
    /// What all files take on disk; revisions share those that are the same.
    pub size_bytes: u64,
    /// When a file of it was last read or written, as the file system remembers; `None` without files.
    pub last_used: Option<SystemTime>,
}

/// A commit of a repository.
#[derive(Clone, Debug)]
pub struct CachedRevision {
    /// Its hash.
    pub commit: String,
    /// The branches and tags that stand for it.
    pub refs: Vec<String>,
    /// What of it is in the cache, by name.
    pub files: Vec<CachedFile>,
}

/// What of a revision one reference means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedChoice {
    /// What a reference has after the colon; `None` for all but the GGUF files.
    pub selector: Option<String>,
    /// What the name says; `None` if nothing.
    pub quantization: Option<String>,
    /// Of all its files; `None` if one of them is not there.
    pub size_bytes: Option<u64>,
    /// When one of its files was last read or written; `None` if none is there.
    pub last_used: Option<SystemTime>,
}

/// Folders of the cache that hold no model, by how they begin.
const OTHERS: [&str; 5] = [".", "datasets--", "spaces--", "kernels--", "buckets--"];
/// Other things of `huggingface_hub` in the cache: its version, a mark for backups, and what repositories share.
const KNOWN: [&str; 3] = ["version.txt", "CACHEDIR.TAG", "blobs"];

impl Cache {
    /// Every model in the cache; nothing if the cache is not there.
    pub fn list(&self) -> Listing {
        let mut listing = Listing::default();
        let folders = entries(self.path()).unwrap_or_else(|error| {
            listing.problems.push(error.to_string());
            Vec::new()
        });
        for entry in folders {
            let name = entry.file_name().to_string_lossy().into_owned();
            if OTHERS.iter().any(|start| name.starts_with(start)) || KNOWN.contains(&name.as_str()) {
                continue;
            }
            match name.strip_prefix("models--").filter(|_| entry.path().is_dir()) {
                Some(repo) => listing.add(&repo.replace("--", "/"), &Repository::new(entry.path())),
                None => listing.problems.push(format!("`{}` is no model", entry.path().display())),
            }
        }
        listing.models.sort_by(|a, b| a.repo.cmp(&b.repo));
        listing.problems.sort();
        listing
    }
}

impl CachedRevision {
    /// Its models by the references that mean them: each GGUF model, and the safetensors with what goes with them.
    pub fn choices(&self) -> Vec<CachedChoice> {
        let files: BTreeMap<&str, &CachedFile> = self.files.iter().map(|file| (file.name.as_str(), file)).collect();
        let listed: Vec<ListedFile> = self.files.iter().map(ListedFile::from).collect();
        let mut rest = files.clone();
        let mut choices = Vec::new();
        for (selector, whole, parts) in ggufs(&listed) {
            let parts: Vec<&CachedFile> = parts.iter().filter_map(|part| rest.remove(part.name.as_str())).collect();
            let mut choice = CachedChoice::of(Some(selector), &parts);
            choice.size_bytes = choice.size_bytes.filter(|_| whole);
            choices.push(choice);
        }
        if choices.is_empty() || rest.keys().any(|name| has_extension(name, "safetensors")) {
            choices.push(CachedChoice::of(None, &rest.into_values().collect::<Vec<_>>()));
        }
        choices
    }
}

impl CachedChoice {
    fn of(selector: Option<String>, files: &[&CachedFile]) -> CachedChoice {
        let size = files.iter().map(|file| file.size_bytes);
        CachedChoice {
            selector,
            quantization: files.first().and_then(|file| file.quantization.clone()),
            size_bytes: size.into_iter().try_fold(0, |sum: u64, size| Some(sum.saturating_add(size?))),
            last_used: files.iter().filter_map(|file| file.last_used).max(),
        }
    }
}

impl Listing {
    fn add(&mut self, repo: &str, repository: &Repository) {
        match self.read(repo, repository) {
            Ok(model) => self.models.push(model),
            Err(error) => self.problems.push(error.to_string()),
        }
    }

    fn read(&mut self, repo: &str, repository: &Repository) -> Result<CachedModel, HubError> {
        let mut refs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for reference in repository.refs()? {
            match reference.commit {
                Ok(commit) => refs.entry(commit).or_default().push(reference.name),
                Err(error) => self.problems.push(error.to_string()),
            }
        }
        let mut revisions = Vec::new();
        for commit in repository.commits()? {
            let (files, refs) = (repository.files(&commit)?, refs.remove(&commit).unwrap_or_default());
            revisions.push(CachedRevision { commit, refs, files });
        }
        let mut blobs: BTreeMap<PathBuf, Metadata> = BTreeMap::new();
        for file in revisions.iter().flat_map(|revision| &revision.files) {
            match fs::canonicalize(&file.path).and_then(|blob| Ok((fs::metadata(&blob)?, blob))) {
                Ok((metadata, blob)) => drop(blobs.insert(blob, metadata)),
                Err(_) => self.problems.push(format!("the blob of `{}` is missing or unreadable", file.path.display())),
            }
        }
        let last_used = blobs.values().filter_map(last_used).max();
        let size_bytes = blobs.values().fold(0, |sum: u64, blob| sum.saturating_add(blob.len()));
        Ok(CachedModel { repo: repo.into(), revisions, size_bytes, last_used })
    }
}
