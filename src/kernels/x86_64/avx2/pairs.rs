//! Weights of two outputs, unpacked to bytes: a vector holds 16 neighbouring weights of the first in its lower half, and
//! the same of the second in its upper one.

use crate::kernels::block::{Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use crate::kernels::kind::group;
use crate::kernels::x86_64::memory::{load16, twice};
use crate::kernels::x86_64::operand::Block;
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// Which 16 weights vector `i` of part `part` of a superblock holds.
pub(super) const fn place(dtype: Dtype, part: usize, i: usize) -> usize {
    match group(dtype) {
        32 => 4 * part + i,
        _ => part / 2 * 8 + part % 2 + 2 * i,
    }
}

/// The weights of blocks of 32: of Q8_0 as they are, else unsigned, those of Q4_0 plus 8 and those of Q5_0 plus 16.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn block<B: Block>(blocks: [&B; 2]) -> [__m256i; 2] {
    let [a, b] = blocks;
    match B::DTYPE {
        Dtype::Q4_0 => {
            let [a, b]: [&Q4_0; 2] = [cast_ref(a), cast_ref(b)];
            nibbles(both(&a.qs, &b.qs))
        }
        Dtype::Q4_1 => {
            let [a, b]: [&Q4_1; 2] = [cast_ref(a), cast_ref(b)];
            nibbles(both(&a.qs, &b.qs))
        }
        Dtype::Q5_0 => {
            let [a, b]: [&Q5_0; 2] = [cast_ref(a), cast_ref(b)];
            add_fifth_bits(nibbles(both(&a.qs, &b.qs)), [a.qh, b.qh])
        }
        Dtype::Q5_1 => {
            let [a, b]: [&Q5_1; 2] = [cast_ref(a), cast_ref(b)];
            add_fifth_bits(nibbles(both(&a.qs, &b.qs)), [a.qh, b.qh])
        }
        _ => {
            let [a, b]: [&Q8_0; 2] = [cast_ref(a), cast_ref(b)];
            let [a, b]: [&[[u8; 16]; 2]; 2] = [cast_ref(&a.qs), cast_ref(&b.qs)];
            [both(&a[0], &b[0]), both(&a[1], &b[1])]
        }
    }
}

/// 64 weights of superblocks, see [`place`]: those of Q3_K plus 4 and of Q6_K plus 32.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn part_of_superblock<B: Block, const PART: usize>(blocks: [&B; 2]) -> [__m256i; 4] {
    let [a, b] = blocks;
    match B::DTYPE {
        Dtype::Q2_K => {
            let [a, b]: [&Q2_K; 2] = [cast_ref(a), cast_ref(b)];
            bit_pairs(piece(&a.qs, &b.qs, PART))
        }
        Dtype::Q3_K => {
            let [a, b]: [&Q3_K; 2] = [cast_ref(a), cast_ref(b)];
            let q = bit_pairs(piece(&a.qs, &b.qs, PART));
            add_high_bits::<2>(q, [piece(&a.hmask, &b.hmask, PART % 2); 4], PART / 2 * 4, [0, 1, 2, 3])
        }
        Dtype::Q4_K => {
            let [a, b]: [&Q4_K; 2] = [cast_ref(a), cast_ref(b)];
            two_nibbles([piece(&a.qs, &b.qs, 2 * PART), piece(&a.qs, &b.qs, 2 * PART + 1)])
        }
        Dtype::Q5_K => {
            let [a, b]: [&Q5_K; 2] = [cast_ref(a), cast_ref(b)];
            let q = two_nibbles([piece(&a.qs, &b.qs, 2 * PART), piece(&a.qs, &b.qs, 2 * PART + 1)]);
            let high = [piece(&a.qh, &b.qh, 0), piece(&a.qh, &b.qh, 1)];
            add_high_bits::<4>(q, [high[0], high[1], high[0], high[1]], 2 * PART, [0, 0, 1, 1])
        }
        _ => {
            let [a, b]: [&Q6_K; 2] = [cast_ref(a), cast_ref(b)];
            let at = PART / 2 * 4 + PART % 2;
            let [first, second] = [piece(&a.ql, &b.ql, at), piece(&a.ql, &b.ql, at + 2)];
            let high = piece(&a.qh, &b.qh, PART);
            let upper = _mm256_set1_epi8(0x30);
            [
                _mm256_or_si256(low(first), _mm256_and_si256(_mm256_slli_epi16::<4>(high), upper)),
                _mm256_or_si256(low(second), _mm256_and_si256(_mm256_slli_epi16::<2>(high), upper)),
                _mm256_or_si256(low(_mm256_srli_epi16::<4>(first)), _mm256_and_si256(high, upper)),
                _mm256_or_si256(
                    low(_mm256_srli_epi16::<4>(second)),
                    _mm256_and_si256(_mm256_srli_epi16::<2>(high), upper),
                ),
            ]
        }
    }
}

