//! Products with few rows of activations: each weight is unpacked in registers, once for up to two rows, or three where
//! there are registers enough.
//!
//! Four outputs go side by side, one from each quarter of the range, so that memory is read in four long streams and the
//! sums of the four fill a vector when they are added up.

use super::superblocks::Superblock;
use super::{pairs, superblocks};
use crate::kernels::block::{Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use crate::kernels::x86_64::memory::{load32, load64, prefetch_after};
use crate::kernels::x86_64::operand::{Block, Operand};
use crate::kernels::x86_64::quad::{
    ROWS, add_scaled, blocks_of, fold_half, halves_of_four, operands, outputs_of, parts, same_length, store,
};
use crate::kernels::x86_64::scales::{group, has_minima};
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn product(weights: &Weights, x: &Rows, out: Columns, sums: &[[u8; 16]]) {
    match weights.dtype() {
        Dtype::F32 | Dtype::F16 | Dtype::BF16 => unreachable!("plain floats have no blocks"),
        Dtype::Q4_0 => all::<Q4_0>(weights, x, out, sums),
        Dtype::Q4_1 => all::<Q4_1>(weights, x, out, sums),
        Dtype::Q5_0 => all::<Q5_0>(weights, x, out, sums),
        Dtype::Q5_1 => all::<Q5_1>(weights, x, out, sums),
        Dtype::Q8_0 => all::<Q8_0>(weights, x, out, sums),
        Dtype::Q2_K => all::<Q2_K>(weights, x, out, sums),
        Dtype::Q3_K => all::<Q3_K>(weights, x, out, sums),
        Dtype::Q4_K => all::<Q4_K>(weights, x, out, sums),
        Dtype::Q5_K => all::<Q5_K>(weights, x, out, sums),
        Dtype::Q6_K => all::<Q6_K>(weights, x, out, sums),
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn all<B: Block>(weights: &Weights, x: &Rows, mut out: Columns, sums: &[[u8; 16]]) {
    let n = out.range().len();
    for first_row in (0..x.n_rows()).step_by(ROWS) {
        let n_rows = ROWS.min(x.n_rows() - first_row);
        let operands = operands(x, first_row, sums);
        for i in (0..n).step_by(4) {
            let outputs = outputs_of::<4>(i, n);
            let rows = blocks_of::<B, 4>(weights, out.range().start, outputs);
            let mut rest = &operands[..n_rows];
            while let Some(one) = rest.first_chunk() {
                let row = first_row + n_rows - rest.len();
                let done = if let (Some(x), 32) = (rest.first_chunk::<3>(), B::DTYPE.block_len()) {
                    store(&mut out, row, outputs, four::<B, 3>(&rows, x))
                } else if let Some(x) = rest.first_chunk::<2>() {
                    store(&mut out, row, outputs, four::<B, 2>(&rows, x))
                } else {
                    store(&mut out, row, outputs, four::<B, 1>(&rows, one))
                };
                rest = &rest[done..];
            }
        }
    }
}

/// Four outputs for `M` rows of activations.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn four<B: Block, const M: usize>(rows: &[&[B]; 4], x: &[Operand; M]) -> [__m128; M] {
    match B::DTYPE.block_len() {
        32 => four_of_pairs(rows, x),
        _ => four_of_superblocks(rows, x),
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn four_of_superblocks<B: Block, const M: usize>(rows: &[&[B]; 4], x: &[Operand; M]) -> [__m128; M] {
    let scale_lanes =
        [lanes_of_groups::<B>(0), lanes_of_groups::<B>(1), lanes_of_groups::<B>(2), lanes_of_groups::<B>(3)];
    let (rows, _) = same_length(rows);
    let mut totals = [_mm_setzero_ps(); M];
    for (b, r0) in rows[0].iter().enumerate() {
        let [r1, r2, r3] = [&rows[1][b], &rows[2][b], &rows[3][b]];
        let x_block = parts(x, b);
        let p0 = superblock(r0, &x_block, &scale_lanes);
        let p1 = superblock(r1, &x_block, &scale_lanes);
        let p2 = superblock(r2, &x_block, &scale_lanes);
        let p3 = superblock(r3, &x_block, &scale_lanes);
        let bits = _mm_set_epi32(r3.scale_bits(), r2.scale_bits(), r1.scale_bits(), r0.scale_bits());
        let d = _mm_cvtph_ps(_mm_cvtepi32_epi16(bits));
        for m in 0..M {
            let product = _mm_cvtepi32_ps(fold(lanes_of_four([p0[m].0, p1[m].0, p2[m].0, p3[m].0])));
            let value = if has_minima(B::DTYPE) {
                let dmin = _mm_cvtph_ps(_mm_cvtepi32_epi16(_mm_srli_epi32::<16>(bits)));
                let minimum = fold_half(halves_of_four([p0[m].1, p1[m].1, p2[m].1, p3[m].1]));
                _mm_fmsub_ps(d, product, _mm_mul_ps(dmin, _mm_cvtepi32_ps(minimum)))
            } else {
                _mm_mul_ps(d, product)
            };
            totals[m] = add_scaled(x[m].scales[b], value, totals[m]);
        }
    }
    totals
}

/// The products of a superblock with `M` rows of activations, and those of its minima with the prepared sums if it has
/// any, in lanes that are still to be added.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn superblock<B: Block, const M: usize>(
    block: &B,
    x: &[(&[u8; 256], &[[u8; 16]; 2]); M],
    scale_lanes: &[__m512i; 4],
) -> [(__m512i, __m256i); M] {
    prefetch_after(block);
    let Superblock { q, scales, factors } = superblocks::unpack(block);
    let mut parts = [(_mm512_setzero_si512(), _mm256_setzero_si256()); M];
    for (part, (x, sums)) in parts.iter_mut().zip(x) {
        let by_sums = _mm256_madd_epi16(factors, load32(cast_ref(*sums)));
        let mut sum = match B::DTYPE {
            Dtype::Q3_K => _mm512_zextsi256_si512(by_sums),
            Dtype::Q6_K => _mm512_zextsi256_si512(_mm256_slli_epi32::<1>(by_sums)),
            _ => _mm512_setzero_si512(),
        };
        let x: &[[u8; 64]; 4] = cast_ref(*x);
        for j in 0..4 {
            let product = _mm512_maddubs_epi16(q[j], load64(&x[j]));
            sum = _mm512_dpwssd_epi32(sum, product, _mm512_permutexvar_epi16(scale_lanes[j], scales));
        }
        *part = (sum, by_sums);
    }
    parts
}

/// Which scale each word of vector `j` of a superblock is multiplied with.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn lanes_of_groups<B: Block>(j: usize) -> __m512i {
    let mut groups = [0i16; 32];
    for (word, lane) in groups.iter_mut().enumerate() {
        *lane = ((64 * j + 2 * word) / group(B::DTYPE)) as i16;
    }
    load64(cast_ref(&groups))
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn four_of_pairs<B: Block, const M: usize>(rows: &[&[B]; 4], x: &[Operand; M]) -> [__m128; M] {
    let (rows, n) = same_length(rows);
    let mut totals = [_mm_setzero_ps(); M];
    for b in (0..n).step_by(2) {
        // A last block without a partner stands for it too; what comes of that is not added.
        let partner = (b + 1).min(n - 1);
        let x_pair = parts(x, b / 2);
        let first = [&rows[0][b], &rows[1][b], &rows[2][b], &rows[3][b]];
        let second = [&rows[0][partner], &rows[1][partner], &rows[2][partner], &rows[3][partner]];
        let p0 = pair(first[0], second[0], &x_pair);
        let p1 = pair(first[1], second[1], &x_pair);
        let p2 = pair(first[2], second[2], &x_pair);
        let p3 = pair(first[3], second[3], &x_pair);
        let scale_bits = scale_bits_of_eight(first, second);
        for m in 0..M {
            let products = lanes_of_four([p0[m], p1[m], p2[m], p3[m]]);
            let values = values_of_pairs::<B>(products, scale_bits, load32(cast_ref(x_pair[m].1)));
            totals[m] = add_scaled(x[m].scales[b], _mm256_castps256_ps128(values), totals[m]);
            if partner > b {
                totals[m] = add_scaled(x[m].scales[partner], _mm256_extractf128_ps::<1>(values), totals[m]);
            }
        }
    }
    totals
}

/// The products of a pair of blocks with `M` rows of activations, in lanes that are still to be added.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn pair<B: Block, const M: usize>(a: &B, b: &B, x: &[(&[u8; 64], &[[u8; 16]; 2]); M]) -> [__m512i; M] {
    prefetch_after(a);
    let q = pairs::unpack(a, b);
    let mut products = [_mm512_setzero_si512(); M];
    for (product, (x, _)) in products.iter_mut().zip(x) {
        *product = _mm512_dpbusd_epi32(*product, q, load64(x));
    }
    products
}

#[inline]
#[target_feature(enable = "avx2")]
fn scale_bits_of_eight<B: Block>([a0, a1, a2, a3]: [&B; 4], [b0, b1, b2, b3]: [&B; 4]) -> __m256i {
    let low = _mm_set_epi32(a3.scale_bits(), a2.scale_bits(), a1.scale_bits(), a0.scale_bits());
    let high = _mm_set_epi32(b3.scale_bits(), b2.scale_bits(), b1.scale_bits(), b0.scale_bits());
    _mm256_set_m128i(high, low)
}

/// The values of four first blocks, then those of their partners, from their products in quarters: two quarters of the
/// first blocks and two of the second.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512vl")]
fn values_of_pairs<B: Block>(products: __m512i, scale_bits: __m256i, sums: __m256i) -> __m256 {
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    let even = _mm512_castsi512_si256(_mm512_shuffle_i32x4::<EVEN>(products, products));
    let odd = _mm512_castsi512_si256(_mm512_shuffle_i32x4::<ODD>(products, products));
    let products = _mm256_add_epi32(even, odd);
    let d = _mm256_cvtph_ps(_mm256_cvtepi32_epi16(scale_bits));
    if has_minima(B::DTYPE) {
        let minimum = _mm256_cvtph_ps(_mm256_cvtepi32_epi16(_mm256_srli_epi32::<16>(scale_bits)));
        let minimum = _mm256_mul_ps(minimum, _mm256_castsi256_ps(sums));
        _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(products), minimum)
    } else {
        _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_add_epi32(products, sums)))
    }
}

/// Four vectors of which lane `i` of each quarter of the result is the sum of that quarter of vector `i`.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes_of_four([a, b, c, d]: [__m512i; 4]) -> __m512i {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd))
}

/// The sum of the quarters.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold(x: __m512i) -> __m128i {
    fold_half(_mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64::<1>(x)))
}
