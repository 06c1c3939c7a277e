//! Which blocks of the cache belong to which sequence.

use super::{Batch, ModelError, SequenceId};
use crate::backend::{BLOCK_LEN, Layout, Span};
use std::collections::HashMap;

/// The page table of a cache. Blocks that every layer's window has left behind stay with their sequence, which finds them
/// again when it is truncated.
#[derive(Debug)]
pub(super) struct Pages {
    tables: HashMap<SequenceId, Table>,
    free: Vec<usize>,
    /// How many sequences have each block.
    n_users: Vec<usize>,
    max_blocks: usize,
    n_ctx: usize,
}

#[derive(Debug, Default)]
struct Table {
    blocks: Vec<usize>,
    len: usize,
    /// Rows of the batch under way that are still to be placed.
    n_pending: usize,
}

impl Pages {
    /// Pages for at most `n_ctx` positions over all sequences.
    pub(super) fn new(n_ctx: usize) -> Pages {
        let max_blocks = n_ctx.div_ceil(BLOCK_LEN);
        Pages { tables: HashMap::new(), free: Vec::new(), n_users: Vec::new(), max_blocks, n_ctx }
    }

    /// Blocks that the cache needs to have.
    pub(super) fn n_blocks(&self) -> usize {
        self.n_users.len()
    }

    /// Positions in blocks that no sequence has.
    pub(super) fn n_free(&self) -> usize {
        (self.max_blocks - self.n_used()) * BLOCK_LEN
    }

    /// Positions in all blocks that there may be.
    pub(super) fn n_positions(&self) -> usize {
        self.max_blocks * BLOCK_LEN
    }

    fn n_used(&self) -> usize {
        self.n_users.len() - self.free.len()
    }

    /// Positions that `sequence` has.
    pub(super) fn len(&self, sequence: SequenceId) -> usize {
        self.tables.get(&sequence).map_or(0, |table| table.len)
    }

    /// Appends the rows of `batch` to their sequences; `layout` says where.
    ///
    /// # Errors
    /// [`ModelError::ContextFull`], with nothing appended.
    pub(super) fn place(&mut self, batch: &Batch, layout: &mut Layout) -> Result<(), ModelError> {
        self.reserve(batch)?;
        let Layout { cells, spans, blocks } = layout;
        cells.clear();
        spans.clear();
        blocks.clear();
        let mut last = None;
        for (i, row) in batch.rows.iter().enumerate() {
            let table = self.tables.entry(row.sequence).or_default();
            if table.len == table.blocks.len() * BLOCK_LEN {
                let block = self.free.pop().expect("`reserve` has made room for every row");
                self.n_users[block] = 1;
                table.blocks.push(block);
            }
            match spans.last_mut() {
                Some(span) if last == Some(row.sequence) => span.rows.end = i + 1,
                _ => spans.push(Span { rows: i..i + 1, first_pos: table.len, blocks: 0..0 }),
            }
            cells.push(table.blocks[table.len / BLOCK_LEN] * BLOCK_LEN + table.len % BLOCK_LEN);
            table.len += 1;
            last = Some(row.sequence);
        }
        for span in spans {
            let table = &self.tables[&batch.rows[span.rows.start].sequence];
            let start = blocks.len();
            blocks.extend(&table.blocks[..span.n_seen().div_ceil(BLOCK_LEN)]);
            span.blocks = start..blocks.len();
        }
        Ok(())
    }

    /// Forgets what `sequence` has from position `len` on; gives how many positions remain. Of a block that another
    /// sequence has too, all or nothing remains, since only whole blocks are shared.
    pub(super) fn truncate(&mut self, sequence: SequenceId, len: usize) -> usize {
        let Some(table) = self.tables.get_mut(&sequence) else { return 0 };
        let len = table.len.min(len);
        let cut = table.blocks.get(len / BLOCK_LEN).is_some_and(|&block| self.n_users[block] > 1);
        table.len = if cut { len / BLOCK_LEN * BLOCK_LEN } else { len };
        let kept = table.len.div_ceil(BLOCK_LEN);
        for block in table.blocks.drain(kept..) {
            self.n_users[block] -= 1;
            if self.n_users[block] == 0 {
                self.free.push(block);
            }
        }
        // The lowest block is the next to be handed out, so that sequences stay contiguous where they can.
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        let len = table.len;
        if len == 0 {
            self.tables.remove(&sequence);
        }
        len
    }

    /// Lets `to`, which has nothing, begin with the whole blocks among the first `len` positions of `from`; gives how
    /// many positions that are.
    pub(super) fn fork(&mut self, from: SequenceId, to: SequenceId, len: usize) -> usize {
        let Some(table) = self.tables.get(&from) else { return 0 };
        let blocks = table.blocks[..len.min(table.len) / BLOCK_LEN].to_vec();
        blocks.iter().for_each(|&block| self.n_users[block] += 1);
        let len = blocks.len() * BLOCK_LEN;
        if len > 0 {
            self.tables.insert(to, Table { blocks, len, n_pending: 0 });
        }
        len
    }

