//! The packed scales of superblocks.

use crate::kernels::kind;
pub(super) use crate::kernels::kind::{group, has_minima};
use std::arch::x86_64::*;

/// See [`crate::kernels::block::Q3_K::scales()`].
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn q3_k_scales(packed: &[u8; 12]) -> __m128i {
    let [first, second] = kind::q3_k_scales(packed);
    _mm_sub_epi8(_mm_set_epi64x(second as i64, first as i64), _mm_set1_epi8(32))
}

/// The eight scales and then the eight minima, see [`crate::kernels::block::scales_and_mins`].
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn scales_and_minima(packed: &[u8; 12]) -> __m256i {
    let [scales, minima] = kind::scales_and_minima(packed);
    _mm256_cvtepu8_epi16(_mm_set_epi64x(minima as i64, scales as i64))
}
