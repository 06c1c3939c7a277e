//! Products with few rows of activations: each weight is unpacked in registers, once for up to four rows.

use super::superblocks::Superblock;
use super::{blocks, dot, superblocks};
use crate::kernels::x86_64::memory::{load16, load32, prefetch_after};
use crate::kernels::x86_64::operand::{Block, Operand, with_block};
use crate::kernels::x86_64::quad::{
    ROWS, add_scaled, blocks_of, fold_half, halves_of_four, operands, outputs_of_four, parts, same_length, store,
};
use crate::kernels::x86_64::scales::has_minima;
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn product<const VNNI: bool>(weights: &Weights, x: &Rows, out: Columns, sums: &[[u8; 16]]) {
    with_block!(weights.dtype(), B => all::<VNNI, B>(weights, x, out, sums));
}

#[target_feature(enable = "avx2,fma,f16c")]
fn all<const VNNI: bool, B: Block>(weights: &Weights, x: &Rows, mut out: Columns, sums: &[[u8; 16]]) {
    let n = out.range().len();
    for first_row in (0..x.n_rows()).step_by(ROWS) {
        let n_rows = ROWS.min(x.n_rows() - first_row);
        let operands = operands(x, first_row, sums);
        for i in (0..n).step_by(4) {
            let outputs = outputs_of_four(i, n);
            let rows = blocks_of::<B>(weights, out.range().start, outputs);
            let mut rest = &operands[..n_rows];
            while let Some(one) = rest.first_chunk() {
                let row = first_row + n_rows - rest.len();
                let done = if let Some(x) = rest.first_chunk::<4>() {
                    store(&mut out, row, outputs, four::<VNNI, B, 4>(&rows, x))
                } else {
                    store(&mut out, row, outputs, four::<VNNI, B, 1>(&rows, one))
                };
                rest = &rest[done..];
            }
        }
    }
}

