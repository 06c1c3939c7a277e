//! The hash that tells one model file from another.

use crate::{hash::Algorithm, model::Source};

/// The SHA-256 of the files of `source`, one after the other, in hexadecimal; `None` for a folder, or if `stop` says that
/// nobody wants it any more. It takes a second for every one or two gigabytes.
pub fn sha256(source: &Source, stop: &dyn Fn() -> bool) -> Option<String> {
    let Source::Gguf(gguf) = source else { return None };
    let mut hash = Algorithm::Sha256.hasher(gguf.len_bytes() as u64);
    for part in gguf.parts() {
        for chunk in part.chunks(1 << 24) {
            if stop() {
                return None;
            }
            hash.update(chunk);
        }
    }
    Some(hash.finish())
}
