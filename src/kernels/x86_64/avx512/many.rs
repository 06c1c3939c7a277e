//! Products with many rows of activations: panels of weights are unpacked once and stay in the innermost cache while all
//! rows pass, in tiles of 32 outputs and up to eight rows.

use super::ahead::Ahead;
use super::panel::{DEPTH, OUTPUTS, Panel};
use super::tiles::{Source, multiply_rows};
use crate::kernels::block::{Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use crate::kernels::x86_64::Scratch;
use crate::kernels::x86_64::memory::{prefetch, store64};
use crate::kernels::x86_64::operand::Block;
use crate::kernels::x86_64::scales::{group, has_minima};
use crate::kernels::x86_64::words::prepare;
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use bytemuck::cast_slice;
use std::arch::x86_64::*;

/// Panels that take turns, so that a part of the activations comes from the second cache more often than from farther.
const TURNS: usize = 4;
/// Bytes of activations from which on they do; fewer stay in the second cache anyway, and weights are better read in the
/// order of memory.
const NEAR: usize = 1 << 19;

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn product(weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    match weights.dtype() {
        Dtype::F32 | Dtype::F16 | Dtype::BF16 => unreachable!("plain floats have no blocks"),
        Dtype::Q4_0 => all::<Q4_0>(weights, x, out, scratch),
        Dtype::Q4_1 => all::<Q4_1>(weights, x, out, scratch),
        Dtype::Q5_0 => all::<Q5_0>(weights, x, out, scratch),
        Dtype::Q5_1 => all::<Q5_1>(weights, x, out, scratch),
        Dtype::Q8_0 => all::<Q8_0>(weights, x, out, scratch),
        Dtype::Q2_K => all::<Q2_K>(weights, x, out, scratch),
        Dtype::Q3_K => all::<Q3_K>(weights, x, out, scratch),
        Dtype::Q4_K => all::<Q4_K>(weights, x, out, scratch),
        Dtype::Q5_K => all::<Q5_K>(weights, x, out, scratch),
        Dtype::Q6_K => all::<Q6_K>(weights, x, out, scratch),
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn all<B: Block>(weights: &Weights, x: &Rows, mut out: Columns, scratch: &mut Scratch) {
    prepare(B::DTYPE, x, &mut scratch.words);
    let panel = scratch.panel.get_or_insert_with(|| Box::new(Panel::new()));
    let (n, n_rows) = (out.range().len(), x.n_rows());
    let turns = if x.bytes().0.len() > NEAR { TURNS } else { 1 };
    let (width, depth) = (x.width() / B::DTYPE.block_len(), DEPTH / B::DTYPE.block_len());
    let stored: &[B] = cast_slice(weights.rows(out.range()));
    let blocks_from = |first: usize| &stored[first.min(n) * width..(first + turns * OUTPUTS).min(n) * width];
    prefetch(cast_slice(blocks_from(0)));
    let mut rows = [[&[][..]; OUTPUTS]; TURNS];
    for first in (0..n).step_by(turns * OUTPUTS) {
        let n_panels = turns.min((n - first).div_ceil(OUTPUTS));
        scratch.totals.clear();
        scratch.totals.resize(n_panels * n_rows, [_mm512_setzero_ps(); 2]);
        for (output, row) in rows[..n_panels].as_flattened_mut().iter_mut().enumerate() {
            // Beyond the last of the range, that one again.
            *row = &stored[(first + output).min(n - 1) * width..][..width];
        }
        let far: &[u8] = cast_slice(blocks_from(first + turns * OUTPUTS));
        let mut far = far.chunks(far.len().div_ceil(width.div_ceil(depth) * n_panels).max(1));
        for b in (0..width).step_by(depth) {
            for (turn, totals) in scratch.totals.chunks_exact_mut(n_rows).enumerate() {
                panel.fill(&rows[turn], b, depth.min(width - b));
                let near = stored.get((first + turn * OUTPUTS) * width + b + depth..).unwrap_or_default();
                let ahead = Ahead {
                    far: far.next().unwrap_or_default(),
                    near: cast_slice(near),
                    stride: width * size_of::<B>(),
                };
                multiply::<B>(panel, &Source::new(x, &scratch.words, b * B::DTYPE.block_len(), ahead), totals);
            }
        }
        for (turn, totals) in scratch.totals.chunks_exact(n_rows).enumerate() {
            copy_out(totals, first + turn * OUTPUTS, &mut out);
        }
    }
}

/// Writes the results of a panel, as far as they are asked for.
#[target_feature(enable = "avx512f")]
fn copy_out(totals: &[[__m512; 2]], first: usize, out: &mut Columns) {
    for (row, [a, b]) in totals.iter().enumerate() {
        let out = &mut out.row(row)[first..];
        if let Some([low, high]) = out.as_chunks_mut::<16>().0.first_chunk_mut() {
            store64(*a, low);
            store64(*b, high);
        } else {
            let mut both = [[0.0; 16]; 2];
            store64(*a, &mut both[0]);
            store64(*b, &mut both[1]);
            out.copy_from_slice(&both.as_flattened()[..out.len()]);
        }
    }
}

/// Adds the products of the panel with the activations from `k` on to the totals of all rows.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply<B: Block>(panel: &Panel, source: &Source, totals: &mut [[__m512; 2]]) {
    match (B::DTYPE.block_len(), group(B::DTYPE), has_minima(B::DTYPE)) {
        (32, _, true) => multiply_rows::<8, 8, 8, true>(panel, source, totals),
        (32, _, false) => multiply_rows::<8, 8, 8, false>(panel, source, totals),
        (_, 32, _) => multiply_rows::<8, 1, 4, true>(panel, source, totals),
        (_, _, true) => multiply_rows::<4, 1, 8, true>(panel, source, totals),
        (_, _, false) => multiply_rows::<4, 1, 16, false>(panel, source, totals),
    }
}
