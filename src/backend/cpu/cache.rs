//! Keys and values in memory, block by block.

use super::{
    crew::{Crew, Desk},
    rope::Turn,
    rows::Rows,
};
use crate::{
    backend::{BLOCK_LEN, CacheShape, Layout},
    kernels::{Cells, CellsMut, n_cell_elements, n_cell_scales},
};
use std::{fmt, mem, ops::Range, str::FromStr};

/// How a cache stores its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheType {
    /// As 16-bit floats.
    #[default]
    F16,
    /// As 32-bit floats: twice the room, and what it changes is less than what quantizing the weights changed.
    F32,
    /// As 8-bit integers with a 16-bit scale for each 32 elements of a key or a value: about half the room.
    Q8_0,
}

impl CacheType {
    /// Every type, the most exact first.
    pub const ALL: [CacheType; 3] = [CacheType::F32, CacheType::F16, CacheType::Q8_0];

    /// Bytes of a block of a cache of this shape.
    pub fn block_bytes(self, shape: &CacheShape) -> usize {
        let CacheShape { n_layers, n_kv_heads, head_dim } = *shape;
        let cells = n_cell_elements(head_dim);
        let head_bytes = match self {
            CacheType::F16 => cells * size_of::<u16>(),
            CacheType::F32 => cells * size_of::<f32>(),
            CacheType::Q8_0 => cells + n_cell_scales(head_dim) * size_of::<u16>(),
        };
        n_layers * n_kv_heads * head_bytes
    }
}

impl FromStr for CacheType {
    type Err = String;

    fn from_str(text: &str) -> Result<CacheType, String> {
        let found = CacheType::ALL.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| "expected f16, f32 or q8_0".into())
    }
}

impl fmt::Display for CacheType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CacheType::F16 => "f16",
            CacheType::F32 => "f32",
            CacheType::Q8_0 => "q8_0",
        })
    }
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
    /// With scales, (n_layers, n_kv_heads, [`n_cell_scales`]).
    Q8_0(Vec<i8>, Vec<u16>),
}

impl Block {
    const EMPTY: Block = Block::F32(Vec::new());

    /// The cells of head `head`, counted over all layers.
    fn cells(&self, head: usize, head_dim: usize) -> Cells<'_> {
        let range = part(head, n_cell_elements(head_dim));
        match self {
            Block::F16(data) => Cells::F16(&data[range]),
            Block::F32(data) => Cells::F32(&data[range]),
            Block::Q8_0(data, scales) => Cells::Q8_0(&data[range], &scales[part(head, n_cell_scales(head_dim))]),
        }
    }

    fn cells_mut(&mut self, head: usize, head_dim: usize) -> CellsMut<'_> {
        let range = part(head, n_cell_elements(head_dim));
        match self {
            Block::F16(data) => CellsMut::F16(&mut data[range]),
            Block::F32(data) => CellsMut::F32(&mut data[range]),
            Block::Q8_0(data, scales) => {
                CellsMut::Q8_0(&mut data[range], &mut scales[part(head, n_cell_scales(head_dim))])
            }
        }
    }
}

/// Part `i` of what is cut into parts of `len`.
fn part(i: usize, len: usize) -> Range<usize> {
    i * len..(i + 1) * len
}

impl Cache {
    pub(super) fn new(shape: CacheShape, kind: CacheType) -> Cache {
        Cache { shape, kind, blocks: Vec::new() }
    }

    pub(super) fn grow(&mut self, n_blocks: usize) {
        let CacheShape { n_layers, n_kv_heads, head_dim } = self.shape;
        let n_heads = n_layers * n_kv_heads;
        let len = n_heads * n_cell_elements(head_dim);
        // Memory that is zero from the start is not touched before it is used.
        let block = || match self.kind {
            CacheType::F16 => Block::F16(vec![0; len]),
            CacheType::F32 => Block::F32(vec![0.0; len]),
            CacheType::Q8_0 => Block::Q8_0(vec![0; len], vec![0; n_heads * n_cell_scales(head_dim)]),
        };
        self.blocks.resize_with(n_blocks.max(self.blocks.len()), block);
    }

    /// The keys and values of head `kv_head` of layer `layer` in block `block`.
    pub(super) fn cells(&self, layer: usize, kv_head: usize, block: usize) -> Cells<'_> {
        self.blocks[block].cells(layer * self.shape.n_kv_heads + kv_head, self.shape.head_dim)
    }
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
                        let mut cells = block.cells_mut(from.layer * shape.n_kv_heads + kv_head, shape.head_dim);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_size_that_its_type_says() {
        let shape = CacheShape { n_layers: 3, n_kv_heads: 2, head_dim: 80 };
        for kind in CacheType::ALL {
            let mut cache = Cache::new(shape, kind);
            cache.grow(1);
            let n_bytes = match &cache.blocks[0] {
                Block::F16(data) => size_of_val(&data[..]),
                Block::F32(data) => size_of_val(&data[..]),
                Block::Q8_0(data, scales) => size_of_val(&data[..]) + size_of_val(&scales[..]),
            };
            assert_eq!(kind.block_bytes(&shape), n_bytes, "{kind}");
        }
        let [_, f16, q8_0] = CacheType::ALL.map(|kind| kind.block_bytes(&shape));
        assert!(q8_0 * 100 < f16 * 54, "{q8_0} beside {f16} bytes");
    }
}
