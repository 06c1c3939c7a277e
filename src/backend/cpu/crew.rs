//! The threads that compute, each with a desk of its own.

use crate::kernels::{Attention, Columns, Cut, Isa, Pool, Scratch, Tile};
use std::sync::{Mutex, MutexGuard};

/// Tiles for each thread to take: enough that a thread which is held up does not hold up the others.
const TILES_PER_THREAD: usize = 8;

/// Outputs of a tile are a multiple of this, so that kernels work on whole panels.
const PANEL: usize = 64;

/// Rows that a thread takes at a time where each is little work: fewer are not worth waking a thread for.
pub(super) const ROWS_PER_PIECE: usize = 8;

/// Threads and the instruction set that they use.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) isa: Isa,
    pub(super) pool: Pool,
    desks: Desks,
}

/// One desk for each thread.
#[derive(Debug)]
pub(super) struct Desks(Vec<Mutex<Desk>>);

/// Memory for one thread to work in, kept so that a token allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) product: Scratch,
    pub(super) attention: Attention,
    /// A row or a head on its way.
    pub(super) row: Vec<f32>,
    pub(super) spare: Vec<f32>,
}

impl Desks {
    /// The desk of thread `thread`.
    pub(super) fn of(&self, thread: usize) -> MutexGuard<'_, Desk> {
        // What lies on a desk is written before it is read, so a panic leaves nothing that could do harm.
        self.0[thread].lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Crew {
    pub(super) fn new(isa: Isa, n_threads: usize) -> std::io::Result<Crew> {
        let pool = Pool::new(n_threads)?;
        let desks = Desks((0..pool.n_threads()).map(|_| Mutex::default()).collect());
        Ok(Crew { isa, pool, desks })
    }

    /// The threads and the desks at which they work.
    pub(super) fn split(&mut self) -> (&mut Pool, &Desks) {
        (&mut self.pool, &self.desks)
    }

    /// Shares the columns of the matrices of every group among the threads; see [`Pool::tiles`].
    pub(super) fn columns<const N: usize>(
        &mut self,
        groups: &mut [[Columns; N]],
        work: impl Fn(&mut Desk, Tile<N>) + Sync,
    ) {
        let n_rows = groups.first().map_or(0, |group| group[0].n_rows());
        let n_columns: usize = groups.iter().map(|group| group[0].range().len()).sum();
        let n_tiles = match self.pool.n_threads() {
            1 => 1,
            n => n * TILES_PER_THREAD,
        };
        let n_columns = n_columns.div_ceil(n_tiles).next_multiple_of(PANEL);
        let desks = &self.desks;
        let cut = Cut { rows: &[0, n_rows], n_columns };
        self.pool.tiles(groups, cut, |thread, tile| work(&mut desks.of(thread), tile));
    }
}
