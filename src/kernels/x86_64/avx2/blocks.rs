//! Blocks of 32 weights, unpacked to bytes in their natural order.

use crate::kernels::block::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use crate::kernels::x86_64::memory::{load16, load32};
use crate::kernels::x86_64::operand::Block;
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// The weights of a block: of Q8_0 as they are, else unsigned, those of Q4_0 plus 8 and those of Q5_0 plus 16.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn unpack<B: Block>(block: &B) -> __m256i {
    match B::DTYPE {
        Dtype::Q4_0 => nibbles(&cast_ref::<B, Q4_0>(block).qs),
        Dtype::Q4_1 => nibbles(&cast_ref::<B, Q4_1>(block).qs),
        Dtype::Q5_0 => {
            let block: &Q5_0 = cast_ref(block);
            add_fifth_bits(nibbles(&block.qs), block.qh)
        }
        Dtype::Q5_1 => {
            let block: &Q5_1 = cast_ref(block);
            add_fifth_bits(nibbles(&block.qs), block.qh)
        }
        _ => load32(cast_ref(&cast_ref::<B, Q8_0>(block).qs)),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn nibbles(qs: &[u8; 16]) -> __m256i {
    let low = load16(qs);
    _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16::<4>(low), low), _mm256_set1_epi8(15))
}

/// Adds 16 to each byte whose bit is set.
#[inline]
#[target_feature(enable = "avx2")]
fn add_fifth_bits(q: __m256i, bits: [u8; 4]) -> __m256i {
    let byte_of_lane = _mm256_set_epi64x(0x0303_0303_0303_0303, 0x0202_0202_0202_0202, 0x0101_0101_0101_0101, 0);
    let bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(i32::from_le_bytes(bits)), byte_of_lane);
    let bit = _mm256_set1_epi64x(i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]));
    let set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
    _mm256_or_si256(q, _mm256_and_si256(set, _mm256_set1_epi8(16)))
}