/// 16 bytes of each of two.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn both(a: &[u8; 16], b: &[u8; 16]) -> __m256i {
    _mm256_set_m128i(load16(b), load16(a))
}

/// Piece `i` of each of two.
#[inline]
#[target_feature(enable = "avx2")]
fn piece<const N: usize>(a: &[u8; N], b: &[u8; N], i: usize) -> __m256i {
    let (a, b) = (&a.as_chunks().0[i], &b.as_chunks().0[i]);
    _mm256_blend_epi32::<0xf0>(_mm256_castsi128_si256(load16(a)), twice(b))
}

#[inline]
#[target_feature(enable = "avx2")]
fn low(x: __m256i) -> __m256i {
    _mm256_and_si256(x, _mm256_set1_epi8(15))
}

#[inline]
#[target_feature(enable = "avx2")]
fn nibbles(packed: __m256i) -> [__m256i; 2] {
    [low(packed), low(_mm256_srli_epi16::<4>(packed))]
}

/// The low nibbles of both, then the high ones.
#[inline]
#[target_feature(enable = "avx2")]
fn two_nibbles([a, b]: [__m256i; 2]) -> [__m256i; 4] {
    [low(a), low(b), low(_mm256_srli_epi16::<4>(a)), low(_mm256_srli_epi16::<4>(b))]
}

#[inline]
#[target_feature(enable = "avx2")]
fn bit_pairs(packed: __m256i) -> [__m256i; 4] {
    let three = _mm256_set1_epi8(3);
    [
        _mm256_and_si256(packed, three),
        _mm256_and_si256(_mm256_srli_epi16::<2>(packed), three),
        _mm256_and_si256(_mm256_srli_epi16::<4>(packed), three),
        _mm256_and_si256(_mm256_srli_epi16::<6>(packed), three),
    ]
}

/// Adds 1 << `TO` to the bytes of vector `i` whose bit `first + bits[i]` in `high[i]` is set.
#[inline]
#[target_feature(enable = "avx2")]
fn add_high_bits<const TO: u32>(
    mut q: [__m256i; 4],
    high: [__m256i; 4],
    first: usize,
    bits: [usize; 4],
) -> [__m256i; 4] {
    let value = _mm256_set1_epi8(1 << TO);
    for i in 0..4 {
        let bit = _mm256_set1_epi8((1u8 << (first + bits[i])) as i8);
        let is_set = _mm256_cmpeq_epi8(_mm256_and_si256(high[i], bit), bit);
        q[i] = _mm256_or_si256(q[i], _mm256_and_si256(is_set, value));
    }
    q
}

/// Adds 16 to each byte whose bit is set.
#[inline]
#[target_feature(enable = "avx2")]
fn add_fifth_bits(mut q: [__m256i; 2], bits: [[u8; 4]; 2]) -> [__m256i; 2] {
    let [a, b] = bits.map(i32::from_le_bytes);
    let both = _mm256_set_m128i(_mm_set1_epi32(b), _mm_set1_epi32(a));
    let bit = _mm256_set1_epi64x(i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]));
    for (i, q) in q.iter_mut().enumerate() {
        let first = i as i64 * 0x0202_0202_0202_0202;
        let second = first + 0x0101_0101_0101_0101;
        let bytes = _mm256_shuffle_epi8(both, _mm256_set_epi64x(second, first, second, first));
        let is_set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
        *q = _mm256_or_si256(*q, _mm256_and_si256(is_set, _mm256_set1_epi8(16)));
    }
    q
}
