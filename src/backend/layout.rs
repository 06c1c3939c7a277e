//! Where the rows of a batch lie in the cache.

use std::ops::Range;

/// Positions in a block of the cache.
pub const BLOCK_LEN: usize = 32;

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
}

/// Consecutive rows of a batch at consecutive positions of one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Rows of the batch.
    pub rows: Range<usize>,
    /// The position of the first row; row `rows.start + i` sees positions `0..=first_pos + i`.
    pub first_pos: usize,
    /// The blocks that hold the positions of the sequence, in order, as far as the last row needs them.
    pub blocks: Vec<usize>,
}

impl Span {
    /// Positions that the last row of the span sees.
    pub fn n_seen(&self) -> usize {
        self.first_pos + self.rows.len()
    }

    /// The first cell, if the cells of positions `0..n_seen` follow one another; else `None`.
    pub fn contiguous_from(&self) -> Option<usize> {
        let first = *self.blocks.first()?;
        let in_order = self.blocks.iter().enumerate().all(|(i, &block)| block == first + i);
        in_order.then_some(first * BLOCK_LEN)
    }

    /// The cell of position `pos` of the sequence.
    pub fn cell(&self, pos: usize) -> usize {
        self.blocks[pos / BLOCK_LEN] * BLOCK_LEN + pos % BLOCK_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_follow_the_blocks() {
        let span = Span { rows: 0..2, first_pos: 31, blocks: vec![5, 2] };
        assert_eq!((span.cell(31), span.cell(32)), (5 * BLOCK_LEN + 31, 2 * BLOCK_LEN));
        assert_eq!(span.contiguous_from(), None);
        assert_eq!(Span { blocks: vec![2, 3], ..span }.contiguous_from(), Some(2 * BLOCK_LEN));
    }
}
