//! Panels: 256 weights of each of 32 outputs, unpacked and interleaved.

use super::dot::Dot;
use super::few::scales_of_four;
use super::memory::prefetch;
use super::{blocks, interleave, superblocks};
use crate::kernels::kind::{Block, group, has_minima};
use std::arch::aarch64::*;

/// Outputs in a strip.
pub(super) const WIDTH: usize = 8;
/// Strips in a panel, which the innermost cache holds with a tile of activations.
pub(super) const STRIPS: usize = 4;
/// Weights of each output.
pub(super) const DEPTH: usize = 256;

/// The weights of eight outputs. What is there for each output is laid out by [`interleave::of_outputs`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Strip {
    /// For each 16 weights, those of all outputs.
    pub(super) q: [[int8x16_t; 8]; DEPTH / 16],
    /// Of superblocks the scale of each group.
    pub(super) scales: [[[int32x4_t; 2]; 2]; 16],
    /// Of superblocks the minima of each 16 weights, interleaved as weights are.
    pub(super) minima: [int8x16_t; 8],
    /// The scale of each block, the first one only for superblocks.
    pub(super) d: [[[float32x4_t; 2]; 2]; DEPTH / 32],
    /// The scale of the minima of each block.
    pub(super) dmin: [[[float32x4_t; 2]; 2]; DEPTH / 32],
}

impl Strip {
    /// A strip of zeros.
    #[target_feature(enable = "neon")]
    pub(super) fn new() -> Strip {
        let (zero, zeros) = (vdupq_n_s8(0), [[vdupq_n_f32(0.0); 2]; 2]);
        Strip {
            q: [[zero; 8]; 16],
            scales: [[[vdupq_n_s32(0); 2]; 2]; 16],
            minima: [zero; 8],
            d: [zeros; 8],
            dmin: [zeros; 8],
        }
    }

