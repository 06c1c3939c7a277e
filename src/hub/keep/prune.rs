//! Pruning the cache: unfinished downloads, blobs and links that lead nowhere, old revisions.

use super::super::{cache::Cache, repository::entries};
use super::{
    contents::{Contents, Holds},
    deletion::{Blobs, Deletion, Doomed, Kept},
    error::KeepError,
    store::Store,
};

/// What pruning spares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Keep revisions that no branch or tag stands for any more.
    pub keep_revisions: bool,
}

impl Cache {
    /// What pruning would delete; what cannot be read or is in use is listed as kept.
    ///
    /// # Errors
    /// [`KeepError`] when the folder of the cache cannot be read.
    pub fn pruning(&self, prune: Prune) -> Result<Deletion, KeepError> {
        let store = Store::of(self.path());
        let mut deletion = Deletion::of(self);
        for (repo, folder) in self.repositories()? {
            let planned = Contents::read(&repo, &folder).and_then(|contents| {
                deletion.refuse_busy(&contents)?;
                deletion.plan(&contents, doomed(&contents, prune))?;
                deletion.plan_locks(&contents)
            });
            if let Err(error) = planned {
                let reason = error.to_string().lines().take(1).collect();
                deletion.kept.push(Kept { path: folder, reason });
            }
        }
        self.plan_lost_locks(&mut deletion)?;
        deletion.add_payloads(store.as_ref());
        deletion.add_orphans(store.as_ref());
        Ok(deletion)
    }

    /// Locks of repositories that are gone.
    fn plan_lost_locks(&self, deletion: &mut Deletion) -> Result<(), KeepError> {
        let locks = self.path().join(".locks");
        if locks.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()) {
            return Ok(());
        }
        for entry in entries(&locks)? {
            let name = entry.file_name();
            let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let ours = folder && name.to_str().is_some_and(|name| name.starts_with("models--"));
            if ours && self.path().join(&name).symlink_metadata().is_err() {
                deletion.plan_locks_of(None, &self.path().join(name))?;
            }
        }
        Ok(())
    }
}

fn doomed(contents: &Contents, prune: Prune) -> Doomed<'_> {
    let mut doomed = Doomed { blobs: Blobs::Unlinked, stray_refs: true, ..Doomed::default() };
    for revision in &contents.revisions {
        let old = revision.refs.is_empty() && !prune.keep_revisions;
        // A link without its blob: the file is not there, and Python takes the whole repository for corrupt.
        let lost = |holds: &Holds| matches!(holds, Holds::Blob(name) if !contents.blobs.contains_key(name));
        let entries = revision.entries.iter().filter(|entry| old || lost(&entry.holds) || entry.size_bytes.is_none());
        doomed.entries.extend(entries.map(|entry| entry.path.as_path()));
        if old || revision.entries.is_empty() {
            doomed.revisions.insert(&revision.commit);
        }
    }
    doomed
}
