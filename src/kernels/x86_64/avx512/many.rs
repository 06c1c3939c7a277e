//! Products with many rows of activations: panels of weights are unpacked once and stay in the innermost cache while all
//! rows pass, in tiles of 32 outputs and up to eight rows.

use super::panel::{DEPTH, OUTPUTS, Panel};
use crate::kernels::block::{Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use crate::kernels::x86_64::Scratch;
use crate::kernels::x86_64::memory::store64;
use crate::kernels::x86_64::operand::Block;
use crate::kernels::x86_64::scales::{group, has_minima};
use crate::kernels::x86_64::words::{Words, prepare};
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use std::arch::x86_64::*;

/// Panels that take turns, so that a part of the activations comes from the second cache more often than from farther.
const TURNS: usize = 4;

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
    let n_rows = x.n_rows();
    let n = out.range().len();
    for first in (0..n).step_by(TURNS * OUTPUTS) {
        let n_panels = TURNS.min((n - first).div_ceil(OUTPUTS));
        scratch.totals.clear();
        scratch.totals.resize(n_panels * n_rows, [_mm512_setzero_ps(); 2]);
        for k in (0..x.width()).step_by(DEPTH) {
            for (turn, totals) in scratch.totals.chunks_exact_mut(n_rows).enumerate() {
                let rows = blocks_of::<B>(weights, &out, first + turn * OUTPUTS);
                let n_blocks = DEPTH.min(x.width() - k) / B::DTYPE.block_len();
                panel.fill(&rows, k / B::DTYPE.block_len(), n_blocks);
                multiply::<B>(panel, &Source::new(x, &scratch.words, k), totals);
            }
        }
        for (turn, totals) in scratch.totals.chunks_exact(n_rows).enumerate() {
            copy_out(totals, first + turn * OUTPUTS, &mut out);
        }
    }
}

/// The rows of weights of a panel; beyond the last of the range, that one again.
fn blocks_of<'a, B: Block>(weights: &Weights<'a>, out: &Columns, first: usize) -> [&'a [B]; OUTPUTS] {
    let range = out.range();
    std::array::from_fn(|i| bytemuck::cast_slice(weights.row((range.start + first + i).min(range.end - 1))))
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

/// The same for weights in groups of `FOURS` times four, with as many scales and words for each part of a row.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply_rows<const FOURS: usize, const SCALES: usize, const WORDS: usize, const MINIMA: bool>(
    panel: &Panel,
    source: &Source,
    totals: &mut [[__m512; 2]],
) {
    let mut row = 0;
    while row < totals.len() {
        let rest = &mut totals[row..];
        row += if let Some(totals) = rest.first_chunk_mut() {
            tile::<FOURS, SCALES, WORDS, MINIMA, 8>(panel, &source.parts(row), totals)
        } else if let Some(totals) = rest.first_chunk_mut() {
            tile::<FOURS, SCALES, WORDS, MINIMA, 4>(panel, &source.parts(row), totals)
        } else if let Some(totals) = rest.first_chunk_mut() {
            tile::<FOURS, SCALES, WORDS, MINIMA, 2>(panel, &source.parts(row), totals)
        } else if let Some(totals) = rest.first_chunk_mut() {
            tile::<FOURS, SCALES, WORDS, MINIMA, 1>(panel, &source.parts(row), totals)
        } else {
            0
        };
    }
}

/// Where the activations of a panel come from: bytes of rows that are `stride` long, and words.
struct Source<'a> {
    data: &'a [u8],
    stride: usize,
    words: &'a [[u8; 4]],
    words_per_row: usize,
    /// Where in the bytes of a row its scales start.
    scales: usize,
    /// Activations of a row that the panel is multiplied with.
    depth: usize,
}

/// The activations of a row that a panel is multiplied with. What is read after each group is copied to a fixed place, so
/// that no check of bounds interrupts the products.
#[derive(Clone, Copy)]
struct Part<'a, const SCALES: usize, const WORDS: usize> {
    q: &'a [[u8; 4]],
    scales: [[u8; 4]; SCALES],
    words: [[u8; 4]; WORDS],
}

impl<'a> Source<'a> {
    /// The activations from `k` on.
    fn new(x: &Rows<'a>, words: &'a Words, k: usize) -> Source<'a> {
        let (data, stride) = x.bytes();
        let layout = x.form().layout(x.width());
        let (words, words_per_row) = words.from(k);
        let scales = layout.scales - k + k / x.form().block_len() * 4;
        Source { data: &data[k..], stride, scales, words, words_per_row, depth: DEPTH.min(x.width() - k) }
    }

    /// The parts of `R` rows from `first_row` on.
    #[inline]
    fn parts<const SCALES: usize, const WORDS: usize, const R: usize>(
        &self,
        first_row: usize,
    ) -> [Part<'a, SCALES, WORDS>; R] {
        let mut parts = [Part { q: &[], scales: [[0; 4]; SCALES], words: [[0; 4]; WORDS] }; R];
        for (i, part) in parts.iter_mut().enumerate() {
            let row = &self.data[(first_row + i) * self.stride..];
            part.q = row[..self.depth].as_chunks().0;
            part.scales = start_of(row[self.scales..].as_chunks().0);
            part.words = start_of(&self.words[(first_row + i) * self.words_per_row..]);
        }
        parts
    }
}

/// The first `N` words. There always are as many: after the last of a row come others, or padding, which are not used.
#[inline]
fn start_of<const N: usize>(words: &[[u8; 4]]) -> [[u8; 4]; N] {
    words.first_chunk().copied().unwrap_or([[0; 4]; N])
}

