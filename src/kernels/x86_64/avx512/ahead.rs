//! Weights that are asked for before they are needed.
//!
//! A panel takes pieces of 32 rows that lie far apart, a pattern that processors do not foresee.

use super::panel::OUTPUTS;
use crate::kernels::x86_64::memory::{prefetch, prefetch_twice};

/// What to ask for while a panel is multiplied: then the innermost cache has time for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead<'a> {
    /// Weights of panels that come later, in the order of memory: on their way from there.
    pub(super) far: &'a [u8],
    /// The weights that the next panel is filled with, from those of its first row on: on their way to the first cache.
    pub(super) near: &'a [u8],
    /// Bytes from a row to the next.
    pub(super) stride: usize,
}

impl Ahead<'_> {
    /// Asks for part `i` of `n`, of the near weights `LINES` lines of each row.
    #[inline]
    #[target_feature(enable = "sse")]
    pub(super) fn ask<const LINES: usize>(&self, i: usize, n: usize) {
        let len = self.far.len();
        prefetch_twice(&self.far[len * i / n..len * (i + 1) / n]);
        if self.near.is_empty() {
            return;
        }
        for row in OUTPUTS * i / n..OUTPUTS * (i + 1) / n {
            let start = row * self.stride;
            if let Some(near) = self.near.get(start..start + 64 * LINES) {
                prefetch(near);
            }
        }
    }
}
