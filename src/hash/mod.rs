//! Hashes of content: SHA-256, and git's SHA-1, by which the Hub names its files.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// How content is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256 of the content: the Hub's files in large file storage.
    Sha256,
    /// SHA-1 of `blob`, the length and the content, as git does: its other files.
    GitSha1,
}

/// A hash being computed.
pub struct Hasher(State);

enum State {
    Sha256(Sha256),
    GitSha1(Sha1),
}

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// What was read.
    pub size_bytes: u64,
    /// The hash, in lower case hexadecimal digits.
    pub hex: String,
}

/// Bytes read at once.
const BUFFER: usize = 1 << 20;

impl Algorithm {
    /// The algorithm that gives names like that of a blob; `None` if none does, as on some mirrors.
    pub fn of_name(name: &str) -> Option<Algorithm> {
        let hex = name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match name.len() {
            64 if hex => Some(Algorithm::Sha256),
            40 if hex => Some(Algorithm::GitSha1),
            _ => None,
        }
    }

    /// `sha256` or `git-sha1`.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::GitSha1 => "git-sha1",
        }
    }

    /// For content of this size.
    pub fn hasher(self, size_bytes: u64) -> Hasher {
        Hasher(match self {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::GitSha1 => State::GitSha1(Sha1::new_with_prefix(format!("blob {size_bytes}\0"))),
        })
    }

    /// Hashes a file, telling `progress` of every piece how many bytes it has. Takes a MiB of memory, whatever the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn hash(self, path: &Path, progress: &mut dyn FnMut(u64)) -> io::Result<Hashed> {
        let mut file = File::open(path)?;
        let mut hasher = self.hasher(file.metadata()?.len());
        let mut buffer = vec![0; BUFFER];
        let mut size_bytes = 0;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Hashed { size_bytes, hex: hasher.finish() }),
                Ok(n) => {
                    hasher.update(&buffer[..n]);
                    size_bytes += n as u64;
                    progress(n as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Hasher {
    /// Takes in more of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::GitSha1(state) => state.update(bytes),
        }
    }

    /// In hexadecimal digits, lower case.
    pub fn finish(self) -> String {
        match self.0 {
            State::Sha256(state) => digits(&state.finalize()),
            State::GitSha1(state) => digits(&state.finalize()),
        }
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_sha256sum_and_git() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("größe.txt");
        std::fs::write(&path, "hello\n").unwrap();
        let mut n_bytes = 0;
        let sha256 = Algorithm::Sha256.hash(&path, &mut |n| n_bytes += n).unwrap();
        assert_eq!(sha256.hex, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        assert_eq!((n_bytes, sha256.size_bytes), (6, 6));
        // As `git hash-object` prints it.
        let git = Algorithm::GitSha1.hash(&path, &mut |_| ()).unwrap();
        assert_eq!(git.hex, "ce013625030ba8dba906f756967f9e9ca394464a");
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        assert_eq!(
            Algorithm::GitSha1.hash(&empty, &mut |_| ()).unwrap().hex,
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        );
    }

    #[test]
    fn names_tell_the_algorithm() {
        assert_eq!(Algorithm::of_name(&"0a".repeat(32)), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::of_name(&"0a".repeat(20)), Some(Algorithm::GitSha1));
        for name in ["", "0a", &"0A".repeat(32), &"g".repeat(40), &format!("{}.incomplete", "0".repeat(29))] {
            assert_eq!(Algorithm::of_name(name), None, "{name}");
        }
    }
}