/// Adds the products of a panel with `R` rows of activations to their totals; returns `R`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile<const FOURS: usize, const SCALES: usize, const WORDS: usize, const MINIMA: bool, const R: usize>(
    panel: &Panel,
    x: &[Part<SCALES, WORDS>; R],
    totals: &mut [[__m512; 2]; R],
) -> usize {
    if SCALES == 1 {
        tile_of_superblocks::<FOURS, SCALES, WORDS, MINIMA, R>(panel, x, totals);
    } else {
        tile_of_blocks::<SCALES, WORDS, MINIMA, R>(panel, x, totals);
    }
    R
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile_of_blocks<const SCALES: usize, const WORDS: usize, const MINIMA: bool, const R: usize>(
    panel: &Panel,
    x: &[Part<SCALES, WORDS>; R],
    totals: &mut [[__m512; 2]; R],
) {
    let n_blocks = x[0].q.len() / 8;
    let scales = panel.d.iter().zip(&panel.dmin);
    let mut local = *totals;
    for (b, (q, (d, dmin))) in panel.q.as_chunks::<8>().0.iter().zip(scales).enumerate().take(n_blocks) {
        let mut sums = [[_mm512_setzero_si512(); 2]; R];
        if !MINIMA {
            for (sums, x) in sums.iter_mut().zip(x) {
                *sums = [broadcast(x.words[b]); 2];
            }
        }
        let groups: [&[[u8; 4]; 8]; R] = groups(x, b);
        for (i, q) in q.iter().enumerate() {
            let mut fours = [[0; 4]; R];
            for (four, group) in fours.iter_mut().zip(groups) {
                *four = group[i];
            }
            add_products(q, fours, &mut sums);
        }
        for (r, totals) in local.iter_mut().enumerate() {
            let scale = _mm512_castsi512_ps(broadcast(x[r].scales[b]));
            for half in 0..2 {
                let sum = _mm512_cvtepi32_ps(sums[r][half]);
                let value = if MINIMA {
                    let minimum = _mm512_mul_ps(dmin[half], _mm512_castsi512_ps(broadcast(x[r].words[b])));
                    _mm512_fmadd_ps(d[half], sum, minimum)
                } else {
                    _mm512_mul_ps(d[half], sum)
                };
                totals[half] = _mm512_fmadd_ps(scale, value, totals[half]);
            }
        }
    }
    *totals = local;
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile_of_superblocks<
    const FOURS: usize,
    const SCALES: usize,
    const WORDS: usize,
    const MINIMA: bool,
    const R: usize,
>(
    panel: &Panel,
    x: &[Part<SCALES, WORDS>; R],
    totals: &mut [[__m512; 2]; R],
) {
    let mut products = [[_mm512_setzero_si512(); 2]; R];
    for (g, (q, scales)) in panel.q.as_chunks::<FOURS>().0.iter().zip(&panel.scales).enumerate() {
        let mut sums = [[_mm512_setzero_si512(); 2]; R];
        if !MINIMA {
            for (sums, x) in sums.iter_mut().zip(x) {
                *sums = [broadcast(x.words[g]); 2];
            }
        }
        let groups: [&[[u8; 4]; FOURS]; R] = groups(x, g);
        for (i, q) in q.iter().enumerate() {
            let mut fours = [[0; 4]; R];
            for (four, group) in fours.iter_mut().zip(groups) {
                *four = group[i];
            }
            add_products(q, fours, &mut sums);
        }
        for (products, sums) in products.iter_mut().zip(sums) {
            for half in 0..2 {
                products[half] = _mm512_add_epi32(products[half], _mm512_mullo_epi32(sums[half], scales[half]));
            }
        }
    }
    for (r, totals) in totals.iter_mut().enumerate() {
        let scale = _mm512_castsi512_ps(broadcast(x[r].scales[0]));
        let mut minima = [_mm512_setzero_si512(); 2];
        if MINIMA {
            for (factors, words) in panel.minima.iter().zip(&x[r].words) {
                let words = broadcast(*words);
                minima[0] = _mm512_dpwssd_epi32(minima[0], factors[0], words);
                minima[1] = _mm512_dpwssd_epi32(minima[1], factors[1], words);
            }
        }
        for half in 0..2 {
            let product = _mm512_cvtepi32_ps(products[r][half]);
            let value = if MINIMA {
                let minimum = _mm512_mul_ps(panel.dmin[0][half], _mm512_cvtepi32_ps(minima[half]));
                _mm512_fmsub_ps(panel.d[0][half], product, minimum)
            } else {
                _mm512_mul_ps(panel.d[0][half], product)
            };
            totals[half] = _mm512_fmadd_ps(scale, value, totals[half]);
        }
    }
}

/// Adds the products of four weights of each output with those activations of `R` rows to their sums.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn add_products<const R: usize>(q: &[__m512i; 2], x: [[u8; 4]; R], sums: &mut [[__m512i; 2]; R]) {
    for (sums, x) in sums.iter_mut().zip(x) {
        let x = broadcast(x);
        sums[0] = _mm512_dpbusd_epi32(sums[0], q[0], x);
        sums[1] = _mm512_dpbusd_epi32(sums[1], q[1], x);
    }
}

/// Group `g` of the activations of each row.
#[inline]
fn groups<'a, const FOURS: usize, const SCALES: usize, const WORDS: usize, const R: usize>(
    x: &[Part<'a, SCALES, WORDS>; R],
    g: usize,
) -> [&'a [[u8; 4]; FOURS]; R] {
    let mut groups = [&[[0; 4]; FOURS]; R];
    for (group, x) in groups.iter_mut().zip(x) {
        *group = &x.q.as_chunks().0[g];
    }
    groups
}

#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(word: [u8; 4]) -> __m512i {
    _mm512_set1_epi32(i32::from_le_bytes(word))
}
