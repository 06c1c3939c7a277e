//! A blob that is not whole yet, on disk: its bytes, and beside them which of those can be relied on.
//!
//! `HASH.taper-partial` has the bytes, at their places. `HASH.taper-ranges` says which have arrived and reached the disk; it
//! is written after these bytes are synced, so that neither a kill nor a power cut makes it lie. Python's library goes on
//! with any `HASH.incomplete` as if it were a start without gaps, so ours have other names; its own are taken over.

use super::digest::Digest;
use super::error::PullError;
use super::ranges::Ranges;
use super::store::{replace, sync_folder};
use crate::hub::repository::entries;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// The file and what is in it.
pub(super) struct Partial {
    data: PathBuf,
    journal: PathBuf,
    file: File,
    size_bytes: u64,
    done: Ranges,
}

/// First word of a journal, with the version of its format.
const MAGIC: &str = "taper-ranges-1";
/// More than a journal takes, on file systems with large blocks too.
const SPARE: u64 = 1 << 20;
/// Of a journal: more ranges than connections times gaps cannot be.
const LONGEST: u64 = 1 << 20;

impl Partial {
    /// What is on disk of this blob, or an empty one. The lock of the blob must be held.
    pub(super) fn open(blobs: &Path, digest: &Digest, size_bytes: u64) -> Result<Partial, PullError> {
        fs::create_dir_all(blobs).map_err(PullError::write(blobs))?;
        let (data, journal) = paths(blobs, digest);
        let mut done = read(&data, &journal, size_bytes);
        if done.len() == 0 {
            // A journal without its file, or a file without its journal, says nothing.
            for path in [&journal, &data] {
                remove(path)?;
            }
            done = adopt(blobs, digest, size_bytes, &data);
        }
        let options = File::options().create(true).write(true).truncate(false).open(&data);
        Ok(Partial { file: options.map_err(PullError::write(&data))?, data, journal, size_bytes, done })
    }

    /// How many bytes of the blob are on disk.
    pub(super) fn len_on_disk(blobs: &Path, digest: &Digest, size_bytes: u64) -> u64 {
        let (data, journal) = paths(blobs, digest);
        read(&data, &journal, size_bytes).len()
    }

    /// Where its bytes are.
    pub(super) fn path(&self) -> &Path {
        &self.data
    }

    /// What has arrived.
    pub(super) fn done(&self) -> &Ranges {
        &self.done
    }

    /// Makes sure that `done`, which has been written, outlasts whatever comes.
    pub(super) fn save(&mut self, done: Ranges) -> Result<(), PullError> {
        if done == self.done {
            return Ok(());
        }
        self.file.sync_data().map_err(PullError::write(&self.data))?;
        let mut text = format!("{MAGIC} {}\n", self.size_bytes);
        text.extend(done.iter().map(|range| format!("{} {}\n", range.start, range.end)));
        replace(&self.journal, &new(&self.journal), text.as_bytes()).map_err(PullError::write(&self.journal))?;
        self.done = done;
        Ok(())
    }

