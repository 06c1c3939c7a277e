//! Blocks of 32 weights, unpacked to signed bytes in their natural order.

use super::memory::{load, load_signed};
use crate::kernels::block::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use crate::kernels::kind::Block;
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::aarch64::*;

/// The weights of a block.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn unpack<B: Block>(block: &B) -> [int8x16_t; 2] {
    match B::DTYPE {
        Dtype::Q4_0 => {
            let [low, high] = signed(nibbles(&cast_ref::<B, Q4_0>(block).qs));
            [vsubq_s8(low, vdupq_n_s8(8)), vsubq_s8(high, vdupq_n_s8(8))]
        }
        Dtype::Q4_1 => signed(nibbles(&cast_ref::<B, Q4_1>(block).qs)),
        Dtype::Q5_0 => {
            let block: &Q5_0 = cast_ref(block);
            let ([low, high], [first, second]) = (nibbles(&block.qs), clear_bits(block.qh));
            // Above the nibble, ones where the fifth bit is clear: 16 less.
            signed([vsliq_n_u8::<4>(low, first), vsliq_n_u8::<4>(high, second)])
        }
        Dtype::Q5_1 => {
            let block: &Q5_1 = cast_ref(block);
            let ([low, high], [first, second]) = (nibbles(&block.qs), clear_bits(block.qh));
            let sixteen = vdupq_n_u8(16);
            signed([vorrq_u8(low, vbicq_u8(sixteen, first)), vorrq_u8(high, vbicq_u8(sixteen, second))])
        }
        _ => {
            let [a, b]: &[[u8; 16]; 2] = cast_ref(&cast_ref::<B, Q8_0>(block).qs);
            [load_signed(a), load_signed(b)]
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn signed([a, b]: [uint8x16_t; 2]) -> [int8x16_t; 2] {
    [vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b)]
}

#[inline]
#[target_feature(enable = "neon")]
fn nibbles(qs: &[u8; 16]) -> [uint8x16_t; 2] {
    let qs = load(qs);
    [vandq_u8(qs, vdupq_n_u8(15)), vshrq_n_u8::<4>(qs)]
}

/// All ones in each byte whose bit is clear.
#[inline]
#[target_feature(enable = "neon")]
fn clear_bits(bits: [u8; 4]) -> [uint8x16_t; 2] {
    let bytes = vreinterpretq_u8_u32(vdupq_n_u32(u32::from_le_bytes(bits)));
    let first = vcombine_u8(vcreate_u8(0), vcreate_u8(0x0101_0101_0101_0101));
    let second = vcombine_u8(vcreate_u8(0x0202_0202_0202_0202), vcreate_u8(0x0303_0303_0303_0303));
    let bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
    [vceqzq_u8(vandq_u8(vqtbl1q_u8(bytes, first), bit)), vceqzq_u8(vandq_u8(vqtbl1q_u8(bytes, second), bit))]
}
