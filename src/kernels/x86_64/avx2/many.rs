//! Products with many rows of activations: panels of weights are unpacked once and stay in the innermost cache while all
//! rows pass, in tiles of 16 outputs and up to four rows.

use super::dot;
use super::panel::{DEPTH, OUTPUTS, Panel, is_wide};
use super::slices::{self, Slice};
use crate::kernels::x86_64::memory::store32;
use crate::kernels::x86_64::operand::{Block, with_block};
use crate::kernels::x86_64::scales::{group, has_minima};
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use bytemuck::cast_slice;
use std::arch::x86_64::*;
use std::array::from_fn;

/// What products with many rows work in.
#[derive(Debug, Default)]
pub(in crate::kernels::x86_64) struct Many {
    panel: Option<Box<Panel>>,
    slices: Vec<Slice>,
    /// Unfinished results of panels.
    totals: Vec<[__m256; 2]>,
}

/// Panels that take turns, so that a part of the activations comes from the second cache more often than from farther.
const TURNS: usize = 8;

/// Groups of four neighbouring products whose sums in pairs 16 bits hold.
pub(super) const fn in_words(dtype: Dtype) -> usize {
    match dtype {
        Dtype::Q4_0 | Dtype::Q4_1 | Dtype::Q4_K => 8,
        Dtype::Q5_0 | Dtype::Q5_1 | Dtype::Q5_K => 4,
        // More would do for these two, but their scales change.
        Dtype::Q2_K | Dtype::Q3_K => 4,
        Dtype::Q6_K => 2,
        _ => 1,
    }
}

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn product<const VNNI: bool>(weights: &Weights, x: &Rows, out: Columns, scratch: &mut Many) {
    with_block!(weights.dtype(), B => all::<VNNI, B>(weights, x, out, scratch));
}

#[target_feature(enable = "avx2,fma,f16c")]
fn all<const VNNI: bool, B: Block>(weights: &Weights, x: &Rows, mut out: Columns, scratch: &mut Many) {
    let Many { panel, slices, totals } = scratch;
    let panel = panel.get_or_insert_with(|| Box::new(Panel::new()));
    let n = out.range().len();
    for first in (0..n).step_by(TURNS * OUTPUTS) {
        let n_panels = TURNS.min((n - first).div_ceil(OUTPUTS));
        totals.clear();
        totals.resize(n_panels * x.n_rows(), [_mm256_setzero_ps(); 2]);
        let turns: [_; TURNS] = from_fn(|turn| rows_of::<B>(weights, &out, first + turn * OUTPUTS));
        for k in (0..x.width()).step_by(DEPTH) {
            slices::fill::<VNNI, B>(slices, x, k);
            let part = k / B::DTYPE.block_len()..(k + DEPTH).min(x.width()) / B::DTYPE.block_len();
            // What each panel holds at its next turn, of the same outputs or of those after the last.
            let next = match k + DEPTH < x.width() {
                true => part.len(),
                false => part.end * TURNS * OUTPUTS - part.start,
            };
            for (rows, totals) in turns.iter().zip(totals.chunks_exact_mut(x.n_rows())) {
                panel.fill::<VNNI, B>(rows, part.clone(), next * size_of::<B>());
                multiply::<VNNI, B>(panel, slices, totals);
            }
        }
        for (turn, totals) in totals.chunks_exact(x.n_rows()).enumerate() {
            copy_out(totals, first + turn * OUTPUTS, &mut out);
        }
    }
}

/// The rows of weights of a panel; beyond the last of the range, that one again.
fn rows_of<'a, B: Block>(weights: &Weights<'a>, out: &Columns, first: usize) -> [&'a [B]; OUTPUTS] {
    let range = out.range();
    from_fn(|i| cast_slice(weights.row((range.start + first + i).min(range.end - 1))))
}

