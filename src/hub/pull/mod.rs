//! Fetching models from the Hub into the cache: whole, once, verified.
//!
//! [`Hub::plan`] asks the Hub which files a reference means, and [`Hub::fetch`] gets those that the cache lacks. A file goes
//! through `partial.rs` (its bytes on disk, which outlast a kill), `transfer.rs` (several connections, one hash) and
//! `store.rs` (its place in the cache). `client.rs` alone opens sockets, and only who has [`Settings`] gets a client, which
//! are not to be had offline.

mod client;
mod digest;
mod error;
mod listing;
mod lock;
mod partial;
mod plan;
mod ranges;
mod refusal;
mod retry;
mod settings;
mod source;
mod store;
mod token;
mod transfer;
mod watch;

pub use digest::Digest;
pub use error::PullError;
pub use plan::{Plan, PlannedFile};
pub use settings::{Patience, Settings, is_offline};
pub use watch::{Event, Watch};

use super::{Cache, HubReference, Resolved};
use client::Client;
use listing::escaped;
use lock::Lock;
use partial::Partial;
use refusal::Asked;
use source::Source;
use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};
use store::Store;
use transfer::{N_CONNECTIONS, Transfer};

/// The Hub, and the cache to fill.
pub struct Hub {
    client: Client,
    cache: Cache,
    links: bool,
}

/// How often it is looked whether the user has lost patience.
const GLANCE: Duration = Duration::from_millis(100);

impl Hub {
    /// Opens no socket yet.
    pub fn new(settings: Settings, cache: Cache) -> Hub {
        let links = settings.links;
        Hub { client: Client::new(settings, N_CONNECTIONS), cache, links }
    }

    /// Which files `reference` means, at which commit, and how much of them is in the cache.
    ///
    /// # Errors
    /// [`PullError`] when the Hub does not answer, or has no such repository, revision or files, or does not let us see them.
    pub fn plan(&self, reference: &HubReference, watch: &dyn Watch) -> Result<Plan, PullError> {
        let (repo, revision) = (reference.repo(), reference.revision());
        let listing = self.interruptibly(watch, || listing::listing(&self.client, repo, revision, watch))?;
        Plan::new(reference, &listing, &self.cache, self.client.host())
    }

    /// Gets what the cache lacks of a plan. Afterwards the branch or tag stands for the commit in the cache too.
    ///
    /// After [`PullError::Interrupted`] this connection is of no further use.
    ///
    /// # Errors
    /// [`PullError`] when the network, the disk or the user does not let it. The cache then has some of the files, each
    /// whole, and what has arrived of another is kept apart for the next time.
    pub fn fetch(&self, plan: &Plan, watch: &dyn Watch) -> Result<Resolved, PullError> {
        let cache = self.cache.path();
        fs::create_dir_all(cache).map_err(PullError::write(cache))?;
        tag(cache)?;
        watch.tell(&plan.event());
        let (needed, available) = (plan.missing_bytes(), fs4::available_space(cache).map_err(PullError::write(cache))?);
        if needed > available {
            return Err(PullError::NoSpace { path: cache.into(), needed, available });
        }
        let store = Store::new(self.cache.repository(plan.repo()).folder(), self.links);
        self.interruptibly(watch, || {
            plan.files.iter().try_for_each(|file| self.fetch_file(plan, file, &store, watch))
        })?;
        for name in &plan.absent {
            store.note_absence(&plan.commit, name)?;
        }
        store.name(plan.reference.revision(), &plan.commit)?;
        Ok(self.cache.resolve(&plan.reference.at_revision(&plan.commit)?)?)
    }

    /// Does `work`; when the user loses patience meanwhile, ends what waits for the network.
    fn interruptibly<T>(&self, watch: &dyn Watch, work: impl FnOnce() -> T) -> T {
        let (working, worked) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while worked.recv_timeout(GLANCE) == Err(RecvTimeoutError::Timeout) {
                    if watch.stopped() {
                        return self.client.shut_down();
                    }
                }
            });
            let result = work();
            drop(working);
            result
        })
    }

    fn fetch_file(&self, plan: &Plan, file: &PlannedFile, store: &Store, watch: &dyn Watch) -> Result<(), PullError> {
        let (name, hash, size_bytes) = (file.name.as_str(), file.digest.text(), file.size_bytes);
        let finished = Event::Finished { file: name, size_bytes };
        if store.has(&plan.commit, name, size_bytes) {
            watch.tell(&finished);
            return Ok(());
        }
        let _lock = self.lock(plan, file, watch)?;
        // Another process may have fetched it meanwhile.
        if !store.has(&plan.commit, name, size_bytes) {
            let is_new = !store.has_blob(hash, size_bytes);
            if is_new {
                self.fetch_blob(plan, file, &store.blobs(), watch)?;
            }
            store.show(&plan.commit, name, hash, is_new)?;
        }
        watch.tell(&finished);
        Ok(())
    }

    fn lock(&self, plan: &Plan, file: &PlannedFile, watch: &dyn Watch) -> Result<Lock, PullError> {
        let repository = self.cache.repository(plan.repo());
        let folder = self.cache.path().join(".locks").join(repository.folder().file_name().unwrap_or_default());
        let told = AtomicBool::new(false);
        Lock::take(&folder.join(format!("{}.lock", file.digest.text())), || {
            if !told.swap(true, Ordering::Relaxed) {
                watch.tell(&Event::Waiting { file: &file.name });
            }
            !watch.stopped()
        })
    }

    /// Fetches a blob; what an earlier attempt has left of it is given up if the whole turns out wrong.
    fn fetch_blob(&self, plan: &Plan, file: &PlannedFile, blobs: &Path, watch: &dyn Watch) -> Result<(), PullError> {
        let source = self.source(plan, file)?;
        let mut partial = Partial::open(blobs, &file.digest, file.size_bytes)?;
        loop {
            let (name, size_bytes, done_bytes) = (file.name.as_str(), file.size_bytes, partial.done().len());
            watch.tell(&Event::Started { file: name, size_bytes, done_bytes });
            let found = Transfer::run(&source, name, &mut partial, watch)?;
            if found == file.digest.text() {
                return partial.finish(&blobs.join(found));
            }
            if done_bytes > 0 {
                partial.clear()?;
                watch.tell(&Event::Restarted { file: name });
                continue;
            }
            partial.delete()?;
            let (repo, kind, expected) = (plan.repo().to_owned(), file.digest.kind(), file.digest.text().to_owned());
            return Err(PullError::Damaged { repo, name: file.name.clone(), kind, found, expected });
        }
    }

    fn source<'a>(&'a self, plan: &'a Plan, file: &'a PlannedFile) -> Result<Source<'a>, PullError> {
        let (repo, commit, name) = (plan.repo(), &plan.commit, escaped(&file.name, "/"));
        Ok(Source {
            client: &self.client,
            asked: Asked { repo, revision: commit, file: Some(&file.name) },
            address: self.client.address(&format!("/{repo}/resolve/{commit}/{name}"))?,
            size_bytes: file.size_bytes,
            digest: &file.digest,
            storage: Mutex::new(None),
        })
    }
}

/// Marks the cache as one for programs that make backups.
///
/// Source: the Cache Directory Tagging Specification.
fn tag(cache: &Path) -> Result<(), PullError> {
    let path = cache.join("CACHEDIR.TAG");
    if path.exists() {
        return Ok(());
    }
    let text = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of models.\n";
    fs::write(&path, text).map_err(PullError::write(&path))
}
