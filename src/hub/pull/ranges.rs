//! A set of bytes of a file.

use std::ops::Range;

/// Disjoint ranges that do not touch, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds the bytes of `range`.
    pub(super) fn insert(&mut self, mut range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|old| old.end < range.start);
        let last = self.0.partition_point(|old| old.start <= range.end);
        if first < last {
            range.start = range.start.min(self.0[first].start);
            range.end = range.end.max(self.0[last - 1].end);
        }
        self.0.splice(first..last, [range]);
    }

    /// Takes out what is at `end` and beyond.
    pub(super) fn truncate(&mut self, end: u64) {
        self.0.retain(|range| range.start < end);
        if let Some(last) = self.0.last_mut() {
            last.end = last.end.min(end);
        }
    }

    /// How many bytes from the first on are in it without a gap.
    pub(super) fn prefix(&self) -> u64 {
        self.0.first().filter(|range| range.start == 0).map_or(0, |range| range.end)
    }

    /// How many bytes are in it.
    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// The end of the last range.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, |range| range.end)
    }

    /// What of a file of `size` bytes is not in it, in pieces of at most `longest` bytes.
    pub(super) fn missing(&self, size: u64, longest: u64) -> impl Iterator<Item = Range<u64>> {
        let starts = std::iter::once(0).chain(self.0.iter().map(|range| range.end));
        let ends = self.0.iter().map(|range| range.start).chain([size]);
        let gaps = starts.zip(ends).map(move |(start, end)| start..end.min(size)).filter(|gap| !gap.is_empty());
        gaps.flat_map(move |gap| {
            let n_pieces = (gap.end - gap.start).div_ceil(longest);
            (0..n_pieces).map(move |i| {
                let start = gap.start + i * longest;
                start..gap.end.min(start.saturating_add(longest))
            })
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn it_is_the_set_of_the_bytes(inserted in vec((0u64..60, 0u64..20), 0..12), size in 0u64..90, longest in 1u64..30, cut in 0u64..90) {
            let mut ranges = Ranges::default();
            let mut bytes = [false; 100];
            for (start, len) in inserted {
                ranges.insert(start..start + len);
                (start..start + len).for_each(|at| bytes[at as usize] = true);
            }
            prop_assert_eq!(ranges.len() as usize, bytes.iter().filter(|&&there| there).count());
            prop_assert_eq!(ranges.prefix() as usize, bytes.iter().take_while(|&&there| there).count());
            prop_assert_eq!(ranges.end() as usize, bytes.iter().rposition(|&there| there).map_or(0, |at| at + 1));
            prop_assert!(ranges.0.windows(2).all(|pair| pair[0].end < pair[1].start));
            let mut start = ranges.clone();
            start.truncate(cut);
            prop_assert_eq!(start.len() as usize, bytes[..cut as usize].iter().filter(|&&there| there).count());
            prop_assert!(start.end() <= cut);
            for piece in ranges.missing(size, longest) {
                prop_assert!(!piece.is_empty() && piece.end - piece.start <= longest);
                for at in piece {
                    prop_assert!(!std::mem::replace(&mut bytes[at as usize], true));
                }
            }
            prop_assert!(bytes[..size as usize].iter().all(|&there| there));
        }
    }
}
