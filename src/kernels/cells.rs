//! Keys and values of one head in one block of the cache.
//!
//! A block holds [`BLOCK_LEN`] positions: first the keys, element after element with all positions of each, so that a
//! query meets 32 positions at once; then the values, position after position, their rows padded to whole [`Line`]s.
//! Integers have a scale for every [`GROUP_LEN`] elements of a key or a value: those of the keys, group after group with
//! all positions of each, then those of the values alike.

use super::{
    isa::Isa,
    lanes::{Lanes, Line, Task, WIDTH, run},
};
use half::f16;

/// Positions in a block.
pub const BLOCK_LEN: usize = 32;

/// Elements of a key or a value that share a scale, in a cache of integers.
pub(super) const GROUP_LEN: usize = 32;

/// Elements of one head's keys and values in a block, each a number of the cache's type.
pub(crate) fn n_cell_elements(head_dim: usize) -> usize {
    BLOCK_LEN * (head_dim + head_dim.next_multiple_of(WIDTH))
}

/// Scales of one head's keys and values in a block, in a cache of integers.
pub(crate) fn n_cell_scales(head_dim: usize) -> usize {
    2 * BLOCK_LEN * head_dim.div_ceil(GROUP_LEN)
}

/// One head's keys and values in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cells<'a> {
    /// As bits of 16-bit floats.
    F16(&'a [u16]),
    /// As floats.
    F32(&'a [f32]),
    /// As integers with scales, these as bits of 16-bit floats.
    Q8_0(&'a [i8], &'a [u16]),
}

/// The same to be written.
#[derive(Debug)]
pub(crate) enum CellsMut<'a> {
    /// As bits of 16-bit floats.
    F16(&'a mut [u16]),
    /// As floats.
    F32(&'a mut [f32]),
    /// As integers with scales, these as bits of 16-bit floats.
    Q8_0(&'a mut [i8], &'a mut [u16]),
}

impl CellsMut<'_> {
    /// Writes a key and a value to position `pos` of the block.
    ///
    /// # Panics
    /// If `pos` is not in the block or the key, the value and the cells are not of one size.
    pub(crate) fn write(&mut self, isa: Isa, pos: usize, key: &[f32], value: &[f32]) {
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
            CellsMut::Q8_0(cells, scales) => {
                assert_eq!(scales.len(), n_cell_scales(key.len()), "scales of a head of {}", key.len());
                let (mut keys, row) = at(cells, pos, key.len());
                let mut scales = scales.iter_mut().skip(pos).step_by(BLOCK_LEN);
                for group in key.chunks(GROUP_LEN) {
                    let codes = run(isa, Quantize { x: group, scale: scales.next() });
                    keys.by_ref().zip(&codes[..group.len()]).for_each(|(cell, code)| *cell = *code);
                }
                for (group, row) in value.chunks(GROUP_LEN).zip(row.chunks_mut(GROUP_LEN)) {
                    let codes = run(isa, Quantize { x: group, scale: scales.next() });
                    row.copy_from_slice(&codes[..group.len()]);
                }
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
        let (whole, rest) = self.x.as_chunks();
        let mut last = [0.0; WIDTH];
        last[..rest.len()].copy_from_slice(rest);
        for x in whole.iter().chain([&last]) {
            let mut halves = [0; WIDTH];
            L::load(x).store_f16(&mut halves);
            // What fills up the last finds no place to go.
            halves.iter().zip(&mut self.put).for_each(|(half, mut put)| put(*half));
        }
    }
}

/// Makes integers of a group of elements, and puts their scale where it belongs.
struct Quantize<'a> {
    /// At most [`GROUP_LEN`].
    x: &'a [f32],
    scale: Option<&'a mut u16>,
}

impl Task for Quantize<'_> {
    type Output = [i8; GROUP_LEN];

    #[inline(always)]
    fn run<L: Lanes>(self) -> [i8; GROUP_LEN] {
        const MOST: f32 = 127.0;
        // A float this large has no fraction bits, so that adding it rounds; its lowest bits are then the integer.
        const ROUND: f32 = 12_582_912.0;
        let mut group = [0.0; GROUP_LEN];
        group[..self.x.len()].copy_from_slice(self.x);
        let zero = L::splat(0.0);
        let (mut greatest, mut damage) = (zero, zero);
        for x in group.as_chunks().0 {
            let x = L::load(x);
            greatest = x.max(zero.sub(x)).max(greatest);
            damage = x.mul_add(zero, damage);
        }
        // What is not finite makes the scale not a number, so that it shows in the end.
        let scale = f16::from_f32((greatest.greatest() / MOST).min(f16::MAX.to_f32()) + damage.sum());
        let inverse = if scale == f16::ZERO { 0.0 } else { scale.to_f32().recip() };
        for x in group.as_chunks_mut().0 {
            let code = L::load(x).mul(L::splat(inverse)).max(L::splat(-MOST)).min(L::splat(MOST));
            code.add(L::splat(ROUND)).store(x);
        }
        if let Some(place) = self.scale {
            *place = scale.to_bits();
        }
        group.map(|x| x.to_bits() as i8)
    }
}

