//! Products with many rows of activations: panels of weights are unpacked once and stay in the innermost cache while all
//! rows pass, in tiles of eight outputs and four rows.

use super::Scratch;
use super::activations::Activations;
use super::dot::{Dot, Sums};
use super::interleave;
use super::memory::store;
use super::panel::{DEPTH, STRIPS, Strip, WIDTH};
use crate::kernels::kind::{Block, group, has_minima};
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use std::arch::aarch64::*;
use std::array::from_fn;

/// Strips of the panels that take turns, so that a part of the activations comes from the second cache more often than
/// from farther.
const TURNS: usize = 4 * STRIPS;

/// Results of `R` rows and eight outputs, in the order of [`Dot::SQUARES`].
type Totals<const R: usize> = [[float32x4_t; 2]; R];

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "neon")]
pub(super) fn product<D: Dot, B: Block>(weights: &Weights, x: &Rows, mut out: Columns, scratch: &mut Scratch) {
    let Scratch { activations, strips, totals } = scratch;
    activations.fill::<D>(B::DTYPE, x);
    strips.resize(STRIPS, Strip::new());
    let (n, n_rows, block_len) = (out.range().len(), activations.n_rows, B::DTYPE.block_len());
    for first in (0..n).step_by(TURNS * WIDTH) {
        let n_strips = TURNS.min((n - first).div_ceil(WIDTH));
        totals.clear();
        totals.resize(n_strips * n_rows, [vdupq_n_f32(0.0); 2]);
        for k in (0..x.width()).step_by(DEPTH) {
            let depth = DEPTH.min(x.width() - k);
            let n_blocks = depth / block_len;
            // After the last part of these rows comes the first one of those that take the next turn.
            let skipped = if k + DEPTH < x.width() { 0 } else { (TURNS * WIDTH - 1) * (x.width() / block_len) };
            for (turn, totals) in totals.chunks_mut(STRIPS * n_rows).enumerate() {
                let strips = &mut strips[..totals.len() / n_rows];
                for (i, strip) in strips.iter_mut().enumerate() {
                    let rows = blocks_of::<B>(weights, &out, first + (turn * STRIPS + i) * WIDTH);
                    strip.fill::<D, B>(&rows, k / block_len, n_blocks, n_blocks + skipped);
                }
                multiply::<D, B>(strips, &Part { activations, width: x.width(), k, depth }, totals);
            }
        }
        for (i, totals) in totals.chunks_exact(n_rows).enumerate() {
            copy_out::<D>(totals, first + i * WIDTH, &mut out);
        }
    }
}

/// The rows of weights of a strip; beyond the last of the range, that one again.
fn blocks_of<'a, B: Block>(weights: &Weights<'a>, out: &Columns, first: usize) -> [&'a [B]; WIDTH] {
    let range = out.range();
    from_fn(|i| bytemuck::cast_slice(weights.row((range.start + first + i).min(range.end - 1))))
}

/// Writes the results of a strip, as far as they are asked for.
#[target_feature(enable = "neon")]
fn copy_out<D: Dot>(totals: &[[float32x4_t; 2]], first: usize, out: &mut Columns) {
    for (pair, totals) in totals.as_chunks().0.iter().enumerate() {
        for (i, [low, high]) in interleave::rows::<D>(*totals).into_iter().enumerate() {
            let row = 2 * pair + i;
            if row < out.n_rows() {
                let mut both = [[0.0; 4]; 2];
                store(low, &mut both[0]);
                store(high, &mut both[1]);
                let out = &mut out.row(row)[first..];
                let n = WIDTH.min(out.len());
                out[..n].copy_from_slice(&both.as_flattened()[..n]);
            }
        }
    }
}

/// `depth` activations of all rows from activation `k` on.
struct Part<'a> {
    activations: &'a Activations,
    width: usize,
    k: usize,
    depth: usize,
}

/// The activations that a strip is multiplied with.
struct Tile<'a, const R: usize> {
    q: &'a [[int8x16_t; R]],
    scales: &'a [[f32; R]],
    sums: &'a [[f32; R]],
    parts: &'a [[int8x16_t; R]],
}

impl<'a> Part<'a> {
    /// The tile of the `R` rows from `row` on.
    fn tile<B: Block, const R: usize>(&self, row: usize) -> Tile<'a, R> {
        let (Activations { q, scales, sums, parts, .. }, len) = (self.activations, B::DTYPE.block_len());
        Tile {
            q: self.of_each(q, 16, row),
            scales: self.of_each(scales, len, row),
            sums: if has_minima(B::DTYPE) && len == 32 { self.of_each(sums, 32, row) } else { &[] },
            parts: if has_minima(B::DTYPE) && len == 256 { self.of_each(parts, 128, row) } else { &[] },
        }
    }

    /// What belongs to this part of `R` rows of what there is once for each `len` activations.
    fn of_each<T, const R: usize>(&self, all: &'a [T], len: usize, row: usize) -> &'a [[T; R]] {
        &all[row * (self.width / len)..].as_chunks().0[self.k / len..][..self.depth / len]
    }
}

