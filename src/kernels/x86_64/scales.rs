//! The packed scales of superblocks.

use crate::tensor::Dtype;
use std::arch::x86_64::*;

/// Whether a type has minima.
pub(super) const fn has_minima(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q2_K | Dtype::Q4_K | Dtype::Q5_K)
}

/// Weights in a group of a superblock, which share a scale.
pub(super) const fn group(dtype: Dtype) -> usize {
    if matches!(dtype, Dtype::Q4_K | Dtype::Q5_K) { 32 } else { 16 }
}

/// See [`crate::kernels::block::Q3_K::scales()`].
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn q3_k_scales(packed: &[u8; 12]) -> __m128i {
    let [a, b, high]: [u32; 3] = bytemuck::cast::<[u8; 12], [[u8; 4]; 3]>(*packed).map(u32::from_le_bytes);
    let low = u64::from(a) | u64::from(b) << 32;
    let nibbles = |shift: u32| low >> shift & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs =
        |shift: u32| u64::from(high >> shift & 0x0303_0303) | u64::from(high >> (shift + 2) & 0x0303_0303) << 32;
    let first = nibbles(0) | pairs(0) << 4;
    let second = nibbles(4) | pairs(4) << 4;
    _mm_sub_epi8(_mm_set_epi64x(second as i64, first as i64), _mm_set1_epi8(32))
}

/// The eight scales and then the eight minima, see [`crate::kernels::block::scales_and_mins`].
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn scales_and_minima(packed: &[u8; 12]) -> __m256i {
    let [a, b, c]: [u32; 3] = bytemuck::cast::<[u8; 12], [[u8; 4]; 3]>(*packed).map(u32::from_le_bytes);
    let join = |first: u32, low: u32, high: u32| {
        let second = low & 0x0f0f_0f0f | high >> 2 & 0x3030_3030;
        (u64::from(first & 0x3f3f_3f3f) | u64::from(second) << 32) as i64
    };
    _mm256_cvtepu8_epi16(_mm_set_epi64x(join(b, c >> 4, b), join(a, c, a)))
}
