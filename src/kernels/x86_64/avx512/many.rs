//! Products with many rows of activations: panels of weights are unpacked once and stay in the innermost cache while all
//! rows pass, in tiles of 32 outputs and up to eight rows.

use super::ahead::Ahead;
use super::panel::{DEPTH, OUTPUTS, Panel};
use super::pieces::{Piece, gather};
use super::tiles::multiply_rows;
use crate::kernels::x86_64::Scratch;
use crate::kernels::x86_64::memory::{prefetch, store64};
use crate::kernels::x86_64::operand::{Block, with_block};
use crate::kernels::x86_64::scales::{group, has_minima};
use crate::kernels::{Columns, Rows, Weights};
use bytemuck::cast_slice;
use std::arch::x86_64::*;

/// Panels whose results are written together, and which take turns where the activations are many.
const TURNS: usize = 8;
/// Bytes of activations from which on panels take turns, so that a part of the activations is fetched once for all of them.
/// Fewer stay in the second cache anyway, and weights are better read in the order of memory.
const NEAR: usize = 1 << 19;

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn product(weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    with_block!(weights.dtype(), B => all::<B>(weights, x, out, scratch));
}

/// The weights of all outputs that are asked for, `width` blocks each; a panel takes `depth` of these in a step.
struct Stored<'a, B> {
    blocks: &'a [B],
    n: usize,
    width: usize,
    depth: usize,
}

impl<'a, B: Block> Stored<'a, B> {
    /// The weights of each output of the panel from `first` on; beyond the last output, of that one again.
    fn rows(&self, first: usize) -> [&'a [B]; OUTPUTS] {
        std::array::from_fn(|i| &self.blocks[(first + i).min(self.n - 1) * self.width..][..self.width])
    }

    /// All weights of the panel from `first` on, none if there is no such panel.
    fn panel(&self, first: usize) -> &'a [u8] {
        let blocks = first.min(self.n) * self.width..(first + OUTPUTS).min(self.n) * self.width;
        cast_slice(&self.blocks[blocks])
    }

    /// All weights from those on that `output` has for `step`.
    fn from(&self, output: usize, step: usize) -> &'a [u8] {
        cast_slice(self.blocks.get(output * self.width + step * self.depth..).unwrap_or_default())
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn all<B: Block>(weights: &Weights, x: &Rows, mut out: Columns, scratch: &mut Scratch) {
    let Scratch { panel, pieces, totals, .. } = scratch;
    let panel = panel.get_or_insert_with(|| Box::new(Panel::new()));
    let (n, n_rows) = (out.range().len(), x.n_rows());
    let (width, depth) = (x.width() / B::DTYPE.block_len(), DEPTH / B::DTYPE.block_len());
    let stored: Stored<B> = Stored { blocks: cast_slice(weights.rows(out.range())), n, width, depth };
    let (n_steps, stride) = (width.div_ceil(depth), width * size_of::<B>());
    prefetch(stored.panel(0));
    let is_near = x.bytes().0.len() <= NEAR;
    pieces.resize(if is_near { n_steps * n_rows } else { n_rows }, Piece::ZEROS);
    if is_near {
        (0..).step_by(DEPTH).zip(pieces.chunks_exact_mut(n_rows)).for_each(|(k, pieces)| gather::<B>(x, k, pieces));
    }
    let mut rows = [[&[][..]; OUTPUTS]; TURNS];
    for first in (0..n).step_by(TURNS * OUTPUTS) {
        let outputs = (first..n.min(first + TURNS * OUTPUTS)).step_by(OUTPUTS);
        let n_panels = outputs.len();
        totals.clear();
        totals.resize(n_panels * n_rows, [_mm512_setzero_ps(); 2]);
        rows.iter_mut().zip(outputs.clone()).for_each(|(rows, output)| *rows = stored.rows(output));
        let mut take = |turn: usize, step: usize, pieces: &[Piece], ahead: Ahead| {
            let n_blocks = depth.min(width - step * depth);
            panel.fill(&rows[turn], step * depth, n_blocks);
            multiply::<B>(panel, n_blocks, pieces, &mut totals[turn * n_rows..][..n_rows], ahead);
        };
        if is_near {
            for (turn, output) in outputs.enumerate() {
                let far = stored.panel(output + OUTPUTS);
                let mut far = far.chunks(far.len().div_ceil(n_steps).max(1));
                for (step, pieces) in pieces.chunks_exact(n_rows).enumerate() {
                    let far = far.next().unwrap_or_default();
                    let last = step + 1 == n_steps;
                    let near = if last { stored.from(output + OUTPUTS, 0) } else { stored.from(output, step + 1) };
                    take(turn, step, pieces, Ahead { far, near, stride });
                }
            }
        } else {
            for step in 0..n_steps {
                gather::<B>(x, step * DEPTH, pieces);
                for (turn, output) in outputs.clone().enumerate() {
                    let near = if turn + 1 < n_panels {
                        stored.from(output + OUTPUTS, step)
                    } else if step + 1 < n_steps {
                        stored.from(first, step + 1)
                    } else {
                        stored.from(output + OUTPUTS, 0)
                    };
                    take(turn, step, pieces, Ahead { far: &[], near, stride });
                }
            }
        }
        copy_out(totals, first, &mut out);
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