    /// Makes room for every row of `batch`.
    fn reserve(&mut self, batch: &Batch) -> Result<(), ModelError> {
        let (mut n_new, mut longest) = (0, 0);
        for row in &batch.rows {
            let table = self.tables.entry(row.sequence).or_default();
            let pos = table.len + table.n_pending;
            // A table has no block beyond its length, so the first position of a block asks for one.
            n_new += usize::from(pos.is_multiple_of(BLOCK_LEN));
            longest = longest.max(pos + 1);
            table.n_pending += 1;
        }
        for row in &batch.rows {
            self.tables.entry(row.sequence).or_default().n_pending = 0;
        }
        let n_used = self.n_used() + n_new;
        if n_used > self.max_blocks || longest > self.n_ctx {
            self.tables.retain(|_, table| table.len > 0);
            return Err(ModelError::ContextFull { n_ctx: self.n_ctx });
        }
        let n_blocks = self.n_users.len();
        if n_used > n_blocks {
            // Doubling keeps the cost of growing the cache proportional to its size.
            let more = n_used.max(2 * n_blocks).min(self.max_blocks);
            self.free.splice(0..0, (n_blocks..more).rev());
            self.n_users.resize(more, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SequenceId = SequenceId(1);
    const B: SequenceId = SequenceId(2);

    impl Pages {
        fn placed(&mut self, batch: &Batch) -> Result<Layout, ModelError> {
            let mut layout = Layout::default();
            self.place(batch, &mut layout).map(|()| layout)
        }
    }

    #[test]
    fn two_sequences_never_share_a_cell() {
        let mut pages = Pages::new(1024);
        let mut seen = std::collections::HashSet::new();
        for sequence in [A, B, A, B, B] {
            let layout = pages.placed(&Batch::every(sequence, &[0; 40])).expect("fits");
            assert!(layout.cells.iter().all(|&cell| seen.insert(cell)));
        }
        assert_eq!((pages.len(A), pages.len(B)), (80, 120));
    }

    #[test]
    fn what_is_truncated_is_used_again() {
        let mut pages = Pages::new(64);
        let first = pages.placed(&Batch::every(A, &[0; 64])).expect("fits");
        assert!(matches!(pages.placed(&Batch::every(A, &[0])), Err(ModelError::ContextFull { n_ctx: 64 })));
        pages.truncate(A, 10);
        assert_eq!(pages.placed(&Batch::every(A, &[0; 54])).expect("fits").cells, first.cells[10..]);
        pages.truncate(A, 0);
        assert_eq!(pages.placed(&Batch::every(B, &[0; 64])).expect("fits").cells, first.cells);
    }

    #[test]
    fn a_shared_block_is_free_when_nobody_has_it() {
        let mut pages = Pages::new(256);
        pages.placed(&Batch::every(A, &[0; 100])).expect("fits");
        assert_eq!(pages.fork(A, B, 70), 64);
        assert_eq!((pages.len(B), pages.n_free()), (64, 128));
        let layout = pages.placed(&Batch::every(B, &[0; 40])).expect("fits");
        assert_eq!(layout.blocks[..2], [0, 1]);
        assert!(layout.cells.iter().all(|cell| !(0..128).contains(cell)));
        // Cut inside a shared block, all of it must go: what is written next would be the other's.
        assert_eq!(pages.truncate(A, 50), 32);
        assert_eq!(pages.truncate(A, 32), 32);
        assert_eq!((pages.truncate(A, 0), pages.n_free()), (0, 128));
        assert_eq!((pages.truncate(B, 50), pages.truncate(B, 0), pages.n_free()), (50, 0, 256));
        assert_eq!(pages.fork(A, B, 70), 0);
    }

    #[test]
    fn a_batch_that_does_not_fit_leaves_no_trace() {
        let mut pages = Pages::new(64);
        pages.placed(&Batch::every(A, &[0; 33])).expect("fits");
        let mut both = Batch::every(A, &[0; 20]);
        both.rows.extend(Batch::every(B, &[0]).rows);
        assert!(matches!(pages.placed(&both), Err(ModelError::ContextFull { n_ctx: 64 })));
        assert_eq!((pages.len(A), pages.len(B), pages.tables.len()), (33, 0, 1));
        pages.placed(&Batch::every(A, &[0; 31])).expect("fits");
    }

    #[test]
    fn a_lone_sequence_is_contiguous() {
        let mut pages = Pages::new(4096);
        for n in [5, 100, 1, 700] {
            let layout = pages.placed(&Batch::last(A, &vec![0; n])).expect("fits");
            assert_eq!(layout.contiguous_from(&layout.spans[0]), Some(0));
        }
    }
}