/// Four outputs for `M` rows of activations.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn four<const VNNI: bool, B: Block, const M: usize>(rows: &[&[B]; 4], x: &[Operand; M]) -> [__m128; M] {
    match B::DTYPE.block_len() {
        32 => four_of_blocks::<VNNI, B, M>(rows, x),
        _ => four_of_superblocks::<VNNI, B, M>(rows, x),
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn four_of_superblocks<const VNNI: bool, B: Block, const M: usize>(rows: &[&[B]; 4], x: &[Operand; M]) -> [__m128; M] {
    let (rows, _) = same_length(rows);
    let mut totals = [_mm_setzero_ps(); M];
    for (b, r0) in rows[0].iter().enumerate() {
        let [r1, r2, r3] = [&rows[1][b], &rows[2][b], &rows[3][b]];
        let x_block = parts(x, b);
        let p0 = superblock::<VNNI, B, M>(r0, &x_block);
        let p1 = superblock::<VNNI, B, M>(r1, &x_block);
        let p2 = superblock::<VNNI, B, M>(r2, &x_block);
        let p3 = superblock::<VNNI, B, M>(r3, &x_block);
        let (d, dmin) = scales_of_four([r0, r1, r2, r3]);
        for m in 0..M {
            let product = _mm_cvtepi32_ps(fold_half(halves_of_four([p0[m].0, p1[m].0, p2[m].0, p3[m].0])));
            let value = if has_minima(B::DTYPE) {
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
#[target_feature(enable = "avx2,fma,f16c")]
fn superblock<const VNNI: bool, B: Block, const M: usize>(
    block: &B,
    x: &[(&[u8; 256], &[[u8; 16]; 2]); M],
) -> [(__m256i, __m256i); M] {
    prefetch_after(block);
    let Superblock { q, scales, factors } = superblocks::unpack(block);
    let mut parts = [(_mm256_setzero_si256(), _mm256_setzero_si256()); M];
    for (part, (x, sums)) in parts.iter_mut().zip(x) {
        let by_sums = _mm256_madd_epi16(factors, load32(cast_ref(*sums)));
        let mut sum = match B::DTYPE {
            Dtype::Q3_K => by_sums,
            Dtype::Q6_K => _mm256_slli_epi32::<1>(by_sums),
            _ => _mm256_setzero_si256(),
        };
        let x: &[[u8; 32]; 8] = cast_ref(*x);
        for j in 0..8 {
            let word = _mm256_set1_epi16((j as i16) * 0x0202 + 0x0100);
            let product = _mm256_maddubs_epi16(q[j], load32(&x[j]));
            sum = dot::words::<VNNI>(sum, product, _mm256_shuffle_epi8(scales, word));
        }
        *part = (sum, by_sums);
    }
    parts
}

#[target_feature(enable = "avx2,fma,f16c")]
fn four_of_blocks<const VNNI: bool, B: Block, const M: usize>(rows: &[&[B]; 4], x: &[Operand; M]) -> [__m128; M] {
    let (rows, _) = same_length(rows);
    let mut totals = [_mm_setzero_ps(); M];
    for (b, r0) in rows[0].iter().enumerate() {
        let [r1, r2, r3] = [&rows[1][b], &rows[2][b], &rows[3][b]];
        let x_block = parts_of_blocks(x, b);
        let p0 = block::<VNNI, B, M>(r0, &x_block);
        let p1 = block::<VNNI, B, M>(r1, &x_block);
        let p2 = block::<VNNI, B, M>(r2, &x_block);
        let p3 = block::<VNNI, B, M>(r3, &x_block);
        let (d, minimum) = scales_of_four([r0, r1, r2, r3]);
        for m in 0..M {
            let product = fold_half(halves_of_four([p0[m], p1[m], p2[m], p3[m]]));
            let sums = load16(&x[m].sums[b]);
            let value = match B::DTYPE {
                Dtype::Q4_1 | Dtype::Q5_1 => {
                    let minimum = _mm_mul_ps(minimum, _mm_castsi128_ps(sums));
                    _mm_fmadd_ps(d, _mm_cvtepi32_ps(product), minimum)
                }
                Dtype::Q8_0 => _mm_mul_ps(d, _mm_cvtepi32_ps(product)),
                _ => _mm_mul_ps(d, _mm_cvtepi32_ps(_mm_add_epi32(product, sums))),
            };
            totals[m] = add_scaled(x[m].scales[b], value, totals[m]);
        }
    }
    totals
}

/// The products of a block with `M` rows of activations, in lanes that are still to be added.
#[inline]
#[target_feature(enable = "avx2")]
fn block<const VNNI: bool, B: Block, const M: usize>(block: &B, x: &[&[u8; 32]; M]) -> [__m256i; M] {
    prefetch_after(block);
    let q = blocks::unpack(block);
    let mut products = [_mm256_setzero_si256(); M];
    for (product, x) in products.iter_mut().zip(x) {
        let x = load32(x);
        *product = match B::DTYPE {
            // Magnitudes up to 128 and the signs on the other side: an offset of 128 would exceed 16 bits.
            Dtype::Q8_0 => dot::bytes::<VNNI>(*product, _mm256_abs_epi8(q), _mm256_sign_epi8(x, q)),
            _ => dot::bytes::<VNNI>(*product, q, x),
        };
    }
    products
}

/// Block `b` of the activations of each row.
#[inline]
fn parts_of_blocks<'a, const M: usize>(x: &[Operand<'a>; M], b: usize) -> [&'a [u8; 32]; M] {
    x.map(|x| &x.q.as_chunks().0[b])
}

/// The scales of four blocks, and those of their minima.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn scales_of_four<B: Block>([a, b, c, d]: [&B; 4]) -> (__m128, __m128) {
    let bits = _mm_set_epi32(d.scale_bits(), c.scale_bits(), b.scale_bits(), a.scale_bits());
    let order = _mm_set_epi8(15, 14, 11, 10, 7, 6, 3, 2, 13, 12, 9, 8, 5, 4, 1, 0);
    let both = _mm256_cvtph_ps(_mm_shuffle_epi8(bits, order));
    (_mm256_castps256_ps128(both), _mm256_extractf128_ps::<1>(both))
}
