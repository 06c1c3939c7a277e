//! What of the cache a MODEL argument names when it is to be removed or checked.

use super::super::{
    cache::Cache,
    error::{HubError, enumerate},
    reference::{MAIN, Reference, Selector, check_name},
    repository::{Commit, Repository},
    select::{ListedFile, SelectError, parts},
};
use super::{
    contents::{Contents, Entry, Revision},
    error::KeepError,
};
use std::fmt;

/// A repository, or the part of it that selector and revision leave: without a revision all of them, without a
/// selector every file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    repo: String,
    selector: Option<Selector>,
    revision: Option<String>,
}

impl Target {
    /// Understands `owner/repo[:QUANTIZATION|:FILE][@REVISION]`, or the name of an old repository without owner.
    ///
    /// # Errors
    /// [`KeepError::NotOfCache`] when it is a path or the model in the binary, [`KeepError::Hub`] when it is neither.
    pub fn parse(model: &str) -> Result<Target, KeepError> {
        let wrong = |reason| KeepError::NotOfCache { model: model.into(), reason };
        // What is on disk elsewhere is not meant: `owner/repo` may be a folder here, too.
        match Reference::parse(model, |_| false) {
            Ok(Reference::Demo) => Err(wrong("is part of the binary")),
            Ok(Reference::Path(_)) => Err(wrong("is a path")),
            Ok(Reference::Hub(reference)) => {
                let said = reference.revision() != MAIN || reference.is_main_said_in(model);
                let revision = said.then(|| reference.revision().to_owned());
                let (repo, selector) = (reference.repo().to_owned(), reference.selector().cloned());
                Ok(Target { repo, selector, revision })
            }
            Err(_) if check_name(model).is_ok() => Ok(Target { repo: model.into(), selector: None, revision: None }),
            Err(error) => Err(error.into()),
        }
    }

    /// Owner and name.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// Whether it is all of the repository.
    pub(super) fn is_whole(&self) -> bool {
        self.selector.is_none() && self.revision.is_none()
    }

    /// The repository in `cache`.
    pub(super) fn contents(&self, cache: &Cache) -> Result<Contents, KeepError> {
        let folder = cache.folder(&self.repo);
        // A link that leads nowhere is there, too.
        if folder.symlink_metadata().is_err() {
            let what = format!("`{}`", self.repo);
            return Err(KeepError::NotThere { what, cache: cache.path().into() });
        }
        Contents::read(&self.repo, &folder)
    }

    /// The revisions that are meant.
    pub(super) fn revisions<'a>(&self, of: &'a Contents, cache: &Cache) -> Result<Vec<&'a Revision>, KeepError> {
        let Some(revision) = &self.revision else { return Ok(of.revisions.iter().collect()) };
        let commit = commit(&of.repository(), &self.repo, revision)?;
        let found: Vec<&Revision> = of.revisions.iter().filter(|it| Some(&it.commit) == commit.as_ref()).collect();
        if found.is_empty() {
            let what = format!("revision `{revision}` of `{}`", self.repo);
            return Err(KeepError::NotThere { what, cache: cache.path().into() });
        }
        Ok(found)
    }

    /// The files that are meant, of each revision that has some.
    pub(super) fn entries<'a>(
        &self,
        of: &'a Contents,
        cache: &Cache,
    ) -> Result<Vec<(&'a Revision, Vec<&'a Entry>)>, KeepError> {
        let mut found = Vec::new();
        let mut nothing = None;
        for revision in self.revisions(of, cache)? {
            let listed = |entry: &Entry| ListedFile { name: entry.name.clone(), size_bytes: entry.size_bytes };
            let files: Vec<ListedFile> = revision.entries.iter().map(listed).collect();
            let chosen = match &self.selector {
                None => Ok(files),
                Some(selector) => parts(&files, selector),
            };
            match chosen {
                Ok(chosen) => {
                    let fits = |entry: &&Entry| chosen.iter().any(|file| file.name == entry.name);
                    found.push((revision, revision.entries.iter().filter(fits).collect()));
                }
                Err(source @ SelectError::NotFound { .. }) => nothing = Some(source),
                Err(source) => return Err(KeepError::NotSelected { repo: self.repo.clone(), source }),
            }
        }
        match nothing {
            Some(source) if found.is_empty() => Err(KeepError::NotSelected { repo: self.repo.clone(), source }),
            _ => Ok(found),
        }
    }
}

fn commit(repository: &Repository, repo: &str, revision: &str) -> Result<Option<String>, KeepError> {
    match repository.commit(revision)? {
        Commit::Known(commit) => Ok(Some(commit)),
        Commit::Unknown => Ok(None),
        Commit::Several(commits) => {
            let (repo, revision) = (repo.to_owned(), revision.to_owned());
            Err(HubError::AmbiguousRevision { repo, revision, found: enumerate(commits.into_iter()) }.into())
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        if let Some(Selector::Quantization(name) | Selector::File(name)) = &self.selector {
            write!(f, ":{name}")?;
        }
        self.revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
    }
}
