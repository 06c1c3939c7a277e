//! Products of plain floats.
//!
//! Sixteen sums for each output and row, as everywhere; tiles of four outputs and up to four rows.

use crate::kernels::x86_64::floats::{
    BF16, Element, F16, F32, add_quarters, elements_of, padded, rows_of, split, tiles,
};
use crate::kernels::x86_64::memory::{load32, load64, prefetch_after};
use crate::kernels::x86_64::quad::store;
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn product(weights: &Weights, x: &Rows, out: Columns) {
    match weights.dtype() {
        Dtype::F32 => all::<F32>(weights, x, out),
        Dtype::F16 => all::<F16>(weights, x, out),
        _ => all::<BF16>(weights, x, out),
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn all<E: Element>(weights: &Weights, x: &Rows, mut out: Columns) {
    let (first, n) = (out.range().start, out.range().len());
    for (outputs, rows) in tiles(n, x.n_rows(), 4) {
        let w = elements_of::<E>(weights, first, outputs);
        match rows.len() {
            1 => store(&mut out, rows.start, outputs, tile::<E, 1>(&w, &rows_of(x, rows.start))),
            2 => store(&mut out, rows.start, outputs, tile::<E, 2>(&w, &rows_of(x, rows.start))),
            3 => store(&mut out, rows.start, outputs, tile::<E, 3>(&w, &rows_of(x, rows.start))),
            _ => store(&mut out, rows.start, outputs, tile::<E, 4>(&w, &rows_of(x, rows.start))),
        };
    }
}

/// Four outputs for `M` rows of activations.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile<E: Element, const M: usize>(rows: &[&[E]; 4], x: &[&[[u8; 64]]; M]) -> [__m128; M] {
    let [(w0, t0), (w1, t1), (w2, t2), (w3, t3)] = split(rows);
    let mut sums = [[_mm512_setzero_ps(); 4]; M];
    for (i, w0) in w0.iter().enumerate() {
        prefetch_after(w0);
        prefetch_after(&w1[i]);
        prefetch_after(&w2[i]);
        prefetch_after(&w3[i]);
        add_products([w0, &w1[i], &w2[i], &w3[i]], x, i, &mut sums);
    }
    if !t0.is_empty() {
        let (t0, t1, t2, t3) = (padded(t0), padded(t1), padded(t2), padded(t3));
        add_products([&t0, &t1, &t2, &t3], x, w0.len(), &mut sums);
    }
    let mut totals = [_mm_setzero_ps(); M];
    for (total, sums) in totals.iter_mut().zip(sums) {
        *total = totals_of_four(sums);
    }
    totals
}

/// Adds the products of sixteen weights of each of four outputs with part `i` of the activations.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw")]
fn add_products<E: Element, const M: usize>(
    w: [&[E; 16]; 4],
    x: &[&[[u8; 64]]; M],
    i: usize,
    sums: &mut [[__m512; 4]; M],
) {
    let [w0, w1, w2, w3] = [floats(w[0]), floats(w[1]), floats(w[2]), floats(w[3])];
    for (sums, x) in sums.iter_mut().zip(x) {
        let x = _mm512_castsi512_ps(load64(&x[i]));
        let [s0, s1, s2, s3] = *sums;
        *sums = [
            _mm512_fmadd_ps(w0, x, s0),
            _mm512_fmadd_ps(w1, x, s1),
            _mm512_fmadd_ps(w2, x, s2),
            _mm512_fmadd_ps(w3, x, s3),
        ];
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c,avx512f,avx512bw")]
fn floats<E: Element>(w: &[E; 16]) -> __m512 {
    match E::DTYPE {
        Dtype::F32 => _mm512_castsi512_ps(load64(cast_ref(w))),
        Dtype::F16 => _mm512_cvtph_ps(load32(cast_ref(w))),
        _ => _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(load32(cast_ref(w))))),
    }
}

/// Lane `i` is the total of vector `i`, added by halves.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn totals_of_four(sums: [__m512; 4]) -> __m128 {
    let mut quarters = [_mm_setzero_ps(); 4];
    for (quarter, sum) in quarters.iter_mut().zip(sums) {
        let half = _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps::<1>(sum));
        *quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half));
    }
    add_quarters(quarters)
}
