//! Who may ask, and how often.

use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs, io,
    path::PathBuf,
    sync::{Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;

/// A key as it is kept: its hash, so that keys of all lengths compare alike.
type Hash = [u8; 32];

/// Known keys, read from a file with a key a line; empty lines and those with `#` are left out.
pub(super) struct Keys {
    file: Option<PathBuf>,
    hashes: RwLock<Vec<Hash>>,
    /// Requests a minute.
    rate_limit: Option<u32>,
    buckets: Mutex<HashMap<Option<usize>, Bucket>>,
}

/// Requests that may still come: it fills with time, up to a minute's worth.
struct Bucket {
    n_left: f64,
    at: Instant,
}

impl Keys {
    /// The keys in `file`.
    ///
    /// # Errors
    /// If it cannot be read, or has no key: everybody would be let in.
    pub(super) fn read(file: Option<PathBuf>, rate_limit: Option<u32>) -> io::Result<Keys> {
        let keys = Keys { file, hashes: RwLock::default(), rate_limit, buckets: Mutex::default() };
        keys.reload()?;
        Ok(keys)
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// As [`Keys::read`]; the old keys stay then.
    pub(super) fn reload(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = fs::read_to_string(file)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let hashes: Vec<Hash> = lines.map(hash).collect();
        if hashes.is_empty() {
            return Err(io::Error::other(format!("`{}` has no key", file.display())));
        }
        *self.hashes.write().unwrap_or_else(PoisonError::into_inner) = hashes;
        Ok(())
    }

    /// Whether a key is asked for.
    pub(super) fn are_wanted(&self) -> bool {
        self.file.is_some()
    }

    /// The place of `key` among those known. How long this takes does not tell how much of a key is right.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        let key = hash(key);
        let hashes = self.hashes.read().unwrap_or_else(PoisonError::into_inner);
        hashes.iter().enumerate().fold(None, |found, (i, known)| if known.ct_eq(&key).into() { Some(i) } else { found })
    }

    /// Counts a request with the key at `place`; an error says after how long it may come again.
    pub(super) fn count(&self, place: Option<usize>) -> Result<(), Duration> {
        let Some(per_minute) = self.rate_limit else { return Ok(()) };
        let (per_minute, now) = (f64::from(per_minute), Instant::now());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(place).or_insert(Bucket { n_left: per_minute, at: now });
        let since = now.duration_since(bucket.at).as_secs_f64();
        bucket.n_left = (bucket.n_left + since * per_minute / 60.0).min(per_minute);
        bucket.at = now;
        if bucket.n_left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.n_left) * 60.0 / per_minute));
        }
        bucket.n_left -= 1.0;
        Ok(())
    }
}

fn hash(key: &str) -> Hash {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn keys_are_found_after_they_changed_and_an_empty_file_lets_nobody_in() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        write!(file, "# two\n one \n\nsecond\n").expect("written");
        let keys = Keys::read(Some(file.path().into()), None).expect("keys");
        assert_eq!(
            [keys.find("one"), keys.find("second"), keys.find("# two"), keys.find("")],
            [Some(0), Some(1), None, None]
        );
        fs::write(file.path(), "third").expect("written");
        keys.reload().expect("keys");
        assert_eq!((keys.find("one"), keys.find("third")), (None, Some(0)));
        fs::write(file.path(), "# none\n").expect("written");
        assert!(keys.reload().is_err());
        assert_eq!(keys.find("third"), Some(0));
    }

    #[test]
    fn each_key_has_its_own_limit() {
        let keys = Keys::read(None, Some(2)).expect("no file");
        let counted: Vec<bool> = [Some(0), Some(0), Some(0), Some(1)].map(|place| keys.count(place).is_ok()).into();
        assert_eq!(counted, [true, true, false, true]);
        let wait = keys.count(Some(0)).expect_err("used up");
        assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
    }
}
