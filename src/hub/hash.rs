//! Hashes of files as the Hub names them: SHA-256 of what is in LFS, git's SHA-1 of the rest.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::{
    fmt::Write,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// How a blob is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256 of the content: files in large file storage.
    Sha256,
    /// SHA-1 of `blob`, the length and the content, as git does: all other files.
    GitSha1,
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

    /// Hashes a file, telling `progress` of every piece how many bytes it has. Takes a MiB of memory, whatever the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn hash(self, path: &Path, progress: &mut dyn FnMut(u64)) -> io::Result<Hashed> {
        let file = File::open(path)?;
        match self {
            Algorithm::Sha256 => digest(file, Sha256::new(), progress),
            Algorithm::GitSha1 => {
                let header = format!("blob {}\0", file.metadata()?.len());
                digest(file, Sha1::new_with_prefix(header), progress)
            }
        }
    }
}

fn digest(mut file: File, mut state: impl Digest, progress: &mut dyn FnMut(u64)) -> io::Result<Hashed> {
    let mut buffer = vec![0; BUFFER];
    let mut size_bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                state.update(&buffer[..n]);
                size_bytes += n as u64;
                progress(n as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut hex = String::new();
    for byte in state.finalize() {
        // Writing into a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(Hashed { size_bytes, hex })
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
