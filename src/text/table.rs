//! Finds a byte string in an array of them: a hash table of positions, built without reading a string twice.

use super::TextError;
use crate::gguf::StringArray;
use rustc_hash::FxHasher;
use std::hash::Hasher;

/// Positions of the strings of an array, by their bytes. Of equal strings the first counts; empty ones are left out.
pub(crate) struct Table {
    /// Open addressing: the upper half of the hash above the position plus one, or zero.
    slots: Box<[u64]>,
}

/// How far from its place a string may be: more than any honest array needs at this load, so that a crafted one cannot
/// make us slow.
const MAX_PROBES: usize = 1024;

impl Table {
    /// The table of `strings`, which come from `key` in the file.
    ///
    /// # Errors
    /// [`TextError::Damaged`] if far too many strings are equal, or there are more than 2^32.
    pub(crate) fn build(strings: &StringArray, key: &'static str) -> Result<Table, TextError> {
        let damaged = |reason: &str| TextError::Damaged { key, reason: reason.into() };
        if u32::try_from(strings.len()).is_err() {
            return Err(damaged("has more than 2^32 elements"));
        }
        let mut slots = vec![0; (strings.len() * 3 / 2 + 1).next_power_of_two()].into_boxed_slice();
        let mask = slots.len() - 1;
        for (i, text) in strings.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            let hash = hash(text);
            let start = hash as usize;
            let free = (0..MAX_PROBES).map(|step| start.wrapping_add(step) & mask).find(|&slot| slots[slot] == 0);
            slots[free.ok_or_else(|| damaged("has far too many equal strings"))?] = slot(hash, i as u64);
        }
        Ok(Table { slots })
    }

    /// The position of `text` in `strings`, the array that this was built from.
    pub(crate) fn find(&self, strings: &StringArray, text: &[u8]) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let hash = hash(text);
        let places = (0..MAX_PROBES).map(|step| self.slots[(hash as usize).wrapping_add(step) & mask]);
        places
            .take_while(|&slot| slot != 0)
            .filter(|slot| slot >> 32 == hash >> 32)
            .map(|slot| slot as u32 - 1)
            .find(|&position| strings.get(position as usize) == Some(text))
    }
}

fn hash(text: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(text);
    hasher.finish()
}

fn slot(hash: u64, position: u64) -> u64 {
    hash & !u64::from(u32::MAX) | (position + 1)
}