    /// As [`Partial::save`], for when the disk may be full: gives up the last bytes if the journal finds no room otherwise.
    pub(super) fn rescue(&mut self, mut done: Ranges) -> Result<(), PullError> {
        match self.save(done.clone()) {
            Err(PullError::Write { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
                done.truncate(done.end().saturating_sub(SPARE));
                self.file.set_len(done.end()).map_err(PullError::write(&self.data))?;
                self.save(done)
            }
            saved => saved,
        }
    }

    /// Forgets every byte.
    pub(super) fn clear(&mut self) -> Result<(), PullError> {
        remove(&self.journal)?;
        self.file.set_len(0).map_err(PullError::write(&self.data))?;
        self.done = Ranges::default();
        Ok(())
    }

    /// Deletes it.
    pub(super) fn delete(self) -> Result<(), PullError> {
        self.forget()?;
        remove(&self.data)
    }

    /// Makes it the blob, which must be whole and verified.
    pub(super) fn finish(self, blob: &Path) -> Result<(), PullError> {
        // Another server may have sent more than there is once; the hash is over the right number of bytes.
        self.file.set_len(self.size_bytes).and_then(|()| self.file.sync_all()).map_err(PullError::write(&self.data))?;
        fs::rename(&self.data, blob).map_err(PullError::write(blob))?;
        blob.parent().into_iter().for_each(sync_folder);
        self.forget()
    }

    /// Deletes what tells of it.
    fn forget(&self) -> Result<(), PullError> {
        // A kill may have come while it was being written.
        remove(&new(&self.journal)).and_then(|()| remove(&self.journal))
    }
}

fn paths(blobs: &Path, digest: &Digest) -> (PathBuf, PathBuf) {
    let of = |extension: &str| blobs.join(format!("{}.{extension}", digest.text()));
    (of("taper-partial"), of("taper-ranges"))
}

/// Where a journal is written.
fn new(journal: &Path) -> PathBuf {
    journal.with_added_extension("tmp")
}

/// What the journal says; nothing unless all of it fits the file.
fn read(data: &Path, journal: &Path, size_bytes: u64) -> Ranges {
    let whole = || -> Option<Ranges> {
        let len = fs::metadata(data).ok()?.len();
        let text = fs::metadata(journal).ok().filter(|it| it.len() <= LONGEST).and(fs::read_to_string(journal).ok())?;
        let mut lines = text.strip_suffix('\n')?.lines();
        if lines.next()? != format!("{MAGIC} {size_bytes}") {
            return None;
        }
        let mut done = Ranges::default();
        for line in lines {
            let (start, end) = line.split_once(' ')?;
            let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
            if start >= end || end > size_bytes.min(len) || start < done.end() {
                return None;
            }
            done.insert(start..end);
        }
        Some(done)
    };
    whole().unwrap_or_default()
}

/// Takes over what Python has left of the blob: `HASH.incomplete`, or `HASH.` and some letters before that.
fn adopt(blobs: &Path, digest: &Digest, size_bytes: u64, data: &Path) -> Ranges {
    let mut done = Ranges::default();
    let left = |entry: &fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let middle = name.strip_prefix(digest.text())?.strip_suffix("incomplete")?;
        let len = entry.metadata().ok().filter(|it| it.is_file())?.len();
        (middle.starts_with('.') && middle.ends_with('.') && len <= size_bytes).then(|| (len, entry.path()))
    };
    let longest = entries(blobs).unwrap_or_default().iter().filter_map(left).max();
    if let Some((len, path)) = longest
        && fs::rename(&path, data).is_ok()
    {
        tracing::info!("goes on with `{}`", path.display());
        done.insert(0..len);
    }
    done
}

fn remove(path: &Path) -> Result<(), PullError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PullError::write(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::git(&"ab".repeat(20)).unwrap()
    }

    #[test]
    fn what_was_saved_is_there_again_and_what_was_not_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Partial::open(folder.path(), &digest(), 100).unwrap();
        let mut partial = open();
        fs::write(partial.path(), [7; 60]).unwrap();
        assert_eq!(open().done().len(), 0, "bytes without a journal are not relied on");
        fs::write(partial.path(), [7; 60]).unwrap();
        let mut done = Ranges::default();
        done.insert(0..20);
        done.insert(40..60);
        partial.save(done.clone()).unwrap();
        assert_eq!(*open().done(), done);
        assert_eq!(Partial::len_on_disk(folder.path(), &digest(), 100), 40);
        assert_eq!(Partial::len_on_disk(folder.path(), &digest(), 101), 0, "of another size");
        fs::write(partial.path(), [7; 59]).unwrap();
        assert_eq!(open().done().len(), 0, "a file shorter than its journal says");
    }

    #[test]
    fn a_damaged_journal_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for (text, len) in [
            ("taper-ranges-1 100\n0 10\n20 30\n", 20),
            ("taper-ranges-1 100\n0 10\n20 3", 0),
            ("taper-ranges-1 100\n", 0),
            ("taper-ranges-2 100\n0 10\n", 0),
            ("taper-ranges-1 100\n10 0\n", 0),
            ("taper-ranges-1 100\n0 101\n", 0),
            ("taper-ranges-1 100\n20 30\n0 10\n", 0),
            ("taper-ranges-1 100\n-1 10\n", 0),
            ("taper-ranges-1 100\n0 18446744073709551616\n", 0),
            ("", 0),
        ] {
            let (data, journal) = paths(folder.path(), &digest());
            fs::write(&data, [7; 100]).unwrap();
            fs::write(&journal, text).unwrap();
            assert_eq!(Partial::open(folder.path(), &digest(), 100).unwrap().done().len(), len, "{text:?}");
        }
    }

    #[test]
    fn what_python_left_is_taken_over() {
        for (name, len) in [("incomplete", 9), ("1a2b3c4d.incomplete", 9), ("other", 0)] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(format!("{}.{name}", digest().text())), [7; 9]).unwrap();
            fs::write(folder.path().join(format!("{}0.incomplete", digest().text())), [7; 10]).unwrap();
            let partial = Partial::open(folder.path(), &digest(), 100).unwrap();
            assert_eq!((partial.done().prefix(), fs::metadata(partial.path()).unwrap().len()), (len, len), "{name}");
        }
    }
}