/// Adds the products of the strips with a part of the activations to the totals of all rows.
#[target_feature(enable = "neon")]
fn multiply<D: Dot, B: Block>(strips: &[Strip], part: &Part, totals: &mut [[float32x4_t; 2]]) {
    let n_rows = part.activations.n_rows;
    let mut row = 0;
    while row + 4 <= n_rows {
        multiply_tile::<D, B, 4>(strips, &part.tile::<B, 4>(row), (row, n_rows), totals);
        row += 4;
    }
    if row < n_rows {
        multiply_tile::<D, B, 2>(strips, &part.tile::<B, 2>(row), (row, n_rows), totals);
    }
}

#[target_feature(enable = "neon")]
fn multiply_tile<D: Dot, B: Block, const R: usize>(
    strips: &[Strip],
    x: &Tile<R>,
    (row, n_rows): (usize, usize),
    totals: &mut [[float32x4_t; 2]],
) {
    for (strip, totals) in strips.iter().zip(totals.chunks_exact_mut(n_rows)) {
        let Some(totals) = totals[row..].first_chunk_mut() else { return };
        let is_small = B::DTYPE != Dtype::Q8_0;
        match (B::DTYPE.block_len(), group(B::DTYPE), has_minima(B::DTYPE)) {
            (32, _, true) => blocks::<D, true, true, R>(strip, x, totals),
            (32, _, false) if is_small => blocks::<D, false, true, R>(strip, x, totals),
            (32, _, false) => blocks::<D, false, false, R>(strip, x, totals),
            (_, 32, _) => superblock::<D, 2, true, R>(strip, x, totals),
            (_, _, true) => superblock::<D, 1, true, R>(strip, x, totals),
            (_, _, false) => superblock::<D, 1, false, R>(strip, x, totals),
        }
    }
}

/// Adds the products of blocks of 32 weights, `SMALL` as in [`Dot::add_tile`].
#[inline(never)]
#[target_feature(enable = "neon")]
fn blocks<D: Dot, const MINIMA: bool, const SMALL: bool, const R: usize>(
    strip: &Strip,
    x: &Tile<R>,
    totals: &mut Totals<R>,
) {
    let mut local = *totals;
    let weights = strip.q.as_chunks::<2>().0.iter().zip(&strip.d).zip(&strip.dmin);
    for (b, (((q, d), dmin), x_q)) in weights.zip(x.q.as_chunks::<2>().0).enumerate() {
        let mut sums: Sums<R> = [[vdupq_n_s32(0); 2]; R];
        D::add_tile::<SMALL, R>(&mut sums, &q[0], &x_q[0]);
        D::add_tile::<SMALL, R>(&mut sums, &q[1], &x_q[1]);
        for r in 0..R {
            let scale = interleave::of_rows::<D, R>(&x.scales[b], r);
            for h in 0..2 {
                let i = if D::SQUARES { r % 2 } else { 0 };
                let sum = vcvtq_f32_s32(sums[r][h]);
                let value = if MINIMA {
                    let minimum = vmulq_f32(dmin[i][h], interleave::of_rows::<D, R>(&x.sums[b], r));
                    vfmaq_f32(minimum, d[i][h], sum)
                } else {
                    vmulq_f32(d[i][h], sum)
                };
                local[r][h] = vfmaq_f32(local[r][h], scale, value);
            }
        }
    }
    *totals = local;
}

/// Adds the products of a superblock with groups of `SIXTEENS` times 16 weights.
#[inline(never)]
#[target_feature(enable = "neon")]
fn superblock<D: Dot, const SIXTEENS: usize, const MINIMA: bool, const R: usize>(
    strip: &Strip,
    x: &Tile<R>,
    totals: &mut Totals<R>,
) {
    let zero: Sums<R> = [[vdupq_n_s32(0); 2]; R];
    let mut products = zero;
    let weights = strip.q.as_chunks::<SIXTEENS>().0.iter().zip(&strip.scales);
    for ((q, scales), x) in weights.zip(x.q.as_chunks::<SIXTEENS>().0) {
        let mut sums = zero;
        for i in 0..SIXTEENS {
            D::add_tile::<true, R>(&mut sums, &q[i], &x[i]);
        }
        for r in 0..R {
            for h in 0..2 {
                let i = if D::SQUARES { r % 2 } else { 0 };
                products[r][h] = vmlaq_s32(products[r][h], sums[r][h], scales[i][h]);
            }
        }
    }
    let mut minima = zero;
    if MINIMA {
        let mut high = zero;
        D::add_tile::<true, R>(&mut high, &strip.minima, &x.parts[1]);
        for r in 0..R {
            minima[r] = [vshlq_n_s32::<7>(high[r][0]), vshlq_n_s32::<7>(high[r][1])];
        }
        D::add_tile::<true, R>(&mut minima, &strip.minima, &x.parts[0]);
    }
    for r in 0..R {
        let scale = interleave::of_rows::<D, R>(&x.scales[0], r);
        for h in 0..2 {
            let i = if D::SQUARES { r % 2 } else { 0 };
            let (d, product) = (strip.d[0][i][h], vcvtq_f32_s32(products[r][h]));
            let value = if MINIMA {
                vfmaq_f32(vmulq_f32(strip.dmin[0][i][h], vcvtq_f32_s32(minima[r][h])), d, product)
            } else {
                vmulq_f32(d, product)
            };
            totals[r][h] = vfmaq_f32(totals[r][h], scale, value);
        }
    }
}
