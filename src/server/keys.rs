//! Who may ask, and how often.

use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs, io,
    path::PathBuf,
    sync::{Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};
use subtle::{Choice, ConstantTimeEq};

/// A key as it is kept: its hash, so that keys of all lengths compare alike.
pub(super) type KeyHash = [u8; 32];

/// Known keys, read from a file with a key a line; empty lines and those with `#` are left out.
pub(super) struct Keys {
    file: Option<PathBuf>,
    hashes: RwLock<Vec<KeyHash>>,
    /// Requests a minute.
    rate_limit: Option<u32>,
    /// Of each key that has asked; without keys all share one.
    buckets: Mutex<HashMap<Option<KeyHash>, Bucket>>,
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
        let hashes: Vec<KeyHash> = lines.map(hash).collect();
        if hashes.is_empty() {
            return Err(io::Error::other(format!("`{}` has no key", file.display())));
        }
        let known = |key: &Option<KeyHash>, _: &mut Bucket| key.is_none_or(|key| hashes.contains(&key));
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).retain(known);
        *self.hashes.write().unwrap_or_else(PoisonError::into_inner) = hashes;
        Ok(())
    }

    /// Whether a key is asked for.
    pub(super) fn are_wanted(&self) -> bool {
        self.file.is_some()
    }

    /// `key` as it is kept, if it is known. How long this takes does not tell how much of a key is right.
    pub(super) fn find(&self, key: &str) -> Option<KeyHash> {
        let key = hash(key);
        let hashes = self.hashes.read().unwrap_or_else(PoisonError::into_inner);
        let is_known = hashes.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&key));
        bool::from(is_known).then_some(key)
    }

    /// Counts a request with `key`; an error says after how long it may come again.
    pub(super) fn count(&self, key: Option<KeyHash>) -> Result<(), Duration> {
        let Some(per_minute) = self.rate_limit else { return Ok(()) };
        let (per_minute, now) = (f64::from(per_minute), Instant::now());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key).or_insert(Bucket { n_left: per_minute, at: now });
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

fn hash(key: &str) -> KeyHash {
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
            [Some(hash("one")), Some(hash("second")), None, None]
        );
        fs::write(file.path(), "third").expect("written");
        keys.reload().expect("keys");
        assert_eq!((keys.find("one"), keys.find("third")), (None, Some(hash("third"))));
        fs::write(file.path(), "# none\n").expect("written");
        assert!(keys.reload().is_err());
        assert!(keys.find("third").is_some());
    }

    #[test]
    fn each_key_has_its_own_limit() {
        let keys = Keys::read(None, Some(2)).expect("no file");
        let counted = ["a", "a", "a", "b"].map(|key| keys.count(Some(hash(key))).is_ok());
        assert_eq!(counted, [true, true, false, true]);
        let wait = keys.count(Some(hash("a"))).expect_err("used up");
        assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
    }
}
