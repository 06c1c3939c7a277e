//! Pairs of blocks of 32 weights, unpacked to unsigned bytes in their natural order.

use crate::kernels::block::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use crate::kernels::x86_64::memory::{load16, load32};
use crate::kernels::x86_64::operand::Block;
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// The weights of two blocks, plus 8 (Q4_0), 16 (Q5_0) or 128 (Q8_0).
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw")]
pub(super) fn unpack<B: Block>(a: &B, b: &B) -> __m512i {
    match B::DTYPE {
        Dtype::Q4_0 => nibbles(&cast_ref::<B, Q4_0>(a).qs, &cast_ref::<B, Q4_0>(b).qs),
        Dtype::Q4_1 => nibbles(&cast_ref::<B, Q4_1>(a).qs, &cast_ref::<B, Q4_1>(b).qs),
        Dtype::Q5_0 => {
            let (a, b): (&Q5_0, &Q5_0) = (cast_ref(a), cast_ref(b));
            add_fifth_bits(nibbles(&a.qs, &b.qs), a.qh, b.qh)
        }
        Dtype::Q5_1 => {
            let (a, b): (&Q5_1, &Q5_1) = (cast_ref(a), cast_ref(b));
            add_fifth_bits(nibbles(&a.qs, &b.qs), a.qh, b.qh)
        }
        _ => {
            let (a, b): (&Q8_0, &Q8_0) = (cast_ref(a), cast_ref(b));
            _mm512_xor_si512(join(load32(cast_ref(&a.qs)), load32(cast_ref(&b.qs))), _mm512_set1_epi8(-128))
        }
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
