//! Products of plain floats.
//!
//! Sixteen sums for each output and row, as everywhere; tiles of four outputs and up to four rows.

use crate::kernels::x86_64::floats::{
    BF16, Element, F16, F32, add_quarters, elements_of, padded, rows_of, split, tiles,
};
use crate::kernels::x86_64::memory::{load16, load32, prefetch_after};
use crate::kernels::x86_64::quad::store;
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn product(weights: &Weights, x: &Rows, out: Columns) {
    match weights.dtype() {
        Dtype::F32 => all::<F32>(weights, x, out),
        Dtype::F16 => all::<F16>(weights, x, out),
        _ => all::<BF16>(weights, x, out),
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn all<E: Element>(weights: &Weights, x: &Rows, mut out: Columns) {
    let (first, n) = (out.range().start, out.range().len());
    for (outputs, rows) in tiles(n, x.n_rows()) {
        let w = elements_of::<E>(weights, first, outputs);
        match rows.len() {
            1 => store(&mut out, rows.start, outputs, tile::<E, 1>(&w, &rows_of(x, rows.start))),
            2 => store(&mut out, rows.start, outputs, tile::<E, 2>(&w, &rows_of(x, rows.start))),
            _ => store(&mut out, rows.start, outputs, tile::<E, 4>(&w, &rows_of(x, rows.start))),
        };
    }
}

/// Four outputs for `M` rows of activations, two by two because there are no more registers.
#[target_feature(enable = "avx2,fma,f16c")]
fn tile<E: Element, const M: usize>(rows: &[&[E]; 4], x: &[&[[u8; 64]]; M]) -> [__m128; M] {
    let [w0, w1, w2, w3] = split(rows);
    let mut totals = [_mm_setzero_ps(); M];
    for (total, x) in totals.iter_mut().zip(x) {
        let [a, b] = two_outputs([w0, w1], x);
        let [c, d] = two_outputs([w2, w3], x);
        *total = add_quarters([a, b, c, d]);
    }
    totals
}

/// Two outputs for a row of activations, with four lanes still to be added.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn two_outputs<E: Element>([(w0, t0), (w1, t1)]: [(&[[E; 16]], &[E]); 2], x: &[[u8; 64]]) -> [__m128; 2] {
    let mut sums = [[_mm256_setzero_ps(); 2]; 2];
    for ((w0, w1), x) in w0.iter().zip(w1).zip(x) {
        prefetch_after(w0);
        prefetch_after(w1);
        sums = add_products([w0, w1], x, sums);
    }
    if !t0.is_empty() {
        sums = add_products([&padded(t0), &padded(t1)], &x[w0.len()], sums);
    }
    let [[a0, a1], [b0, b1]] = sums;
    [quarter(_mm256_add_ps(a0, a1)), quarter(_mm256_add_ps(b0, b1))]
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_products<E: Element>(w: [&[E; 16]; 2], x: &[u8; 64], sums: [[__m256; 2]; 2]) -> [[__m256; 2]; 2] {
    let [x0, x1]: &[[u8; 32]; 2] = cast_ref(x);
    let (x0, x1) = (_mm256_castsi256_ps(load32(x0)), _mm256_castsi256_ps(load32(x1)));
    let [[a0, a1], [b0, b1]] = [floats(w[0]), floats(w[1])];
    let [[s0, s1], [t0, t1]] = sums;
    [
        [_mm256_fmadd_ps(a0, x0, s0), _mm256_fmadd_ps(a1, x1, s1)],
        [_mm256_fmadd_ps(b0, x0, t0), _mm256_fmadd_ps(b1, x1, t1)],
    ]
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn floats<E: Element>(w: &[E; 16]) -> [__m256; 2] {
    if E::DTYPE == Dtype::F32 {
        let [a, b]: &[[u8; 32]; 2] = cast_ref(w);
        return [_mm256_castsi256_ps(load32(a)), _mm256_castsi256_ps(load32(b))];
    }
    let [a, b]: &[[u8; 16]; 2] = cast_ref(w);
    let (a, b) = (load16(a), load16(b));
    match E::DTYPE {
        Dtype::F16 => [_mm256_cvtph_ps(a), _mm256_cvtph_ps(b)],
        _ => [
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(a))),
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(b))),
        ],
    }
}

/// The sum of the halves.
#[inline]
#[target_feature(enable = "avx2")]
fn quarter(half: __m256) -> __m128 {
    _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half))
}
