//! Blocks of sixteen outputs side by side: in every vector, lane `i` belongs to block `i`.

use crate::kernels::x86_64::memory::{load16, load32};
use bytemuck::{Pod, bytes_of};
use std::arch::x86_64::*;

/// The 16 bytes of each block from `at` on, as vectors of four bytes.
#[inline]
#[target_feature(enable = "avx2,avx512f")]
pub(super) fn column<B: Pod>(blocks: &[&B; 16], at: usize) -> [__m512i; 4] {
    let part = |i: usize| load16(&bytes_of(blocks[i])[at..].as_chunks().0[0]);
    let mut rows = [_mm512_setzero_si512(); 4];
    for (i, row) in rows.iter_mut().enumerate() {
        let low = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(part(i)), part(4 + i));
        let three = _mm512_inserti32x4::<2>(_mm512_castsi256_si512(low), part(8 + i));
        *row = _mm512_inserti32x4::<3>(three, part(12 + i));
    }
    transpose_quarters(rows)
}

/// The 32 bytes of each block from `at` on, as vectors of four bytes.
#[inline]
#[target_feature(enable = "avx2,avx512f")]
pub(super) fn wide_column<B: Pod>(blocks: &[&B; 16], at: usize) -> [__m512i; 8] {
    const FIRST: i32 = 0b10_00_10_00;
    const SECOND: i32 = 0b11_01_11_01;
    let part = |i: usize| load32(&bytes_of(blocks[i])[at..].as_chunks().0[0]);
    let (mut low, mut high) = ([_mm512_setzero_si512(); 4], [_mm512_setzero_si512(); 4]);
    for i in 0..4 {
        low[i] = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(part(i)), part(4 + i));
        high[i] = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(part(8 + i)), part(12 + i));
    }
    // Quarters 0 and 2 hold the first 16 bytes of four blocks each, quarters 1 and 3 the others.
    let (low, high) = (transpose_quarters(low), transpose_quarters(high));
    let mut columns = [_mm512_setzero_si512(); 8];
    for i in 0..4 {
        columns[i] = _mm512_shuffle_i32x4::<FIRST>(low[i], high[i]);
        columns[4 + i] = _mm512_shuffle_i32x4::<SECOND>(low[i], high[i]);
    }
    columns
}

/// Lane `i` of vector `j` becomes lane `j` of vector `i`, in each quarter.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_quarters([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab_low, cd_low),
        _mm512_unpackhi_epi64(ab_low, cd_low),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// The low four bits of each byte.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn low_nibbles(x: __m512i) -> __m512i {
    _mm512_and_si512(x, _mm512_set1_epi8(15))
}

/// The high four bits of each byte.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn high_nibbles(x: __m512i) -> __m512i {
    low_nibbles(_mm512_srli_epi16::<4>(x))
}

/// `x`, and those bits of `bits` that `MASK` has in every byte.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn join<const MASK: i8>(x: __m512i, bits: __m512i) -> __m512i {
    const A_OR_B_AND_C: i32 = 0xf8;
    _mm512_ternarylogic_epi32::<A_OR_B_AND_C>(x, bits, _mm512_set1_epi8(MASK))
}

/// The four bytes of each lane, signed, in a vector each.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn bytes_of_lanes(x: __m512i) -> [__m512i; 4] {
    [
        _mm512_srai_epi32::<24>(_mm512_slli_epi32::<24>(x)),
        _mm512_srai_epi32::<24>(_mm512_slli_epi32::<16>(x)),
        _mm512_srai_epi32::<24>(_mm512_slli_epi32::<8>(x)),
        _mm512_srai_epi32::<24>(x),
    ]
}

/// The first two and the last two bytes of each lane, as words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn words_of_lanes(x: __m512i) -> [__m512i; 2] {
    let words = |first: u32| {
        let two = |byte: u32| (0x8001_8000 + 0x0001_0001 * (byte + first)) as i32;
        _mm512_shuffle_epi8(x, _mm512_set4_epi32(two(12), two(8), two(4), two(0)))
    };
    [words(0), words(2)]
}

/// The scale in the low half of each lane, as f16.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn low_float(bits: __m512i) -> __m512 {
    _mm512_cvtph_ps(_mm512_cvtepi32_epi16(bits))
}

/// The same of the high half.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn high_float(bits: __m512i) -> __m512 {
    low_float(_mm512_srli_epi32::<16>(bits))
}
