//! Tiles: the products of a panel with up to eight rows of activations.

use super::ahead::Ahead;
use super::panel::Panel;
use super::pieces::Piece;
use crate::kernels::x86_64::memory::align_stack;
use std::arch::x86_64::*;

/// Adds the products of a panel with `pieces`, the activations of all rows, to the totals of the rows. A group has `FOURS`
/// times four weights; of blocks of 32 the panel has `n_blocks`.
///
/// # Panics
/// If there are not as many totals as rows.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn multiply_rows<const FOURS: usize, const SUPERBLOCKS: bool, const MINIMA: bool>(
    panel: &Panel,
    n_blocks: usize,
    pieces: &[Piece],
    totals: &mut [[__m512; 2]],
    ahead: Ahead,
) {
    assert_eq!(pieces.len(), totals.len(), "rows of activations and of results");
    let mut row = 0;
    while row < totals.len() {
        let (x, rest) = (&pieces[row..], &mut totals[row..]);
        // The first tile asks for all.
        row += match rest.len() {
            8.. if row > 0 => tile::<FOURS, SUPERBLOCKS, MINIMA, 8, false>(panel, n_blocks, x, rest, ahead),
            8.. => tile::<FOURS, SUPERBLOCKS, MINIMA, 8, true>(panel, n_blocks, x, rest, ahead),
            4.. => tile::<FOURS, SUPERBLOCKS, MINIMA, 4, true>(panel, n_blocks, x, rest, ahead),
            2.. => tile::<FOURS, SUPERBLOCKS, MINIMA, 2, true>(panel, n_blocks, x, rest, ahead),
            _ => tile::<FOURS, SUPERBLOCKS, MINIMA, 1, true>(panel, n_blocks, x, rest, ahead),
        };
    }
}

/// Adds the products with the first `R` rows to their totals; returns `R`. Only where it `ASKS` it looks at `ahead`, which
/// takes up to a fifth of the time.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile<const FOURS: usize, const SUPERBLOCKS: bool, const MINIMA: bool, const R: usize, const ASKS: bool>(
    panel: &Panel,
    n_blocks: usize,
    x: &[Piece],
    totals: &mut [[__m512; 2]],
    ahead: Ahead,
) -> usize {
    if let (Some(x), Some(totals)) = (x.first_chunk(), totals.first_chunk_mut()) {
        if SUPERBLOCKS {
            tile_of_superblocks::<FOURS, MINIMA, R, ASKS>(panel, x, totals, ahead);
        } else {
            tile_of_blocks::<MINIMA, R, ASKS>(panel, n_blocks, x, totals, ahead);
        }
    }
    R
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile_of_blocks<const MINIMA: bool, const R: usize, const ASKS: bool>(
    panel: &Panel,
    n_blocks: usize,
    x: &[Piece; R],
    totals: &mut [[__m512; 2]; R],
    ahead: Ahead,
) {
    align_stack();
    let scales = panel.d.iter().zip(&panel.dmin);
    let mut local = *totals;
    for (b, (q, (d, dmin))) in panel.q.as_chunks::<8>().0.iter().zip(scales).enumerate().take(n_blocks) {
        if ASKS {
            ahead.ask::<4>(b, 8);
        }
        let mut sums = [[_mm512_setzero_si512(); 2]; R];
        if !MINIMA {
            for (sums, x) in sums.iter_mut().zip(x) {
                *sums = [broadcast(x.words[b]); 2];
            }
        }
        for (i, q) in q.iter().enumerate() {
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = broadcast(x.q.as_chunks::<8>().0[b][i]);
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
fn tile_of_superblocks<const FOURS: usize, const MINIMA: bool, const R: usize, const ASKS: bool>(
    panel: &Panel,
    x: &[Piece; R],
    totals: &mut [[__m512; 2]; R],
    ahead: Ahead,
) {
    align_stack();
    let mut products = [[_mm512_setzero_si512(); 2]; R];
    for (g, (q, scales)) in panel.q.as_chunks::<FOURS>().0.iter().zip(&panel.scales).enumerate() {
        if ASKS {
            ahead.ask::<3>(g, 64 / FOURS);
        }
        let mut sums = [[_mm512_setzero_si512(); 2]; R];
        if !MINIMA {
            for (sums, x) in sums.iter_mut().zip(x) {
                *sums = [broadcast(x.words[g]); 2];
            }
        }
        for (i, q) in q.iter().enumerate() {
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = broadcast(x.q.as_chunks::<FOURS>().0[g][i]);
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
            for (factors, words) in panel.minima[..32 / FOURS].iter().zip(x[r].words) {
                let words = broadcast(words);
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

#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(word: [u8; 4]) -> __m512i {
    _mm512_set1_epi32(i32::from_le_bytes(word))
}
