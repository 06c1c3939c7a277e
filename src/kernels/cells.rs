//! Keys and values of one head in one block of the cache.
//!
//! A block holds [`BLOCK_LEN`] positions: first the keys, element after element with all positions of each, so that a
//! query meets 32 positions at once; then the values, position after position, their rows padded to whole [`Line`]s.

use super::{
    isa::Isa,
    lanes::{Lanes, Line, Task, WIDTH, run},
};

/// Positions in a block.
pub const BLOCK_LEN: usize = 32;

/// Elements of one head's keys and values in a block, each a float of the cache's type.
pub fn n_cell_elements(head_dim: usize) -> usize {
    BLOCK_LEN * (head_dim + head_dim.next_multiple_of(WIDTH))
}

/// One head's keys and values in a block.
#[derive(Clone, Copy, Debug)]
pub enum Cells<'a> {
    /// As bits of 16-bit floats.
    F16(&'a [u16]),
    /// As floats.
    F32(&'a [f32]),
}

/// The same to be written.
#[derive(Debug)]
pub enum CellsMut<'a> {
    /// As bits of 16-bit floats.
    F16(&'a mut [u16]),
    /// As floats.
    F32(&'a mut [f32]),
}

impl CellsMut<'_> {
    /// Writes a key and a value to position `pos` of the block.
    ///
    /// # Panics
    /// If `pos` is not in the block or the key, the value and the cells are not of one size.
    pub fn write(&mut self, isa: Isa, pos: usize, key: &[f32], value: &[f32]) {
        assert!(pos < BLOCK_LEN && key.len() == value.len(), "position {pos} of a block");
        match self {
            CellsMut::F32(cells) => {
                let (keys, row) = at(cells, pos, key.len());
                keys.zip(key).for_each(|(cell, x)| *cell = *x);
                row.copy_from_slice(value);
            }
            CellsMut::F16(cells) => {
                let (keys, row) = at(cells, pos, key.len());
                run(isa, Halve { x: key, put: keys.map(|cell| move |x| *cell = x) });
                run(isa, Halve { x: value, put: row.iter_mut().map(|cell| move |x| *cell = x) });
            }
        }
    }
}

/// Where the elements of the key of `pos` lie, and its row of values.
fn at<T>(cells: &mut [T], pos: usize, head_dim: usize) -> (impl Iterator<Item = &mut T>, &mut [T]) {
    assert_eq!(cells.len(), n_cell_elements(head_dim), "cells of a head of {head_dim}");
    let (keys, values) = cells.split_at_mut(BLOCK_LEN * head_dim);
    let row = pos * head_dim.next_multiple_of(WIDTH);
    (keys.iter_mut().skip(pos).step_by(BLOCK_LEN), &mut values[row..row + head_dim])
}

/// Hands the elements of `x` as 16-bit floats to what takes each.
struct Halve<'a, I> {
    x: &'a [f32],
    put: I,
}

impl<P: FnMut(u16), I: Iterator<Item = P>> Task for Halve<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        for x in self.x.chunks(WIDTH) {
            let (mut padded, mut halves) = ([0.0; WIDTH], [0; WIDTH]);
            padded[..x.len()].copy_from_slice(x);
            L::load(&padded).store_f16(&mut halves);
            halves[..x.len()].iter().zip(&mut self.put).for_each(|(half, mut put)| put(*half));
        }
    }
}

impl Cells<'_> {
    /// Writes all of it to `lines` as floats, and asks for the lines of `next`, which will be read next.
    #[inline(always)]
    pub(super) fn unpack<L: Lanes>(&self, next: &Cells, lines: &mut [Line]) {
        match (self, next) {
            (Cells::F16(cells), Cells::F16(next)) => unpack(
                cells,
                next,
                lines,
                |x, line| {
                    L::load_f16(x).store(&mut line.0);
                },
                L::prefetch,
            ),
            (Cells::F32(cells), Cells::F32(next)) => unpack(
                cells,
                next,
                lines,
                |x, line| {
                    L::load(x).store(&mut line.0);
                },
                L::prefetch,
            ),
            _ => unreachable!("the blocks of a cache are of one type"),
        }
    }
}

#[inline(always)]
fn unpack<T>(
    cells: &[T],
    next: &[T],
    lines: &mut [Line],
    convert: impl Fn(&[T; WIDTH], &mut Line),
    prefetch: impl Fn(&T),
) {
    // A cache line holds 32 elements of 16 bits, or 16 of 32.
    let per_cache_line = 64 / size_of::<T>();
    next.iter().step_by(per_cache_line).for_each(prefetch);
    for (x, line) in cells.as_chunks().0.iter().zip(lines) {
        convert(x, line);
    }
}
