//! Superblocks of 256 weights, unpacked to unsigned bytes in their natural order.

use crate::kernels::block::{Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};
use crate::kernels::x86_64::memory::{load16, load32, load64};
use crate::kernels::x86_64::operand::Block;
use crate::kernels::x86_64::scales::{q3_k_scales, scales_and_minima};
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// The integers of a superblock.
#[derive(Clone, Copy)]
pub(super) struct Superblock {
    /// The weights, of Q3_K plus 4 and of Q6_K plus 32.
    pub(super) q: [__m512i; 4],
    /// The scale of each group as i16: 8 or 16 of them, then unused lanes.
    pub(super) scales: __m512i,
    /// What is multiplied with the prepared sums of the activations: minima, or scales where there is an offset.
    pub(super) factors: __m256i,
}

/// Decodes a superblock.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn unpack<B: Block>(block: &B) -> Superblock {
    match B::DTYPE {
        Dtype::Q2_K => q2_k(cast_ref(block)),
        Dtype::Q3_K => q3_k(cast_ref(block)),
        Dtype::Q4_K => q4_k(cast_ref(block)),
        Dtype::Q5_K => q5_k(cast_ref(block)),
        _ => q6_k(cast_ref(block)),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn twice(half: &[u8; 32]) -> __m512i {
    _mm512_broadcast_i64x4(load32(half))
}

/// Words of which the first 16 hold `low` and the others `high`.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(low: i16, high: i16) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_set1_epi16(low), _mm256_set1_epi16(high))
}

/// For weights in bit pairs, vector `j` of the four.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw")]
fn bit_pairs(qs: &[u8; 64], j: usize) -> __m512i {
    let qs: &[[u8; 32]; 2] = cast_ref(qs);
    let shift = 4 * (j % 2) as i16;
    _mm512_and_si512(_mm512_srlv_epi16(twice(&qs[j / 2]), halves(shift, shift + 2)), _mm512_set1_epi8(3))
}

/// For weights in nibbles, vector `j` of the four.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw")]
fn nibbles(qs: &[u8; 128], j: usize) -> __m512i {
    let qs: &[[u8; 32]; 4] = cast_ref(qs);
    _mm512_and_si512(_mm512_srlv_epi16(twice(&qs[j]), halves(0, 4)), _mm512_set1_epi8(15))
}

/// Adds `value` to the bytes of `q`, vector `j`, whose bit in `high` is set: bit `g` of a byte belongs to group `g`.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw")]
fn add_high_bit(q: __m512i, high: __m512i, j: usize, value: i8) -> __m512i {
    let bit = |g: usize| (1u8 << g) as i8;
    let bits = _mm512_inserti64x4::<1>(_mm512_set1_epi8(bit(2 * j)), _mm256_set1_epi8(bit(2 * j + 1)));
    _mm512_mask_add_epi8(q, _mm512_test_epi8_mask(high, bits), q, _mm512_set1_epi8(value))
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq")]
fn q2_k(block: &Q2_K) -> Superblock {
    let packed = load16(&block.scales);
    let low = _mm_set1_epi8(15);
    let scales = _mm256_cvtepu8_epi16(_mm_and_si128(packed, low));
    let factors = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16::<4>(packed), low));
    let q = [bit_pairs(&block.qs, 0), bit_pairs(&block.qs, 1), bit_pairs(&block.qs, 2), bit_pairs(&block.qs, 3)];
    Superblock { q, scales: _mm512_castsi256_si512(scales), factors }
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq")]
fn q3_k(block: &Q3_K) -> Superblock {
    let scales = _mm256_cvtepi8_epi16(q3_k_scales(&block.scales));
    let high = twice(&block.hmask);
    let mut q = [_mm512_setzero_si512(); 4];
    for (j, q) in q.iter_mut().enumerate() {
        *q = add_high_bit(bit_pairs(&block.qs, j), high, j, 4);
    }
    Superblock { q, scales: _mm512_castsi256_si512(scales), factors: scales }
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq")]
fn q4_k(block: &Q4_K) -> Superblock {
    let factors = scales_and_minima(&block.scales);
    let q = [nibbles(&block.qs, 0), nibbles(&block.qs, 1), nibbles(&block.qs, 2), nibbles(&block.qs, 3)];
    Superblock { q, scales: _mm512_castsi256_si512(factors), factors }
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq")]
fn q5_k(block: &Q5_K) -> Superblock {
    let factors = scales_and_minima(&block.scales);
    let high = twice(&block.qh);
    let mut q = [_mm512_setzero_si512(); 4];
    for (j, q) in q.iter_mut().enumerate() {
        *q = add_high_bit(nibbles(&block.qs, j), high, j, 16);
    }
    Superblock { q, scales: _mm512_castsi256_si512(factors), factors }
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq")]
fn q6_k(block: &Q6_K) -> Superblock {
    let scales = _mm256_cvtepi8_epi16(load16(cast_ref(&block.scales)));
    let (low, high): (&[[u8; 64]; 2], &[[u8; 32]; 2]) = (cast_ref(&block.ql), cast_ref(&block.qh));
    let mut q = [_mm512_setzero_si512(); 4];
    for half in 0..2 {
        let (low, high) = (load64(&low[half]), twice(&high[half]));
        let first = _mm512_sllv_epi16(high, halves(4, 2));
        let second = _mm512_srlv_epi16(high, halves(0, 2));
        q[2 * half] = join_six_bits(low, first);
        q[2 * half + 1] = join_six_bits(_mm512_srli_epi16::<4>(low), second);
    }
    Superblock { q, scales: _mm512_castsi256_si512(scales), factors: scales }
}

/// Bits 0 to 3 from `low` and bits 4 and 5 from `high`.
#[inline]
#[target_feature(enable = "avx512f")]
fn join_six_bits(low: __m512i, high: __m512i) -> __m512i {
    const A_OR_B_AND_C: i32 = 0xf8;
    let low = _mm512_and_si512(low, _mm512_set1_epi8(15));
    _mm512_ternarylogic_epi32::<A_OR_B_AND_C>(low, high, _mm512_set1_epi8(48))
}
