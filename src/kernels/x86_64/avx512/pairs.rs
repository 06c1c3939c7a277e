//! Pairs of blocks of 32 weights, unpacked to unsigned bytes in their natural order.

use super::memory::{load16, load32};
use crate::kernels::block::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use crate::kernels::x86_64::operand::number;
use bytemuck::{cast_ref, from_bytes};
use std::arch::x86_64::*;

/// Bytes of a block of type `t`.
pub(super) const fn bytes(t: u8) -> usize {
    match t {
        number::Q4_0 => size_of::<Q4_0>(),
        number::Q4_1 => size_of::<Q4_1>(),
        number::Q5_0 => size_of::<Q5_0>(),
        number::Q5_1 => size_of::<Q5_1>(),
        _ => size_of::<Q8_0>(),
    }
}

/// Whether type `t` has a minimum.
pub(super) const fn has_minima(t: u8) -> bool {
    matches!(t, number::Q4_1 | number::Q5_1)
}

/// The weights of two blocks, plus 8 (Q4_0), 16 (Q5_0) or 128 (Q8_0).
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw")]
pub(super) fn unpack<const T: u8>(a: &[u8], b: &[u8]) -> __m512i {
    match T {
        number::Q4_0 => nibbles(&from_bytes::<Q4_0>(a).qs, &from_bytes::<Q4_0>(b).qs),
        number::Q4_1 => nibbles(&from_bytes::<Q4_1>(a).qs, &from_bytes::<Q4_1>(b).qs),
        number::Q5_0 => {
            let (a, b) = (from_bytes::<Q5_0>(a), from_bytes::<Q5_0>(b));
            add_fifth_bits(nibbles(&a.qs, &b.qs), a.qh, b.qh)
        }
        number::Q5_1 => {
            let (a, b) = (from_bytes::<Q5_1>(a), from_bytes::<Q5_1>(b));
            add_fifth_bits(nibbles(&a.qs, &b.qs), a.qh, b.qh)
        }
        _ => {
            let (a, b) = (load32(cast_ref(&from_bytes::<Q8_0>(a).qs)), load32(cast_ref(&from_bytes::<Q8_0>(b).qs)));
            _mm512_xor_si512(join(a, b), _mm512_set1_epi8(-128))
        }
    }
}

/// The scale in the low half of the result and the minimum, if any, in the high one, as f16.
#[inline]
pub(super) fn scale_bits<const T: u8>(block: &[u8]) -> i32 {
    let pair = |d: [u8; 2], m: [u8; 2]| i32::from_le_bytes([d[0], d[1], m[0], m[1]]);
    match T {
        number::Q4_0 => pair(from_bytes::<Q4_0>(block).d.0, [0; 2]),
        number::Q4_1 => pair(from_bytes::<Q4_1>(block).d.0, from_bytes::<Q4_1>(block).m.0),
        number::Q5_0 => pair(from_bytes::<Q5_0>(block).d.0, [0; 2]),
        number::Q5_1 => pair(from_bytes::<Q5_1>(block).d.0, from_bytes::<Q5_1>(block).m.0),
        _ => pair(from_bytes::<Q8_0>(block).d.0, [0; 2]),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn join(a: __m256i, b: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b)
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw")]
fn nibbles(a: &[u8; 16], b: &[u8; 16]) -> __m512i {
    let both = join(_mm256_broadcastsi128_si256(load16(a)), _mm256_broadcastsi128_si256(load16(b)));
    let shifts = _mm512_set_epi64(FOUR, FOUR, 0, 0, FOUR, FOUR, 0, 0);
    _mm512_and_si512(_mm512_srlv_epi16(both, shifts), _mm512_set1_epi8(15))
}

/// Four words of 4.
const FOUR: i64 = 0x0004_0004_0004_0004;

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add_fifth_bits(q: __m512i, a: [u8; 4], b: [u8; 4]) -> __m512i {
    let bits = u64::from(u32::from_le_bytes(a)) | u64::from(u32::from_le_bytes(b)) << 32;
    _mm512_mask_add_epi8(q, bits, q, _mm512_set1_epi8(16))
}
