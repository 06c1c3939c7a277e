//! Hashes as the Hub names its files.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// In hexadecimal digits, lower case.
pub(crate) fn sha256(content: impl AsRef<[u8]>) -> String {
    hexadecimal(&Sha256::digest(content))
}

/// What git calls the content.
pub(crate) fn git_hash(content: impl AsRef<[u8]>) -> String {
    let content = content.as_ref();
    let mut hasher = Sha1::new_with_prefix(format!("blob {}\0", content.len()));
    hasher.update(content);
    hexadecimal(&hasher.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
