//! The pieces of attention that read the cache.

use super::floats::tile;
use crate::kernels::vector::Halves;
use crate::kernels::x86_64::floats::F16;
use crate::kernels::x86_64::memory::{floats, load32, load64, store64};
use bytemuck::{cast_ref, cast_slice};
use std::arch::x86_64::*;

/// See [`crate::kernels::vector::scores`]; keys are as wide as a multiple of 16.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(in crate::kernels::x86_64) fn scores(queries: &[f32], keys: &Halves, out: &mut [f32]) {
    let (n, width) = (keys.n_rows(), keys.width());
    for first in (0..n).step_by(4) {
        let rows = four_rows(keys, first);
        let (fours, rest) = queries.split_at(queries.len() / (4 * width) * 4 * width);
        let (fours_out, rest_out) = out.split_at_mut(fours.len() / width * n);
        for (query, out) in fours.chunks_exact(4 * width).zip(fours_out.chunks_exact_mut(4 * n)) {
            scores_of::<4>(&rows, query, first, out);
        }
        for (query, out) in rest.chunks_exact(width).zip(rest_out.chunks_exact_mut(n)) {
            scores_of::<1>(&rows, query, first, out);
        }
    }
}

/// The scores of `Q` queries for four keys, of which `first` is the first.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn scores_of<const Q: usize>(keys: &[&[F16]; 4], queries: &[f32], first: usize, out: &mut [f32]) {
    let mut rows: [&[[u8; 64]]; Q] = [&[]; Q];
    for (row, query) in rows.iter_mut().zip(queries.chunks_exact(queries.len() / Q)) {
        *row = cast_slice(query);
    }
    let n = out.len() / Q;
    for (scores, out) in tile::<F16, Q>(keys, &rows).into_iter().zip(out.chunks_exact_mut(n)) {
        let out = &mut out[first..];
        let len = out.len().min(4);
        out[..len].copy_from_slice(&floats(scores)[..len]);
    }
}

/// Four rows from `first` on; beyond the last, that one again.
fn four_rows<'a>(keys: &Halves<'a>, first: usize) -> [&'a [F16]; 4] {
    std::array::from_fn(|i| keys.stored((first + i).min(keys.n_rows() - 1)))
}

/// See [`crate::kernels::vector::mix`]; values are as wide as a multiple of 16.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(in crate::kernels::x86_64) fn mix(weights: &[f32], values: &Halves, sums: &mut [f32]) {
    let (n, width) = (values.n_rows(), values.width());
    let (mut weights, mut sums) = (weights, sums);
    while !sums.is_empty() {
        let q = if sums.len() >= 4 * width { 4 } else { 1 };
        let (these, others) = sums.split_at_mut(q * width);
        match q {
            4 => mix_rows::<4>(&weights[..4 * n], values, these),
            _ => mix_rows::<1>(&weights[..n], values, these),
        }
        (weights, sums) = (&weights[q * n..], others);
    }
}

/// The sums of `Q` queries, sixteen columns after sixteen.
#[target_feature(enable = "avx2,fma,f16c,avx512f")]
fn mix_rows<const Q: usize>(weights: &[f32], values: &Halves, sums: &mut [f32]) {
    let (n, columns) = (values.n_rows(), values.width() / 16);
    let sums = sums.as_chunks_mut::<16>().0; // (Q, columns)
    for column in 0..columns {
        let mut totals = [_mm512_setzero_ps(); Q];
        for (q, total) in totals.iter_mut().enumerate() {
            *total = _mm512_castsi512_ps(load64(cast_ref(&sums[q * columns + column])));
        }
        for k in 0..n {
            let value = _mm512_cvtph_ps(load32(cast_ref(&values.stored(k).as_chunks::<16>().0[column])));
            for (q, total) in totals.iter_mut().enumerate() {
                *total = _mm512_fmadd_ps(_mm512_set1_ps(weights[q * n + k]), value, *total);
            }
        }
        for (q, total) in totals.into_iter().enumerate() {
            store64(total, &mut sums[q * columns + column]);
        }
    }
}
