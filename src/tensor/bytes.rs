//! Shared bytes that may lie in a mapped file.

use std::{fmt, fs::File, io, ops::Deref, ops::Range, sync::Arc};

/// A cheap-to-clone view of bytes that a mapped file, the binary or the heap holds.
///
/// A mapped file that another process shortens while it is in use ends this process with a bus error; that is the price
/// of not copying weights, and every engine that maps pays it.
#[derive(Clone)]
pub struct Bytes {
    owner: Owner,
    range: Range<usize>,
}

#[derive(Clone)]
enum Owner {
    Map(Arc<memmap2::Mmap>),
    Static(&'static [u8]),
    Heap(Arc<[u8]>),
}

impl Bytes {
    /// Maps the whole of `file`, read only.
    ///
    /// # Errors
    /// What the operating system says.
    #[expect(unsafe_code, reason = "the one place that maps a file")]
    pub fn map(file: &File) -> io::Result<Bytes> {
        if file.metadata()?.len() == 0 {
            return Ok(Bytes::from_static(&[]));
        }
        // SAFETY: the map is private to this process and only read; that others may write the file meanwhile is
        // accepted, as the type's documentation says.
        let map = unsafe { memmap2::Mmap::map(file)? };
        let range = 0..map.len();
        Ok(Bytes { owner: Owner::Map(Arc::new(map)), range })
    }

    /// Bytes that are part of the binary.
    pub fn from_static(bytes: &'static [u8]) -> Bytes {
        Bytes { owner: Owner::Static(bytes), range: 0..bytes.len() }
    }

    /// The part `range` of these bytes; `None` if it does not lie inside.
    pub fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        let start = self.range.start + range.start;
        Some(Bytes { owner: self.owner.clone(), range: start..start + range.len() })
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        let range = 0..bytes.len();
        Bytes { owner: Owner::Heap(bytes.into()), range }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &self.owner {
            Owner::Map(map) => map,
            Owner::Static(bytes) => bytes,
            Owner::Heap(bytes) => bytes,
        };
        &all[self.range.clone()]
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_of_a_slice_stays_inside() {
        let bytes = Bytes::from(vec![0, 1, 2, 3, 4, 5]);
        let middle = bytes.slice(1..5).expect("inside");
        assert_eq!(&*middle, [1, 2, 3, 4]);
        assert_eq!(middle.slice(1..3).as_deref(), Some(&[2, 3][..]));
        assert!(middle.slice(2..5).is_none());
    }
}
