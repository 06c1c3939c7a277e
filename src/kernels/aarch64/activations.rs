//! Rows of activations in tiles, for products with many of them.

use super::dot::Dot;
use super::interleave;
use super::memory::load_signed;
use crate::kernels::Rows;
use crate::kernels::kind::{has_minima, sums_of_16, sums_of_32};
use crate::tensor::Dtype;
use std::arch::aarch64::*;
use std::array::from_fn;

/// Rows of activations: tiles of four, one of two where no more than two remain; the last row stands for one that is
/// missing there, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Activations {
    /// Of each tile, for each 16 activations those of all its rows, interleaved. What follows the last tile here and
    /// below is left from before.
    pub(super) q: Vec<int8x16_t>,
    /// Of each tile, for each block the scale of each row.
    pub(super) scales: Vec<f32>,
    /// For blocks of 32 with minima, of each tile and block the sum of the activations of each row.
    pub(super) sums: Vec<f32>,
    /// For superblocks with minima, of each tile and superblock the sums of 16 activations, negated: a low part of all
    /// rows, interleaved, and a high part, which counts 128 times.
    pub(super) parts: Vec<int8x16_t>,
    /// Rows of all tiles.
    pub(super) n_rows: usize,
}

impl Activations {
    /// Fills it with the rows of `x`, for weights of type `dtype`.
    #[target_feature(enable = "neon")]
    pub(super) fn fill<D: Dot>(&mut self, dtype: Dtype, x: &Rows) {
        let (width, block_len) = (x.width(), dtype.block_len());
        self.n_rows = x.n_rows().next_multiple_of(2);
        self.q.resize(self.n_rows * (width / 16), vdupq_n_s8(0));
        self.scales.resize(self.n_rows * (width / block_len), 0.0);
        if has_minima(dtype) && block_len == 32 {
            self.sums.resize(self.n_rows * (width / 32), 0.0);
        } else if has_minima(dtype) {
            self.parts.resize(self.n_rows * (width / 128), vdupq_n_s8(0));
        }
        for row in (0..self.n_rows).step_by(4) {
            match self.n_rows - row {
                2 => self.fill_tile::<D, 2>(dtype, x, row),
                _ => self.fill_tile::<D, 4>(dtype, x, row),
            }
        }
    }

    #[target_feature(enable = "neon")]
    fn fill_tile<D: Dot, const R: usize>(&mut self, dtype: Dtype, x: &Rows, first: usize) {
        let layout = x.form().layout(x.width());
        let index: [usize; R] = from_fn(|r| (first + r).min(x.n_rows() - 1));
        let n = x.width() / 16;
        let rows: [&[[u8; 16]]; R] = index.map(|row| &x.row(row).as_chunks().0[..n]);
        for (i, out) in self.q[first * n..].as_chunks_mut::<R>().0.iter_mut().take(n).enumerate() {
            let mut x = [vdupq_n_s8(0); R];
            for (x, row) in x.iter_mut().zip(rows) {
                *x = load_signed(&row[i]);
            }
            *out = interleave::activations::<D, R>(x);
        }
        let n = x.width() / dtype.block_len();
        let scales: [&[[u8; 4]]; R] = index.map(|row| &x.row(row)[layout.scales..].as_chunks().0[..n]);
        for (i, out) in self.scales[first * n..].as_chunks_mut::<R>().0.iter_mut().take(n).enumerate() {
            *out = scales.map(|row| f32::from_le_bytes(row[i]));
        }
        if has_minima(dtype) {
            let sums = index.map(|row| sums_of_16(x, row));
            match dtype.block_len() {
                32 => self.fill_sums(first, sums),
                _ => self.fill_parts::<D, R>(first, sums),
            }
        }
    }

    fn fill_sums<const R: usize>(&mut self, first: usize, sums: [&[[u8; 2]]; R]) {
        let n = sums[0].len() / 2;
        let mut sums = sums.map(sums_of_32);
        for out in self.sums[first * n..].as_chunks_mut::<R>().0.iter_mut().take(n) {
            *out = sums.each_mut().map(|sums| sums.next().map_or(0.0, f32::from));
        }
    }

    #[target_feature(enable = "neon")]
    fn fill_parts<D: Dot, const R: usize>(&mut self, first: usize, sums: [&[[u8; 2]]; R]) {
        let n = sums[0].len() / 16;
        let sums: [&[[[u8; 2]; 16]]; R] = sums.map(|sums| &sums.as_chunks().0[..n]);
        let out = self.parts[first * n * 2..].as_chunks_mut::<R>().0.as_chunks_mut::<2>().0;
        for (i, [low, high]) in out.iter_mut().take(n).enumerate() {
            let mut parts = [[vdupq_n_s8(0); R]; 2];
            for r in 0..R {
                [parts[0][r], parts[1][r]] = split(&sums[r][i]);
            }
            *low = interleave::activations::<D, R>(parts[0]);
            *high = interleave::activations::<D, R>(parts[1]);
        }
    }
}

/// Bytes that make the negated sums: the second ones times 128 plus the first ones.
#[target_feature(enable = "neon")]
fn split(sums: &[[u8; 2]; 16]) -> [int8x16_t; 2] {
    let (mut low, mut high) = ([0; 16], [0; 16]);
    for ((sum, low), high) in sums.iter().zip(&mut low).zip(&mut high) {
        let sum = -i32::from(i16::from_le_bytes(*sum));
        let rest = ((sum + 64) & 127) - 64;
        (*low, *high) = (rest as u8, ((sum - rest) / 128) as u8);
    }
    [load_signed(&low), load_signed(&high)]
}