    /// Unpacks the blocks `first..first + n` of each of eight rows, and asks for those that lie `ahead` blocks after them.
    #[target_feature(enable = "neon")]
    pub(super) fn fill<D: Dot, B: Block>(&mut self, rows: &[&[B]; WIDTH], first: usize, n: usize, ahead: usize) {
        let mut parts = [&rows[0][..0]; WIDTH];
        for (part, row) in parts.iter_mut().zip(rows) {
            *part = &row[first..first + n];
            for block in *part {
                prefetch::<B, 0>(std::ptr::from_ref(block).wrapping_add(ahead));
            }
        }
        for b in 0..n {
            let mut halves = [(vdupq_n_f32(0.0), vdupq_n_f32(0.0)); 2];
            for (h, parts) in parts.as_chunks::<4>().0.iter().enumerate() {
                let four = [&parts[0][b], &parts[1][b], &parts[2][b], &parts[3][b]];
                halves[h] = scales_of_four(four);
                if B::DTYPE.block_len() == 32 {
                    self.fill_block::<D, B>(b, h, four);
                } else {
                    self.fill_part::<D, B, 0>(h, four);
                    self.fill_part::<D, B, 1>(h, four);
                    self.fill_part::<D, B, 2>(h, four);
                    self.fill_part::<D, B, 3>(h, four);
                }
            }
            self.d[b] = of_outputs::<D>([halves[0].0, halves[1].0]);
            if has_minima(B::DTYPE) {
                self.dmin[b] = of_outputs::<D>([halves[0].1, halves[1].1]);
            }
            if B::DTYPE.block_len() > 32 {
                let mut eight = [&parts[0][b]; WIDTH];
                for (block, part) in eight.iter_mut().zip(parts) {
                    *block = &part[b];
                }
                self.fill_factors::<D, B>(eight);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn fill_block<D: Dot, B: Block>(&mut self, b: usize, h: usize, four: [&B; 4]) {
        let mut q = [[vdupq_n_s8(0); 2]; 4];
        for (q, block) in q.iter_mut().zip(four) {
            *q = blocks::unpack(block);
        }
        for i in 0..2 {
            self.put::<D>(2 * b + i, h, [q[0][i], q[1][i], q[2][i], q[3][i]]);
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn fill_part<D: Dot, B: Block, const J: usize>(&mut self, h: usize, four: [&B; 4]) {
        let mut q = [[vdupq_n_s8(0); 4]; 4];
        for (q, block) in q.iter_mut().zip(four) {
            *q = superblocks::unpack::<B, J>(block);
        }
        for i in 0..4 {
            self.put::<D>(4 * J + i, h, [q[0][i], q[1][i], q[2][i], q[3][i]]);
        }
    }

    /// Puts weights `16 * i..` of outputs `4 * h..` where they belong.
    #[inline]
    #[target_feature(enable = "neon")]
    fn put<D: Dot>(&mut self, i: usize, h: usize, q: [int8x16_t; 4]) {
        spread(&mut self.q[i], h, interleave::weights::<D>(q));
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn fill_factors<D: Dot, B: Block>(&mut self, eight: [&B; WIDTH]) {
        let (mut scales, mut minima) = ([vdupq_n_s8(0); WIDTH], [vdupq_n_s8(0); WIDTH]);
        for (i, block) in eight.into_iter().enumerate() {
            let factors = superblocks::factors(block);
            scales[i] = factors.scales;
            // A group of 32 has two sums of 16 activations.
            let twice = vzip1q_s8(factors.minima, factors.minima);
            minima[i] = if group(B::DTYPE) == 32 { twice } else { factors.minima };
        }
        let scales = transpose(scales);
        for (g, out) in self.scales.iter_mut().enumerate().take(DEPTH / group(B::DTYPE)) {
            let two = scales[g / 2];
            let words = if g % 2 == 0 { vmovl_s8(vget_low_s8(two)) } else { vmovl_high_s8(two) };
            *out = interleave::of_outputs::<D>([vmovl_s16(vget_low_s16(words)), vmovl_high_s16(words)]);
        }
        if has_minima(B::DTYPE) {
            for (h, minima) in minima.as_chunks().0.iter().enumerate() {
                spread(&mut self.minima, h, interleave::weights::<D>(*minima));
            }
        }
    }
}

#[inline]
fn spread(all: &mut [int8x16_t; 8], h: usize, [a, b, c, d]: [int8x16_t; 4]) {
    (all[2 * h], all[2 * h + 1], all[4 + 2 * h], all[5 + 2 * h]) = (a, b, c, d);
}

#[inline]
#[target_feature(enable = "neon")]
fn of_outputs<D: Dot>(x: [float32x4_t; 2]) -> [[float32x4_t; 2]; 2] {
    let halves = interleave::of_outputs::<D>([vreinterpretq_s32_f32(x[0]), vreinterpretq_s32_f32(x[1])]);
    let mut floats = [x; 2];
    for (floats, half) in floats.iter_mut().zip(halves) {
        *floats = [vreinterpretq_f32_s32(half[0]), vreinterpretq_f32_s32(half[1])];
    }
    floats
}

/// Byte `i` of vector `j` becomes byte `8 * (i % 2) + j` of vector `i / 2`.
#[inline]
#[target_feature(enable = "neon")]
fn transpose([a, b, c, d, e, f, g, h]: [int8x16_t; 8]) -> [int8x16_t; 8] {
    let ([ae, ae_high], [bf, bf_high]) = (zip(a, e), zip(b, f));
    let ([cg, cg_high], [dh, dh_high]) = (zip(c, g), zip(d, h));
    let ([aceg, aceg_4], [bdfh, bdfh_4]) = (zip(ae, cg), zip(bf, dh));
    let ([aceg_8, aceg_12], [bdfh_8, bdfh_12]) = (zip(ae_high, cg_high), zip(bf_high, dh_high));
    let ([p, q], [r, s]) = (zip(aceg, bdfh), zip(aceg_4, bdfh_4));
    let ([t, u], [v, w]) = (zip(aceg_8, bdfh_8), zip(aceg_12, bdfh_12));
    [p, q, r, s, t, u, v, w]
}

#[inline]
#[target_feature(enable = "neon")]
fn zip(x: int8x16_t, y: int8x16_t) -> [int8x16_t; 2] {
    [vzip1q_s8(x, y), vzip2q_s8(x, y)]
}
