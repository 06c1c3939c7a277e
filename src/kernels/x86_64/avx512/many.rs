//! Products with many rows of activations: panels of weights are unpacked once and stay in the innermost cache while all
//! rows pass, in tiles of 32 outputs and up to eight rows.

use super::ahead::Ahead;
use super::panel::{DEPTH, OUTPUTS, Panel};
use super::pieces::{Piece, gather};
use super::tiles::multiply_rows;
use crate::kernels::block::{Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use crate::kernels::x86_64::Scratch;
use crate::kernels::x86_64::memory::{prefetch, store64};
use crate::kernels::x86_64::operand::Block;
use crate::kernels::x86_64::scales::{group, has_minima};
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use bytemuck::cast_slice;
use std::arch::x86_64::*;

/// Panels that take turns, so that a part of the activations comes from the second cache more often than from farther.
const TURNS: usize = 8;
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
    let panel = scratch.panel.get_or_insert_with(|| Box::new(Panel::new()));
    let (n, n_rows) = (out.range().len(), x.n_rows());
    let is_near = x.bytes().0.len() <= NEAR;
    let turns = if is_near { 1 } else { TURNS };
    let (width, depth) = (x.width() / B::DTYPE.block_len(), DEPTH / B::DTYPE.block_len());
    let pieces = &mut scratch.pieces;
    pieces.resize(if is_near { x.width().div_ceil(DEPTH) * n_rows } else { n_rows }, Piece::ZEROS);
    if is_near {
        (0..).step_by(DEPTH).zip(pieces.chunks_exact_mut(n_rows)).for_each(|(k, pieces)| gather::<B>(x, k, pieces));
    }
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
        for (i, b) in (0..width).step_by(depth).enumerate() {
            if !is_near {
                gather::<B>(x, b * B::DTYPE.block_len(), pieces);
            }
            let pieces = &pieces[if is_near { i * n_rows } else { 0 }..][..n_rows];
            for (turn, totals) in scratch.totals.chunks_exact_mut(n_rows).enumerate() {
                panel.fill(&rows[turn], b, depth.min(width - b));
                let near = stored.get((first + turn * OUTPUTS) * width + b + depth..).unwrap_or_default();
                let ahead = Ahead {
                    far: far.next().unwrap_or_default(),
                    near: cast_slice(near),
                    stride: width * size_of::<B>(),
                };
                multiply::<B>(panel, depth.min(width - b), pieces, totals, ahead);
            }
        }
        copy_out(&scratch.totals, first, &mut out);
    }
}

/// Writes the results of panels that lie side by side, as far as they are asked for.
#[target_feature(enable = "avx512f")]
fn copy_out(totals: &[[__m512; 2]], first: usize, out: &mut Columns) {
    let n_rows = out.n_rows();
    for row in 0..n_rows {
        let of_panels = totals[row..].iter().step_by(n_rows);
        for (out, [a, b]) in out.row(row)[first..].chunks_mut(OUTPUTS).zip(of_panels) {
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
}

/// Adds the products of the panel, which has `n` blocks of each output, to the totals of all rows.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply<B: Block>(panel: &Panel, n: usize, pieces: &[Piece], totals: &mut [[__m512; 2]], ahead: Ahead) {
    match (B::DTYPE.block_len(), group(B::DTYPE), has_minima(B::DTYPE)) {
        (32, _, true) => multiply_rows::<8, false, true>(panel, n, pieces, totals, ahead),
        (32, _, false) => multiply_rows::<8, false, false>(panel, n, pieces, totals, ahead),
        (_, 32, _) => multiply_rows::<8, true, true>(panel, n, pieces, totals, ahead),
        (_, _, true) => multiply_rows::<4, true, true>(panel, n, pieces, totals, ahead),
        (_, _, false) => multiply_rows::<4, true, false>(panel, n, pieces, totals, ahead),
    }
}
