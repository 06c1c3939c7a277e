//! Removing models from the cache.

use super::super::cache::Cache;
use super::{
    contents::Contents,
    deletion::{Blobs, Deletion, Doomed},
    error::KeepError,
    store::Store,
    target::Target,
};
use std::collections::BTreeMap;

impl Cache {
    /// What removing `targets` would delete: their files, blobs that nothing else links to, and the branches and tags
    /// of revisions of which nothing is left.
    ///
    /// # Errors
    /// [`KeepError`] when one of them is not there or in use.
    pub fn removal(&self, targets: &[Target]) -> Result<Deletion, KeepError> {
        let store = Store::of(self.path());
        let mut by_repo: BTreeMap<&str, Vec<&Target>> = BTreeMap::new();
        for target in targets {
            by_repo.entry(target.repo()).or_default().push(target);
        }
        let mut deletion = Deletion::of(self);
        for targets in by_repo.into_values() {
            let contents = targets[0].contents(self)?;
            let doomed = doomed(&targets, &contents, self)?;
            deletion.refuse_busy(&contents)?;
            deletion.plan(&contents, doomed)?;
        }
        deletion.add_payloads(store.as_ref());
        Ok(deletion)
    }
}

fn doomed<'a>(targets: &[&Target], contents: &'a Contents, cache: &Cache) -> Result<Doomed<'a>, KeepError> {
    let mut doomed = Doomed { blobs: Blobs::OfDoomed, ..Doomed::default() };
    for target in targets {
        if target.is_whole() {
            return Ok(Doomed::everything(contents));
        }
        for (revision, entries) in target.entries(contents, cache)? {
            doomed.entries.extend(entries.iter().map(|entry| entry.path.as_path()));
            if revision.entries.is_empty() {
                doomed.revisions.insert(&revision.commit);
            }
        }
    }
    Ok(doomed)
}
