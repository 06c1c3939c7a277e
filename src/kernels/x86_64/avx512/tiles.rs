//! Tiles: the products of a panel with up to eight rows of activations.

use super::ahead::Ahead;
use super::panel::{DEPTH, Panel};
use crate::kernels::Rows;
use crate::kernels::x86_64::words::Words;
use std::arch::x86_64::*;

/// Adds the products of a panel, whose weights are in groups of `FOURS` times four, with the activations of `source` to
/// the totals of all rows. `SCALES` and `WORDS` say how many of them go with a part of a row.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn multiply_rows<const FOURS: usize, const SCALES: usize, const WORDS: usize, const MINIMA: bool>(
    panel: &Panel,
    source: &Source,
    totals: &mut [[__m512; 2]],
) {
    let mut row = 0;
    while row < totals.len() {
        let rest = &mut totals[row..];
        // The first tile asks for all.
        let ahead = if row == 0 { source.ahead } else { Ahead::default() };
        row += if let Some(totals) = rest.first_chunk_mut() {
            tile::<FOURS, SCALES, WORDS, MINIMA, 8>(panel, &source.parts(row), totals, ahead)
        } else if let Some(totals) = rest.first_chunk_mut() {
            tile::<FOURS, SCALES, WORDS, MINIMA, 4>(panel, &source.parts(row), totals, ahead)
        } else if let Some(totals) = rest.first_chunk_mut() {
            tile::<FOURS, SCALES, WORDS, MINIMA, 2>(panel, &source.parts(row), totals, ahead)
        } else if let Some(totals) = rest.first_chunk_mut() {
            tile::<FOURS, SCALES, WORDS, MINIMA, 1>(panel, &source.parts(row), totals, ahead)
        } else {
            0
        };
    }
}

/// Where the activations of a panel come from: bytes of rows that are `stride` long, and words.
pub(super) struct Source<'a> {
    data: &'a [u8],
    stride: usize,
    words: &'a [[u8; 4]],
    words_per_row: usize,
    /// Where in the bytes of a row its scales start.
    scales: usize,
    /// Activations of a row that the panel is multiplied with.
    depth: usize,
    /// What is asked for meanwhile.
    ahead: Ahead<'a>,
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
    pub(super) fn new(x: &Rows<'a>, words: &'a Words, k: usize, ahead: Ahead<'a>) -> Source<'a> {
        let (data, stride) = x.bytes();
        let layout = x.form().layout(x.width());
        let (words, words_per_row) = words.from(k);
        let scales = layout.scales - k + k / x.form().block_len() * 4;
        Source { data: &data[k..], stride, scales, words, words_per_row, ahead, depth: DEPTH.min(x.width() - k) }
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
    ahead: Ahead,
) -> usize {
    if SCALES == 1 {
        tile_of_superblocks::<FOURS, SCALES, WORDS, MINIMA, R>(panel, x, totals, ahead);
    } else {
        tile_of_blocks::<SCALES, WORDS, MINIMA, R>(panel, x, totals, ahead);
    }
    R
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile_of_blocks<const SCALES: usize, const WORDS: usize, const MINIMA: bool, const R: usize>(
    panel: &Panel,
    x: &[Part<SCALES, WORDS>; R],
    totals: &mut [[__m512; 2]; R],
    ahead: Ahead,
) {
    let n_blocks = x[0].q.len() / 8;
    let scales = panel.d.iter().zip(&panel.dmin);
    let mut local = *totals;
    for (b, (q, (d, dmin))) in panel.q.as_chunks::<8>().0.iter().zip(scales).enumerate().take(n_blocks) {
        ahead.ask::<4>(b, 8);
        let mut sums = [[_mm512_setzero_si512(); 2]; R];
        if !MINIMA {
            for (sums, x) in sums.iter_mut().zip(x) {
                *sums = [broadcast(x.words[b]); 2];
            }
        }
        let groups: [&[[u8; 4]; 8]; R] = groups(x, b);
        for (i, q) in q.iter().enumerate() {
            for (sums, group) in sums.iter_mut().zip(groups) {
                let x = broadcast(group[i]);
                sums[0] = _mm512_dpbusd_epi32(sums[0], q[0], x);
                sums[1] = _mm512_dpbusd_epi32(sums[1], q[1], x);
            }
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
    ahead: Ahead,
) {
    let mut products = [[_mm512_setzero_si512(); 2]; R];
    for (g, (q, scales)) in panel.q.as_chunks::<FOURS>().0.iter().zip(&panel.scales).enumerate() {
        ahead.ask::<3>(g, 64 / FOURS);
        let mut sums = [[_mm512_setzero_si512(); 2]; R];
        if !MINIMA {
            for (sums, x) in sums.iter_mut().zip(x) {
                *sums = [broadcast(x.words[g]); 2];
            }
        }
        let groups: [&[[u8; 4]; FOURS]; R] = groups(x, g);
        for (i, q) in q.iter().enumerate() {
            for (sums, group) in sums.iter_mut().zip(groups) {
                let x = broadcast(group[i]);
                sums[0] = _mm512_dpbusd_epi32(sums[0], q[0], x);
                sums[1] = _mm512_dpbusd_epi32(sums[1], q[1], x);
            }
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
