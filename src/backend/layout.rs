//! Where the rows of a batch lie in the cache.

use std::ops::Range;

pub use crate::kernels::BLOCK_LEN;

/// The sizes of a cache of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheShape {
    /// Layers, each with keys and values of its own.
    pub n_layers: usize,
    /// Key and value heads of a layer.
    pub n_kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
}

/// Which cells of the cache the rows of a batch write, and which they see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The cell that each row writes: block × [`BLOCK_LEN`] + offset.
    pub cells: Vec<usize>,
    /// The batch cut into runs of one sequence each, in order; together they cover every row.
    pub spans: Vec<Span>,
    /// The blocks of all spans, see [`Layout::blocks`].
    pub blocks: Vec<usize>,
}

/// Consecutive rows of a batch at consecutive positions of one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Rows of the batch.
    pub rows: Range<usize>,
    /// The position of the first row; row `rows.start + i` sees positions `0..=first_pos + i`.
    pub first_pos: usize,
    /// Where in [`Layout::blocks`] its blocks are.
    pub blocks: Range<usize>,
}

impl Span {
    /// Positions that the last row of the span sees.
    pub fn n_seen(&self) -> usize {
        self.first_pos + self.rows.len()
    }
}

impl Layout {
    /// The blocks that hold the positions of the sequence of `span`, in order, as far as its last row needs them.
    pub fn blocks(&self, span: &Span) -> &[usize] {
        &self.blocks[span.blocks.clone()]
    }

    /// The position of each row in its sequence.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.spans.iter().flat_map(|span| (0..span.rows.len()).map(|i| span.first_pos + i))
    }

    /// The first cell, if the cells of positions `0..n_seen` of `span` follow one another; else `None`.
    pub fn contiguous_from(&self, span: &Span) -> Option<usize> {
        let first = *self.blocks(span).first()?;
        let in_order = self.blocks(span).iter().enumerate().all(|(i, &block)| block == first + i);
        in_order.then_some(first * BLOCK_LEN)
    }

    /// The cell of position `pos` of the sequence of `span`.
    pub fn cell(&self, span: &Span, pos: usize) -> usize {
        self.blocks(span)[pos / BLOCK_LEN] * BLOCK_LEN + pos % BLOCK_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_follow_the_blocks() {
        let span = Span { rows: 0..2, first_pos: 31, blocks: 1..3 };
        let mut layout = Layout { blocks: vec![9, 5, 2], ..Layout::default() };
        assert_eq!((layout.cell(&span, 31), layout.cell(&span, 32)), (5 * BLOCK_LEN + 31, 2 * BLOCK_LEN));
        assert_eq!(layout.contiguous_from(&span), None);
        layout.blocks = vec![9, 2, 3];
        assert_eq!(layout.contiguous_from(&span), Some(2 * BLOCK_LEN));
    }
}
