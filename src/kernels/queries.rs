//! Query vectors and what they see of the cache.

use super::{
    cells::BLOCK_LEN,
    step::{STEP_BLOCKS, STEP_LEN},
};
use std::ops::Range;

/// Rows of one sequence at positions that follow one another, and of them the query heads that share a key head.
#[derive(Clone, Debug)]
pub(crate) struct Queries<'a> {
    /// (n_rows, stride)
    pub(crate) data: &'a [f32],
    /// Floats from one row to the next.
    pub(crate) stride: usize,
    /// Which floats of a row: as many heads as share the key head.
    pub(crate) columns: Range<usize>,
    /// Elements of a head.
    pub(crate) head_dim: usize,
    /// The position of the first row.
    pub(crate) first_pos: usize,
    /// Positions that a query sees, its own included; `None` if all before it.
    pub(crate) window: Option<usize>,
    /// Factor on the product of a query and a key.
    pub(crate) scale: f32,
}

impl Queries<'_> {
    pub(super) fn n_rows(&self) -> usize {
        self.data.len() / self.stride
    }

    /// Query heads in a row.
    pub(super) fn group(&self) -> usize {
        self.columns.len() / self.head_dim
    }

    pub(super) fn len(&self) -> usize {
        self.n_rows() * self.group()
    }

    /// Query `i`, where those of a row follow one another.
    pub(super) fn query(&self, i: usize) -> &[f32] {
        let (row, head) = (i / self.group(), i % self.group());
        &self.data[row * self.stride + self.columns.start + head * self.head_dim..][..self.head_dim]
    }

    /// Which positions of step `step` query `i` sees.
    pub(super) fn seen(&self, i: usize, step: usize) -> Range<usize> {
        let row = i / self.group();
        let within = |pos: usize| pos.saturating_sub(step * STEP_LEN).min(STEP_LEN);
        within(self.first_seen(row))..within(self.first_pos + row + 1)
    }

    /// The first position that row `row` sees.
    fn first_seen(&self, row: usize) -> usize {
        self.window.map_or(0, |window| (self.first_pos + row + 1).saturating_sub(window))
    }

    /// The position after the last that any row sees.
    fn end(&self) -> usize {
        self.first_pos + self.n_rows()
    }

    /// Steps of which any row sees something.
    pub(super) fn steps(&self) -> Range<usize> {
        self.first_seen(0) / STEP_LEN..self.end().div_ceil(STEP_LEN)
    }

    /// The blocks of step `step`. For one that no row sees, as it may not be there, stands the last one that a row does.
    pub(super) fn blocks(&self, step: usize) -> [usize; STEP_BLOCKS] {
        let last = (self.end() - 1) / BLOCK_LEN;
        std::array::from_fn(|i| (step * STEP_BLOCKS + i).min(last))
    }

    /// Tiles of `N` queries that see anything of step `step`: not those before it, nor those whose window begins after it.
    pub(super) fn tiles<const N: usize>(&self, step: usize) -> Range<usize> {
        let (start, end) = (step * STEP_LEN, (step + 1) * STEP_LEN);
        let first = start.saturating_sub(self.first_pos);
        let n_rows = self.window.map_or(self.n_rows(), |window| {
            (end - 1).saturating_add(window).saturating_sub(self.first_pos).min(self.n_rows())
        });
        first * self.group() / N..(n_rows * self.group()).div_ceil(N)
    }
}
