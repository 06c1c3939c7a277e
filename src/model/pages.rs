//! Which blocks of the cache belong to which sequence.

use super::{Batch, ModelError, SequenceId};
use crate::backend::{BLOCK_LEN, Layout, Span};
use std::collections::HashMap;

/// The page table of a cache.
#[derive(Debug)]
pub(super) struct Pages {
    tables: HashMap<SequenceId, Table>,
    free: Vec<usize>,
    n_blocks: usize,
    max_blocks: usize,
    n_ctx: usize,
}

#[derive(Debug, Default)]
struct Table {
    blocks: Vec<usize>,
    len: usize,
}

impl Pages {
    /// Pages for at most `n_ctx` positions over all sequences.
    pub(super) fn new(n_ctx: usize) -> Pages {
        Pages { tables: HashMap::new(), free: Vec::new(), n_blocks: 0, max_blocks: n_ctx.div_ceil(BLOCK_LEN), n_ctx }
    }

    /// Blocks that the cache needs to have.
    pub(super) fn n_blocks(&self) -> usize {
        self.n_blocks
    }

    /// Positions that `sequence` has.
    pub(super) fn len(&self, sequence: SequenceId) -> usize {
        self.tables.get(&sequence).map_or(0, |table| table.len)
    }

    /// Appends the rows of `batch` to their sequences.
    ///
    /// # Errors
    /// [`ModelError::ContextFull`], with nothing appended.
    pub(super) fn place(&mut self, batch: &Batch) -> Result<Layout, ModelError> {
        self.reserve(batch)?;
        let mut layout = Layout::default();
        let mut last = None;
        for (i, row) in batch.rows.iter().enumerate() {
            let table = self.tables.entry(row.sequence).or_default();
            if table.len == table.blocks.len() * BLOCK_LEN {
                table.blocks.push(self.free.pop().expect("`reserve` has made room for every row"));
            }
            match layout.spans.last_mut() {
                Some(span) if last == Some(row.sequence) => span.rows.end = i + 1,
                _ => layout.spans.push(Span { rows: i..i + 1, first_pos: table.len, blocks: Vec::new() }),
            }
            layout.cells.push(table.blocks[table.len / BLOCK_LEN] * BLOCK_LEN + table.len % BLOCK_LEN);
            table.len += 1;
            last = Some(row.sequence);
        }
        for span in &mut layout.spans {
            let table = &self.tables[&batch.rows[span.rows.start].sequence];
            span.blocks = table.blocks[..span.n_seen().div_ceil(BLOCK_LEN)].to_vec();
        }
        Ok(layout)
    }

    /// Forgets what `sequence` has from position `len` on.
    pub(super) fn truncate(&mut self, sequence: SequenceId, len: usize) {
        let Some(table) = self.tables.get_mut(&sequence) else { return };
        table.len = table.len.min(len);
        let kept = table.len.div_ceil(BLOCK_LEN);
        // The lowest block is the next to be handed out, so that sequences stay contiguous where they can.
        self.free.extend(table.blocks.drain(kept..));
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        if table.len == 0 {
            self.tables.remove(&sequence);
        }
    }

    /// Makes room for every row of `batch`.
    fn reserve(&mut self, batch: &Batch) -> Result<(), ModelError> {
        let mut added: HashMap<SequenceId, usize> = HashMap::new();
        for row in &batch.rows {
            *added.entry(row.sequence).or_default() += 1;
        }
        let n_new: usize = added
            .iter()
            .map(|(id, n)| {
                let table = self.tables.get(id);
                let (len, blocks) = table.map_or((0, 0), |table| (table.len, table.blocks.len()));
                (len + n).div_ceil(BLOCK_LEN) - blocks
            })
            .sum();
        let n_used = self.n_blocks - self.free.len() + n_new;
        let longest = added.iter().map(|(&id, n)| self.len(id) + n).max().unwrap_or(0);
        if n_used > self.max_blocks || longest > self.n_ctx {
            return Err(ModelError::ContextFull { n_ctx: self.n_ctx });
        }
        if n_used > self.n_blocks {
            // Doubling keeps the cost of growing the cache proportional to its size.
            let n_blocks = n_used.max(2 * self.n_blocks).min(self.max_blocks);
            let more = (self.n_blocks..n_blocks).rev();
            self.free.splice(0..0, more);
            self.n_blocks = n_blocks;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SequenceId = SequenceId(1);
    const B: SequenceId = SequenceId(2);

    #[test]
    fn two_sequences_never_share_a_cell() {
        let mut pages = Pages::new(1024);
        let mut seen = std::collections::HashSet::new();
        for sequence in [A, B, A, B, B] {
            let layout = pages.place(&Batch::every(sequence, &[0; 40])).expect("fits");
            assert!(layout.cells.iter().all(|&cell| seen.insert(cell)));
        }
        assert_eq!((pages.len(A), pages.len(B)), (80, 120));
    }

    #[test]
    fn what_is_truncated_is_used_again() {
        let mut pages = Pages::new(64);
        let first = pages.place(&Batch::every(A, &[0; 64])).expect("fits");
        assert!(matches!(pages.place(&Batch::every(A, &[0])), Err(ModelError::ContextFull { n_ctx: 64 })));
        pages.truncate(A, 10);
        assert_eq!(pages.place(&Batch::every(A, &[0; 54])).expect("fits").cells, first.cells[10..]);
        pages.truncate(A, 0);
        assert_eq!(pages.place(&Batch::every(B, &[0; 64])).expect("fits").cells, first.cells);
    }

    #[test]
    fn a_lone_sequence_is_contiguous() {
        let mut pages = Pages::new(4096);
        for n in [5, 100, 1, 700] {
            let layout = pages.place(&Batch::last(A, &vec![0; n])).expect("fits");
            assert_eq!(layout.spans[0].contiguous_from(), Some(0));
        }
    }
}
