//! Superblocks of 256 weights, unpacked to unsigned bytes in their natural order.

use crate::kernels::block::{Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};
use crate::kernels::x86_64::memory::{load16, load32};
use crate::kernels::x86_64::operand::Block;
use crate::kernels::x86_64::scales::{q3_k_scales, scales_and_minima};
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// The integers of a superblock.
#[derive(Clone, Copy)]
pub(super) struct Superblock {
    /// The weights, of Q3_K plus 4 and of Q6_K plus 32.
    pub(super) q: [__m256i; 8],
    /// Word `j` of the two halves holds the scales of the two halves of vector `j`.
    pub(super) scales: __m256i,
    /// What is multiplied with the prepared sums of the activations: minima, or scales where there is an offset.
    pub(super) factors: __m256i,
}

/// Decodes a superblock.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn unpack<B: Block>(block: &B) -> Superblock {
    match B::DTYPE {
        Dtype::Q2_K => q2_k(cast_ref(block)),
        Dtype::Q3_K => q3_k(cast_ref(block)),
        Dtype::Q4_K => q4_k(cast_ref(block)),
        Dtype::Q5_K => q5_k(cast_ref(block)),
        _ => q6_k(cast_ref(block)),
    }
}

/// Sixteen scales, the even ones as words in the low half and the odd ones in the high half.
#[inline]
#[target_feature(enable = "avx2")]
fn even_and_odd(scales: __m128i) -> __m256i {
    let order = _mm_set_epi8(15, 13, 11, 9, 7, 5, 3, 1, 14, 12, 10, 8, 6, 4, 2, 0);
    _mm256_cvtepi8_epi16(_mm_shuffle_epi8(scales, order))
}

/// For weights in bit pairs, 32 after 32.
#[inline]
#[target_feature(enable = "avx2")]
fn bit_pairs(qs: &[u8; 64]) -> [__m256i; 8] {
    let [a, b]: &[[u8; 32]; 2] = cast_ref(qs);
    let (a, b, three) = (load32(a), load32(b), _mm256_set1_epi8(3));
    [
        _mm256_and_si256(a, three),
        _mm256_and_si256(_mm256_srli_epi16::<2>(a), three),
        _mm256_and_si256(_mm256_srli_epi16::<4>(a), three),
        _mm256_and_si256(_mm256_srli_epi16::<6>(a), three),
        _mm256_and_si256(b, three),
        _mm256_and_si256(_mm256_srli_epi16::<2>(b), three),
        _mm256_and_si256(_mm256_srli_epi16::<4>(b), three),
        _mm256_and_si256(_mm256_srli_epi16::<6>(b), three),
    ]
}

/// For weights in nibbles, group by group.
#[inline]
#[target_feature(enable = "avx2")]
fn nibbles(qs: &[u8; 128]) -> [__m256i; 8] {
    let qs: &[[u8; 32]; 4] = cast_ref(qs);
    let low = _mm256_set1_epi8(15);
    let mut q = [_mm256_setzero_si256(); 8];
    for (pair, qs) in q.as_chunks_mut::<2>().0.iter_mut().zip(qs) {
        let qs = load32(qs);
        *pair = [_mm256_and_si256(qs, low), _mm256_and_si256(_mm256_srli_epi16::<4>(qs), low)];
    }
    q
}

/// Adds `value` to the bytes whose bit in `high` is set: bit `g` of a byte belongs to vector `g`.
#[inline]
#[target_feature(enable = "avx2")]
fn add_high_bits(mut q: [__m256i; 8], high: &[u8; 32], value: i8) -> [__m256i; 8] {
    let high = load32(high);
    for (g, q) in q.iter_mut().enumerate() {
        let bit = _mm256_set1_epi8((1u8 << g) as i8);
        let set = _mm256_cmpeq_epi8(_mm256_and_si256(high, bit), bit);
        *q = _mm256_or_si256(*q, _mm256_and_si256(set, _mm256_set1_epi8(value)));
    }
    q
}

#[inline]
#[target_feature(enable = "avx2")]
fn q2_k(block: &Q2_K) -> Superblock {
    let packed = load16(&block.scales);
    let low = _mm_set1_epi8(15);
    let scales = even_and_odd(_mm_and_si128(packed, low));
    let factors = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16::<4>(packed), low));
    Superblock { q: bit_pairs(&block.qs), scales, factors }
}

#[inline]
#[target_feature(enable = "avx2")]
fn q3_k(block: &Q3_K) -> Superblock {
    let scales = q3_k_scales(&block.scales);
    let q = add_high_bits(bit_pairs(&block.qs), &block.hmask, 4);
    Superblock { q, scales: even_and_odd(scales), factors: _mm256_cvtepi8_epi16(scales) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn q4_k(block: &Q4_K) -> Superblock {
    let factors = scales_and_minima(&block.scales);
    let scales = _mm256_permute4x64_epi64::<0b01_00_01_00>(factors);
    Superblock { q: nibbles(&block.qs), scales, factors }
}

#[inline]
#[target_feature(enable = "avx2")]
fn q5_k(block: &Q5_K) -> Superblock {
    let factors = scales_and_minima(&block.scales);
    let scales = _mm256_permute4x64_epi64::<0b01_00_01_00>(factors);
    Superblock { q: add_high_bits(nibbles(&block.qs), &block.qh, 16), scales, factors }
}

#[inline]
#[target_feature(enable = "avx2")]
fn q6_k(block: &Q6_K) -> Superblock {
    let scales = load16(cast_ref(&block.scales));
    let low: &[[u8; 32]; 4] = cast_ref(&block.ql);
    let high = bit_pairs(&block.qh);
    let mut q = [_mm256_setzero_si256(); 8];
    for half in 0..2 {
        for i in 0..2 {
            let low = load32(&low[2 * half + i]);
            q[4 * half + i] = six_bits(low, high[4 * half + i]);
            q[4 * half + 2 + i] = six_bits(_mm256_srli_epi16::<4>(low), high[4 * half + 2 + i]);
        }
    }
    Superblock { q, scales: even_and_odd(scales), factors: _mm256_cvtepi8_epi16(scales) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn six_bits(low: __m256i, high: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi8(15)), _mm256_slli_epi16::<4>(high))
}
