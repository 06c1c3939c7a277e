//! Keys and values in memory, block by block.

use super::{
    crew::{Crew, Desk},
    rope::Turn,
    rows::Rows,
};
use crate::{
    backend::{BLOCK_LEN, CacheShape, Layout},
    kernels::{Cells, CellsMut, n_cell_elements},
};
use std::{mem, ops::Range};

/// How a cache stores its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheType {
    /// As 16-bit floats.
    #[default]
    F16,
    /// As 32-bit floats: twice the room, and what it changes is less than what quantizing the weights changed.
    F32,
}

/// Keys and values of every layer.
#[derive(Debug)]
pub struct Cache {
    shape: CacheShape,
    kind: CacheType,
    /// Each an allocation of its own, so that growing moves nothing.
    blocks: Vec<Block>,
}

/// All layers of one block, (n_layers, n_kv_heads, [`n_cell_elements`]). What reads it takes one head of one layer.
#[derive(Debug)]
enum Block {
    F16(Vec<u16>),
    F32(Vec<f32>),
}

impl Block {
    const EMPTY: Block = Block::F32(Vec::new());

    fn cells(&self, range: Range<usize>) -> Cells<'_> {
        match self {
            Block::F16(data) => Cells::F16(&data[range]),
            Block::F32(data) => Cells::F32(&data[range]),
        }
    }

    fn cells_mut(&mut self, range: Range<usize>) -> CellsMut<'_> {
        match self {
            Block::F16(data) => CellsMut::F16(&mut data[range]),
            Block::F32(data) => CellsMut::F32(&mut data[range]),
        }
    }
}

impl Cache {
    pub(super) fn new(shape: CacheShape, kind: CacheType) -> Cache {
        Cache { shape, kind, blocks: Vec::new() }
    }

    pub(super) fn grow(&mut self, n_blocks: usize) {
        let len = self.shape.n_layers * self.shape.n_kv_heads * n_cell_elements(self.shape.head_dim);
        // Memory that is zero from the start is not touched before it is used.
        let block = || match self.kind {
            CacheType::F16 => Block::F16(vec![0; len]),
            CacheType::F32 => Block::F32(vec![0.0; len]),
        };
        self.blocks.resize_with(n_blocks.max(self.blocks.len()), block);
    }

    /// The keys and values of head `kv_head` of layer `layer` in block `block`.
    pub(super) fn cells(&self, layer: usize, kv_head: usize, block: usize) -> Cells<'_> {
        self.blocks[block].cells(range(&self.shape, layer, kv_head))
    }
}

/// Where in a block the cells of head `kv_head` of layer `layer` lie.
fn range(shape: &CacheShape, layer: usize, kv_head: usize) -> Range<usize> {
    let len = n_cell_elements(shape.head_dim);
    let start = (layer * shape.n_kv_heads + kv_head) * len;
    start..start + len
}

/// Writes the rows of a batch to the cache. Kept, so that a token allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Rows in the order of the cells that they write.
    order: Vec<usize>,
    writes: Vec<Write>,
}

/// What is written to one block, so that one thread writes it.
#[derive(Debug)]
struct Write {
    index: usize,
    /// Taken from the cache while it is written.
    block: Block,
    /// Which rows, as places in the order.
    rows: Range<usize>,
}

/// The keys before their rotation, and the values, of a batch in one layer.
pub(super) struct KeysAndValues<'a> {
    pub(super) layer: usize,
    /// (n_rows, n_kv_heads × head_dim)
    pub(super) keys: &'a Rows,
    /// (n_rows, n_kv_heads × head_dim)
    pub(super) values: &'a Rows,
    pub(super) turn: Turn<'a>,
}

impl Writer {
    /// Sorts the rows of a batch by the blocks that they go to.
    fn plan(&mut self, layout: &Layout) {
        self.order.clear();
        self.order.extend(0..layout.cells.len());
        self.order.sort_unstable_by_key(|&row| layout.cells[row]);
        self.writes.clear();
        for (i, &row) in self.order.iter().enumerate() {
            let index = layout.cells[row] / BLOCK_LEN;
            match self.writes.last_mut() {
                Some(write) if write.index == index => write.rows.end = i + 1,
                _ => self.writes.push(Write { index, block: Block::EMPTY, rows: i..i + 1 }),
            }
        }
    }

    /// Turns the keys of `from` and writes them and its values where `layout` says.
    pub(super) fn write(&mut self, crew: &mut Crew, layout: &Layout, from: &KeysAndValues, cache: &mut Cache) {
        self.plan(layout);
        for write in &mut self.writes {
            write.block = mem::replace(&mut cache.blocks[write.index], Block::EMPTY);
        }
        let (isa, order, shape) = (crew.isa, &self.order, &cache.shape);
        let (pool, desks) = crew.split();
        pool.pieces(&mut self.writes, 1, |thread, _, writes| {
            let Desk { row: key, spare, .. } = &mut *desks.of(thread);
            for Write { block, rows, .. } in writes {
                for &row in &order[rows.clone()] {
                    let pos = layout.cells[row] % BLOCK_LEN;
                    for kv_head in 0..shape.n_kv_heads {
                        let columns = kv_head * shape.head_dim..(kv_head + 1) * shape.head_dim;
                        key.clear();
                        key.extend_from_slice(&from.keys.row(row)[columns.clone()]);
                        from.turn.apply(isa, row, key, spare);
                        let mut cells = block.cells_mut(range(shape, from.layer, kv_head));
                        cells.write(isa, pos, key, &from.values.row(row)[columns]);
                    }
                }
            }
        });
        for write in &mut self.writes {
            cache.blocks[write.index] = mem::replace(&mut write.block, Block::EMPTY);
        }
    }
}
