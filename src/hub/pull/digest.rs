//! The hashes by which the Hub knows its files.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// What the content of a file must hash to. Its text is also the name of the blob in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256 of the content: large files.
    Sha256(String),
    /// git's name for the content, a SHA-1 with the length before it: files that are in the git repository itself.
    Git(String),
}

/// A hash being computed.
pub(super) enum Hasher {
    Sha256(Sha256),
    Git(Sha1),
}

impl Digest {
    /// A SHA-256 in hexadecimal digits; `None` if `text` is none.
    pub fn sha256(text: &str) -> Option<Digest> {
        hexadecimal(text, 64).map(Digest::Sha256)
    }

    /// The name of a git object in hexadecimal digits; `None` if `text` is none.
    pub fn git(text: &str) -> Option<Digest> {
        hexadecimal(text, 40).map(Digest::Git)
    }

    /// In hexadecimal digits, lower case.
    pub fn text(&self) -> &str {
        match self {
            Digest::Sha256(text) | Digest::Git(text) => text,
        }
    }

    /// What to call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Digest::Sha256(_) => "SHA-256",
            Digest::Git(_) => "git hash",
        }
    }

    /// For a file of this size.
    pub(super) fn hasher(&self, size_bytes: u64) -> Hasher {
        match self {
            Digest::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Digest::Git(_) => Hasher::Git(Sha1::new_with_prefix(format!("blob {size_bytes}\0"))),
        }
    }
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Git(hasher) => hasher.update(bytes),
        }
    }

    /// In hexadecimal digits, lower case.
    pub(super) fn finish(self) -> String {
        let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Hasher::Sha256(hasher) => digits(&hasher.finalize()),
            Hasher::Git(hasher) => digits(&hasher.finalize()),
        }
    }
}

fn hexadecimal(text: &str, n_digits: usize) -> Option<String> {
    let digits = text.len() == n_digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes_come_out() {
        let of = |digest: Digest, content: &str| {
            let mut hasher = digest.hasher(content.len() as u64);
            content.bytes().for_each(|byte| hasher.update(&[byte]));
            hasher.finish()
        };
        let sha = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
        assert_eq!(of(Digest::sha256(sha).unwrap(), "hello world"), sha);
        // `printf 'hello world\n' | git hash-object --stdin`
        let git = "3b18e512dba79e4c8300dd08aeb37f8e728b8dad";
        assert_eq!(of(Digest::git(git).unwrap(), "hello world\n"), git);
        assert_eq!(Digest::sha256(git), None);
        assert_eq!(Digest::git(&git.replace('3', "/")), None);
        assert_eq!(Digest::git(&git.to_uppercase()), Digest::git(git));
    }
}