/// Sixteen elements of a cache, or of a copy of it.
pub(super) trait Sixteen: Copy {
    /// Whether it comes from memory and not from the nearest cache.
    const IS_FAR: bool = true;

    fn load<L: Lanes>(&self) -> L;
}

impl Sixteen for [u16; WIDTH] {
    #[inline(always)]
    fn load<L: Lanes>(&self) -> L {
        L::load_f16(self)
    }
}

impl Sixteen for [f32; WIDTH] {
    #[inline(always)]
    fn load<L: Lanes>(&self) -> L {
        L::load(self)
    }
}

impl Sixteen for [i8; WIDTH] {
    #[inline(always)]
    fn load<L: Lanes>(&self) -> L {
        L::load_i8(self)
    }
}

impl Sixteen for Line {
    const IS_FAR: bool = false;

    #[inline(always)]
    fn load<L: Lanes>(&self) -> L {
        L::load(&self.0)
    }
}

/// Writes `cells` to `lines` as floats, and asks for `next` meanwhile. Gives the lines written.
#[inline(always)]
pub(super) fn unpack<'a, L: Lanes, S: Sixteen>(cells: &[S], next: &[S], lines: &'a mut [Line]) -> &'a [Line] {
    let lines = &mut lines[..cells.len()];
    for (i, (cell, line)) in cells.iter().zip(&mut *lines).enumerate() {
        ask::<L, S>(next, i);
        cell.load::<L>().store(&mut line.0);
    }
    lines
}

/// Asks for cell `at`, which will be used later; once for all that share a line of memory.
#[inline(always)]
pub(super) fn ask<L: Lanes, S: Sixteen>(cells: &[S], at: usize) {
    let is_first = S::IS_FAR && at.is_multiple_of(size_of::<Line>() / size_of::<S>());
    if let Some(cell) = cells.get(at).filter(|_| is_first) {
        L::prefetch(cell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the value at position `pos`, as floats.
    fn read(codes: &[i8], scales: &[u16], head_dim: usize, pos: usize) -> (Vec<f32>, Vec<f32>) {
        let scale = |group: usize| f16::from_bits(scales[group * BLOCK_LEN + pos]).to_f32();
        let n_groups = head_dim.div_ceil(GROUP_LEN);
        let key = |i: usize| f32::from(codes[i * BLOCK_LEN + pos]) * scale(i / GROUP_LEN);
        let row = BLOCK_LEN * head_dim + pos * head_dim.next_multiple_of(WIDTH);
        let value = |i: usize| f32::from(codes[row + i]) * scale(n_groups + i / GROUP_LEN);
        ((0..head_dim).map(key).collect(), (0..head_dim).map(value).collect())
    }

    #[test]
    fn integers_are_as_close_as_their_scales_allow() {
        for head_dim in [2, 20, 32, 64, 80, 128] {
            let mut codes = vec![0; n_cell_elements(head_dim)];
            let mut scales = vec![0; n_cell_scales(head_dim)];
            let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.0 - 1.0;
            for pos in [0, 7, 31] {
                let key: Vec<f32> = (0..head_dim).map(|i| number(i + pos) * [1e-2, 1.0, 1e3][i / 32 % 3]).collect();
                let value: Vec<f32> = (0..head_dim).map(|i| number(3 * i + pos)).collect();
                for isa in Isa::available() {
                    CellsMut::Q8_0(&mut codes, &mut scales).write(isa, pos, &key, &value);
                    let (found_key, found_value) = read(&codes, &scales, head_dim, pos);
                    for (x, found) in [(&key, found_key), (&value, found_value)] {
                        for (x, found) in x.chunks(GROUP_LEN).zip(found.chunks(GROUP_LEN)) {
                            let greatest = x.iter().fold(0.0, |a: f32, x| a.max(x.abs()));
                            // Half a step, and what the rounding of the scale adds.
                            let limit = greatest / 127.0 * 0.57;
                            let close = x.iter().zip(found).all(|(x, found)| (x - found).abs() <= limit);
                            assert!(close, "{head_dim} elements at {pos}, {}: {x:?} is {found:?}", isa.name());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn zeros_stay_zeros_and_what_is_not_finite_shows() {
        let mut codes = vec![0; n_cell_elements(64)];
        let mut scales = vec![0; n_cell_scales(64)];
        for isa in Isa::available() {
            let mut write = |x: [f32; 64]| {
                CellsMut::Q8_0(&mut codes, &mut scales).write(isa, 3, &x, &x);
                read(&codes, &scales, 64, 3).0
            };
            assert_eq!(write([0.0; 64]), [0.0; 64]);
            assert_eq!(write([1e-30; 64]), [0.0; 64]);
            assert!(write([1e30; 64]).iter().all(|x| x.is_finite() && *x > 1e6));
            for damage in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = [1.0; 64];
                x[40] = damage;
                let found = write(x);
                assert!(found[..32].iter().all(|x| (x - 1.0).abs() < 1e-3) && found[32..].iter().all(|x| x.is_nan()));
            }
        }
    }
}
