//! Products of plain floats.
//!
//! Sixteen sums for each output and row, as everywhere; tiles of four outputs and up to three rows.

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
    for (outputs, rows) in tiles(n, x.n_rows(), 3) {
        let w = elements_of::<E>(weights, first, outputs);
        match rows.len() {
            1 => store(&mut out, rows.start, outputs, tile::<E, 1>(&w, &rows_of(x, rows.start))),
            2 => store(&mut out, rows.start, outputs, tile::<E, 2>(&w, &rows_of(x, rows.start))),
            _ => store(&mut out, rows.start, outputs, tile::<E, 3>(&w, &rows_of(x, rows.start))),
        };
    }
}

/// Four outputs for `M` rows of activations, two by two because there are no more registers.
#[target_feature(enable = "avx2,fma,f16c")]
fn tile<E: Element, const M: usize>(rows: &[&[E]; 4], x: &[&[[u8; 64]]; M]) -> [__m128; M] {
    let [w0, w1, w2, w3] = split(rows);
    let (first, second) = (two_outputs([w0, w1], x), two_outputs([w2, w3], x));
    let mut totals = [_mm_setzero_ps(); M];
    for (total, ([a, b], [c, d])) in totals.iter_mut().zip(first.into_iter().zip(second)) {
        *total = add_quarters([quarter(a), quarter(b), quarter(c), quarter(d)]);
    }
    totals
}

/// Two outputs for `M` rows of activations, as the sums of the two halves of their lanes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn two_outputs<E: Element, const M: usize>(
    [(w0, t0), (w1, t1)]: [(&[[E; 16]], &[E]); 2],
    x: &[&[[u8; 64]]; M],
) -> [[__m256; 2]; M] {
    let mut sums = [[[_mm256_setzero_ps(); 2]; 2]; M];
    let n = w0.len();
    let mut whole = [&[[0; 64]; 0][..]; M];
    for (whole, x) in whole.iter_mut().zip(x) {
        *whole = &x[..n];
    }
    for (i, (w0, w1)) in w0.iter().zip(&w1[..n]).enumerate() {
        prefetch_after(w0);
        prefetch_after(w1);
        add_products([w0, w1], &whole, i, &mut sums);
    }
    if !t0.is_empty() {
        add_products([&padded(t0), &padded(t1)], x, n, &mut sums);
    }
    let mut halves = [[_mm256_setzero_ps(); 2]; M];
    for (halves, [[a0, a1], [b0, b1]]) in halves.iter_mut().zip(sums) {
        *halves = [_mm256_add_ps(a0, a1), _mm256_add_ps(b0, b1)];
    }
    halves
}

/// Adds the products of sixteen weights of each of two outputs with part `i` of the activations.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_products<E: Element, const M: usize>(
    w: [&[E; 16]; 2],
    x: &[&[[u8; 64]]; M],
    i: usize,
    sums: &mut [[[__m256; 2]; 2]; M],
) {
    let [a, b] = [floats(w[0]), floats(w[1])];
    for (sums, x) in sums.iter_mut().zip(x) {
        let x: &[[u8; 32]; 2] = cast_ref(&x[i]);
        for half in 0..2 {
            let x = _mm256_castsi256_ps(load32(&x[half]));
            sums[0][half] = _mm256_fmadd_ps(a[half], x, sums[0][half]);
            sums[1][half] = _mm256_fmadd_ps(b[half], x, sums[1][half]);
        }
    }
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
