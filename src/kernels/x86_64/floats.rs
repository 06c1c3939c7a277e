//! What the kernels for plain floats share.

pub(super) use crate::kernels::floats::{BF16, Element, F16, F32, elements_of, padded, rows_of, split, tiles};
use std::arch::x86_64::*;

/// Lane `i` is the sum of the lanes of vector `i`, by halves.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn add_quarters([a, b, c, d]: [__m128; 4]) -> __m128 {
    let ab = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
    let cd = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    _mm_add_ps(_mm_shuffle_ps::<EVEN>(ab, cd), _mm_shuffle_ps::<ODD>(ab, cd))
}
