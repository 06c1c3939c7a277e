//! `--lock` and `--locked`: pinning what references stand for, and refusing everything else.

use super::output::Output;
use crate::hub::{CachedFile, HubReference, PinError, PinnedModel, Pins, Resolved};
use anyhow::Context;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The lock file that `--locked` names.
#[derive(Clone, Debug)]
pub(crate) struct Locked {
    path: PathBuf,
    pins: Pins,
}

impl Locked {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Locked> {
        match Pins::read(path) {
            Ok(pins) => Ok(Locked { path: path.into(), pins }),
            // Which names it.
            Err(error @ PinError::Io { .. }) => Err(error.into()),
            Err(error) => Err(error).with_context(|| name(path)),
        }
    }

    /// The reference at the commit that it is pinned to: what to look for, or to fetch.
    pub(crate) fn at_commit(&self, reference: &HubReference) -> anyhow::Result<HubReference> {
        let pinned = self.pins.find(reference).and_then(|model| model.at_commit(reference));
        pinned.with_context(|| name(&self.path))
    }

    /// Refuses files other than those that `reference`, as the user gave it, is pinned to.
    pub(crate) fn check(&self, reference: &HubReference, resolved: &Resolved, output: &Output) -> anyhow::Result<()> {
        let progress = output.progress_bytes("checking", size(&resolved.files));
        let model = self.pins.find(reference);
        let checked = model.and_then(|model| model.check(resolved, &mut |n| progress.inc(n)));
        progress.finish_and_clear();
        checked.with_context(|| name(&self.path))
    }

    /// Refuses a file or folder that is not pinned.
    pub(crate) fn check_path(&self, path: &Path, output: &Output) -> anyhow::Result<()> {
        let progress = output.progress_bytes("checking", fs::metadata(path).map_or(0, |metadata| metadata.len()));
        let checked = self.pins.check_path(path, &mut |n| progress.inc(n));
        progress.finish_and_clear();
        checked.with_context(|| name(&self.path))
    }
}

/// Pins models in the lock file at `path`, beside what it has.
pub(crate) fn lock(path: &Path, models: &[(HubReference, Resolved)], output: &Output) -> anyhow::Result<()> {
    let mut pins = match path.exists() {
        true => Locked::read(path)?.pins,
        false => Pins::default(),
    };
    let size = models.iter().map(|(_, resolved)| size(&resolved.files)).sum();
    let progress = output.progress_bytes("hashing", size);
    for (reference, resolved) in models {
        pins.set(PinnedModel::of(reference, resolved, &mut |n| progress.inc(n))?);
    }
    progress.finish_and_clear();
    Ok(pins.write(path)?)
}

fn name(path: &Path) -> String {
    format!("`{}`", path.display())
}

fn size(files: &[CachedFile]) -> u64 {
    files.iter().filter_map(|file| file.size_bytes).sum()
}
