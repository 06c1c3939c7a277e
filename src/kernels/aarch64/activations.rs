//! Rows of activations in tiles, for products with many of them.

use super::dot::Dot;
use super::interleave;
use super::memory::load_signed;
use crate::kernels::Rows;
use crate::kernels::kind::{has_minima, sums_of_16, sums_of_32};
use crate::tensor::Dtype;
use std::arch::aarch64::*;

/// Rows of activations: tiles of four, one of two where no more than two remain, and rows of zeros to fill the last.
#[derive(Clone, Debug, Default)]
pub(super) struct Activations {
    /// Of each tile, for each 16 activations those of all its rows, interleaved.
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
        self.q.clear();
        self.scales.clear();
        self.sums.clear();
        self.parts.clear();
        self.n_rows = 0;
        while self.n_rows < x.n_rows() {
            match x.n_rows() - self.n_rows {
                1 | 2 => self.push_tile::<D, 2>(dtype, x),
                _ => self.push_tile::<D, 4>(dtype, x),
            }
        }
    }

    #[target_feature(enable = "neon")]
    fn push_tile<D: Dot, const R: usize>(&mut self, dtype: Dtype, x: &Rows) {
        let (layout, first) = (x.form().layout(x.width()), self.n_rows);
        let row = |r: usize| (first + r < x.n_rows()).then(|| x.row(first + r));
        let rows: [&[[u8; 16]]; R] =
            std::array::from_fn(|r| row(r).map_or(&[][..], |row| row[..layout.scales].as_chunks().0));
        for i in 0..rows[0].len() {
            let mut x = [vdupq_n_s8(0); R];
            for (x, row) in x.iter_mut().zip(rows) {
                if let Some(row) = row.get(i) {
                    *x = load_signed(row);
                }
            }
            self.q.extend(interleave::activations::<D, R>(x));
        }
        let scales: [&[[u8; 4]]; R] =
            std::array::from_fn(|r| row(r).map_or(&[][..], |row| row[layout.scales..layout.sums].as_chunks().0));
        for i in 0..scales[0].len() {
            self.scales.extend(scales.map(|row| row.get(i).map_or(0.0, |scale| f32::from_le_bytes(*scale))));
        }
        if has_minima(dtype) {
            self.push_sums::<D, R>(dtype, x);
        }
        self.n_rows += R;
    }

    #[target_feature(enable = "neon")]
    fn push_sums<D: Dot, const R: usize>(&mut self, dtype: Dtype, x: &Rows) {
        let first = self.n_rows;
        let rows: [&[[u8; 2]]; R] =
            std::array::from_fn(|r| if first + r < x.n_rows() { sums_of_16(x, first + r) } else { &[] });
        if dtype.block_len() == 32 {
            let mut rows = rows.map(sums_of_32);
            for _ in 0..x.width() / 32 {
                self.sums.extend(rows.each_mut().map(|row| row.next().map_or(0.0, f32::from)));
            }
            return;
        }
        for i in 0..x.width() / 256 {
            let mut parts = [[vdupq_n_s8(0); R]; 2];
            for (r, row) in rows.iter().enumerate() {
                if let Some(sums) = row.as_chunks().0.get(i) {
                    [parts[0][r], parts[1][r]] = split(sums);
                }
            }
            for part in parts {
                self.parts.extend(interleave::activations::<D, R>(part));
            }
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
