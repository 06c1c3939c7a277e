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
    let n = keys.n_rows();
    for first in (0..n).step_by(4) {
        let rows = four_rows(keys, first);
        for (query, out) in queries.chunks_exact(keys.width()).zip(out.chunks_exact_mut(n)) {
            let [scores] = tile::<F16, 1>(&rows, &[cast_slice(query)]);
            let out = &mut out[first..];
            let len = out.len().min(4);
            out[..len].copy_from_slice(&floats(scores)[..len]);
        }
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
    let mut weights = weights.chunks_exact(n);
    let mut sums = sums.chunks_exact_mut(width);
    while let Some(w0) = weights.next() {
        let Some(s0) = sums.next() else { return };
        match (weights.next(), sums.next()) {
            (Some(w1), Some(s1)) => mix_rows([w0, w1], values, [s0, s1]),
            _ => mix_rows([w0], values, [s0]),
        }
    }
}

/// The sums of `Q` queries, sixteen columns after sixteen.
#[target_feature(enable = "avx2,fma,f16c,avx512f")]
fn mix_rows<const Q: usize>(weights: [&[f32]; Q], values: &Halves, sums: [&mut [f32]; Q]) {
    let mut sums = sums.map(|sums| sums.as_chunks_mut::<16>().0);
    for column in 0..values.width() / 16 {
        let mut totals = [_mm512_setzero_ps(); Q];
        for (total, sums) in totals.iter_mut().zip(&sums) {
            *total = _mm512_castsi512_ps(load64(cast_ref(&sums[column])));
        }
        for k in 0..values.n_rows() {
            let value = _mm512_cvtph_ps(load32(cast_ref(&values.stored(k).as_chunks::<16>().0[column])));
            for (total, weights) in totals.iter_mut().zip(weights) {
                *total = _mm512_fmadd_ps(_mm512_set1_ps(weights[k]), value, *total);
            }
        }
        for (total, sums) in totals.into_iter().zip(&mut sums) {
            store64(total, &mut sums[column]);
        }
    }
}