/// Writes the results of a panel, as far as they are asked for.
#[target_feature(enable = "avx2")]
fn copy_out(totals: &[[__m256; 2]], first: usize, out: &mut Columns) {
    for (row, [a, b]) in totals.iter().enumerate() {
        let out = &mut out.row(row)[first..];
        if let Some([low, high]) = out.as_chunks_mut::<8>().0.first_chunk_mut() {
            store32(*a, low);
            store32(*b, high);
        } else {
            let mut both = [[0.0; 8]; 2];
            store32(*a, &mut both[0]);
            store32(*b, &mut both[1]);
            out.copy_from_slice(&both.as_flattened()[..out.len()]);
        }
    }
}

/// Adds the products of the panel with all rows of activations to their totals.
#[target_feature(enable = "avx2,fma,f16c")]
fn multiply<const VNNI: bool, B: Block>(panel: &Panel, x: &[Slice], totals: &mut [[__m256; 2]]) {
    // As many rows as there are registers for, and of VNNI as many steps as share a scale, else as 16 bits hold.
    match (VNNI, B::DTYPE.block_len(), in_words(B::DTYPE), group(B::DTYPE)) {
        (true, 32, ..) => tiles_of_blocks::<VNNI, B, 8, 4>(panel, x, totals),
        (true, _, _, 32) => tiles_of_superblocks::<VNNI, B, 8, 3>(panel, x, totals),
        (true, ..) => tiles_of_superblocks::<VNNI, B, 4, 3>(panel, x, totals),
        (_, 32, 8, _) => tiles_of_blocks::<VNNI, B, 8, 3>(panel, x, totals),
        (_, 32, 4, _) => tiles_of_blocks::<VNNI, B, 4, 3>(panel, x, totals),
        // Q8_0, whose weights are words.
        (_, 32, ..) => tiles_of_blocks::<VNNI, B, 1, 4>(panel, x, totals),
        (_, _, 8, _) => tiles_of_superblocks::<VNNI, B, 8, 3>(panel, x, totals),
        (_, _, 4, _) => tiles_of_superblocks::<VNNI, B, 4, 3>(panel, x, totals),
        (..) => tiles_of_superblocks::<VNNI, B, 2, 3>(panel, x, totals),
    }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn tiles_of_blocks<const VNNI: bool, B: Block, const N: usize, const R: usize>(
    panel: &Panel,
    x: &[Slice],
    totals: &mut [[__m256; 2]],
) {
    let ((tiles, rest), (totals_of_tiles, totals_of_rest)) = (x.as_chunks::<R>(), totals.as_chunks_mut::<R>());
    for (x, totals) in tiles.iter().zip(totals_of_tiles) {
        tile_of_blocks::<VNNI, B, N, R>(panel, x, totals);
    }
    let ((pairs, one), (totals_of_pairs, total)) = (rest.as_chunks(), totals_of_rest.as_chunks_mut());
    for (x, totals) in pairs.iter().zip(totals_of_pairs) {
        tile_of_blocks::<VNNI, B, N, 2>(panel, x, totals);
    }
    if let (Some(x), Some(total)) = (one.first_chunk(), total.first_chunk_mut()) {
        tile_of_blocks::<VNNI, B, N, 1>(panel, x, total);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn tile_of_blocks<const VNNI: bool, B: Block, const N: usize, const R: usize>(
    panel: &Panel,
    x: &[Slice; R],
    totals: &mut [[__m256; 2]; R],
) {
    let scales = panel.d.iter().zip(&panel.dmin);
    let mut local = *totals;
    for (b, (d, dmin)) in scales.enumerate().take(panel.n_blocks) {
        let mut sums = [[_mm256_setzero_si256(); 2]; R];
        if VNNI && !has_minima(B::DTYPE) {
            for (sums, x) in sums.iter_mut().zip(x) {
                *sums = [broadcast(x.sums[b]); 2];
            }
        }
        if VNNI {
            add_dots::<VNNI, 8, R>(&panel.q.as_chunks().0[b], &fours(x, b), &mut sums);
        } else if is_wide::<VNNI>(B::DTYPE) {
            add_wide::<16, R>(&panel.q.as_chunks().0[b], &fours(x, b), &mut sums);
        } else {
            for c in b * (8 / N)..(b + 1) * (8 / N) {
                let words = words::<B, N, R>(&panel.q.as_chunks().0[c], &fours(x, c));
                for (sums, [a, b]) in sums.iter_mut().zip(words) {
                    let ones = _mm256_set1_epi16(1);
                    *sums = [dot::words::<VNNI>(sums[0], a, ones), dot::words::<VNNI>(sums[1], b, ones)];
                }
            }
        }
        for (r, totals) in local.iter_mut().enumerate() {
            let scale = _mm256_castsi256_ps(broadcast(x[r].scales[b]));
            for half in 0..2 {
                let mut sum = sums[r][half];
                if !VNNI && matches!(B::DTYPE, Dtype::Q4_0 | Dtype::Q5_0) {
                    sum = _mm256_add_epi32(sum, broadcast(x[r].sums[b]));
                }
                let sum = _mm256_cvtepi32_ps(sum);
                let value = if has_minima(B::DTYPE) {
                    let minimum = _mm256_mul_ps(dmin[half], _mm256_castsi256_ps(broadcast(x[r].sums[b])));
                    _mm256_fmadd_ps(d[half], sum, minimum)
                } else {
                    _mm256_mul_ps(d[half], sum)
                };
                totals[half] = _mm256_fmadd_ps(scale, value, totals[half]);
            }
        }
    }
    *totals = local;
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn tiles_of_superblocks<const VNNI: bool, B: Block, const N: usize, const R: usize>(
    panel: &Panel,
    x: &[Slice],
    totals: &mut [[__m256; 2]],
) {
    let ((tiles, rest), (totals_of_tiles, totals_of_rest)) = (x.as_chunks::<R>(), totals.as_chunks_mut::<R>());
    for (x, totals) in tiles.iter().zip(totals_of_tiles) {
        tile_of_superblocks::<VNNI, B, N, R>(panel, x, totals);
    }
    let ((pairs, one), (totals_of_pairs, total)) = (rest.as_chunks(), totals_of_rest.as_chunks_mut());
    for (x, totals) in pairs.iter().zip(totals_of_pairs) {
        tile_of_superblocks::<VNNI, B, N, 2>(panel, x, totals);
    }
    if let (Some(x), Some(total)) = (one.first_chunk(), total.first_chunk_mut()) {
        tile_of_superblocks::<VNNI, B, N, 1>(panel, x, total);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn tile_of_superblocks<const VNNI: bool, B: Block, const N: usize, const R: usize>(
    panel: &Panel,
    x: &[Slice; R],
    totals: &mut [[__m256; 2]; R],
) {
    let mut products = [[_mm256_setzero_si256(); 2]; R];
    for (c, q) in panel.q.as_chunks::<N>().0[..DEPTH / 4 / N].iter().enumerate() {
        let scales = panel.scales[c * N * 4 / group(B::DTYPE)];
        if VNNI {
            let mut sums = [[_mm256_setzero_si256(); 2]; R];
            add_dots::<VNNI, N, R>(q, &fours(x, c), &mut sums);
            for (products, [a, b]) in products.iter_mut().zip(sums) {
                products[0] = _mm256_add_epi32(products[0], _mm256_mullo_epi32(a, scales[0]));
                products[1] = _mm256_add_epi32(products[1], _mm256_mullo_epi32(b, scales[1]));
            }
        } else {
            let words = words::<B, N, R>(q, &fours(x, c));
            for (products, [a, b]) in products.iter_mut().zip(words) {
                *products =
                    [dot::words::<VNNI>(products[0], a, scales[0]), dot::words::<VNNI>(products[1], b, scales[1])];
            }
        }
    }
    let by_sums = by_sums::<VNNI, B, R>(panel, x);
    for (r, totals) in totals.iter_mut().enumerate() {
        let scale = _mm256_castsi256_ps(broadcast(x[r].scales[0]));
        for half in 0..2 {
            let product = match B::DTYPE {
                Dtype::Q3_K => _mm256_sub_epi32(products[r][half], _mm256_slli_epi32::<2>(by_sums[r][half])),
                Dtype::Q6_K => _mm256_sub_epi32(products[r][half], _mm256_slli_epi32::<5>(by_sums[r][half])),
                _ => products[r][half],
            };
            let product = _mm256_cvtepi32_ps(product);
            let value = if has_minima(B::DTYPE) {
                let minimum = _mm256_mul_ps(panel.dmin[0][half], _mm256_cvtepi32_ps(by_sums[r][half]));
                _mm256_fmsub_ps(panel.d[0][half], product, minimum)
            } else {
                _mm256_mul_ps(panel.d[0][half], product)
            };
            totals[half] = _mm256_fmadd_ps(scale, value, totals[half]);
        }
    }
}

/// The products of the factors with the sums of each row.
#[inline]
#[target_feature(enable = "avx2")]
fn by_sums<const VNNI: bool, B: Block, const R: usize>(panel: &Panel, x: &[Slice; R]) -> [[__m256i; 2]; R] {
    let mut by_sums = [[_mm256_setzero_si256(); 2]; R];
    for (i, [a, b]) in panel.factors.into_iter().enumerate().take(128 / group(B::DTYPE)) {
        for (sums, x) in by_sums.iter_mut().zip(x) {
            let x = broadcast(x.sums[i]);
            *sums = [dot::words::<VNNI>(sums[0], a, x), dot::words::<VNNI>(sums[1], b, x)];
        }
    }
    by_sums
}

/// Group `c` of `N` words of activations of each row.
#[inline]
fn fours<const N: usize, const R: usize>(x: &[Slice; R], c: usize) -> [&[[u8; 4]; N]; R] {
    let mut fours = [&[[0; 4]; N]; R];
    for (fours, x) in fours.iter_mut().zip(x) {
        *fours = &x.q.as_chunks().0[c];
    }
    fours
}

/// Adds the products of `4 * N` weights of each output with as many activations of each row.
#[inline]
#[target_feature(enable = "avx2")]
fn add_dots<const VNNI: bool, const N: usize, const R: usize>(
    q: &[[__m256i; 2]; N],
    x: &[&[[u8; 4]; N]; R],
    sums: &mut [[__m256i; 2]; R],
) {
    for (i, q) in q.iter().enumerate() {
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = broadcast(x[i]);
            *sums = [dot::bytes::<VNNI>(sums[0], q[0], x), dot::bytes::<VNNI>(sums[1], q[1], x)];
        }
    }
}

/// Adds the products of `2 * N` weights of each output, all as words, with as many activations of each row.
#[inline]
#[target_feature(enable = "avx2")]
fn add_wide<const N: usize, const R: usize>(
    q: &[[__m256i; 2]; N],
    x: &[&[[u8; 4]; N]; R],
    sums: &mut [[__m256i; 2]; R],
) {
    for (i, q) in q.iter().enumerate() {
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = broadcast(x[i]);
            for half in 0..2 {
                sums[half] = dot::here(dot::words::<false>(sums[half], q[half], x));
            }
        }
    }
}

/// The products of `4 * N` weights of each output with as many activations of each row, in two lanes for each output.
#[inline]
#[target_feature(enable = "avx2")]
fn words<B: Block, const N: usize, const R: usize>(q: &[[__m256i; 2]; N], x: &[&[[u8; 4]; N]; R]) -> [[__m256i; 2]; R] {
    let mut words = [[_mm256_setzero_si256(); 2]; R];
    for (i, q) in q.iter().enumerate() {
        for (words, x) in words.iter_mut().zip(x) {
            let x = broadcast(x[i]);
            for half in 0..2 {
                words[half] = dot::here(_mm256_add_epi16(words[half], pairs::<B>(q[half], x)));
            }
        }
    }
    words
}

/// The sums of two neighbouring products.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn pairs<B: Block>(q: __m256i, x: __m256i) -> __m256i {
    match B::DTYPE {
        // Magnitudes up to 128 and the signs on the other side: an offset of 128 would exceed 16 bits.
        Dtype::Q8_0 => _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q)),
        _ => _mm256_maddubs_epi16(q, x),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn broadcast(word: [u8; 4]) -> __m256i {
    _mm256_set1_epi32(i32::from_le_bytes(word))
}
