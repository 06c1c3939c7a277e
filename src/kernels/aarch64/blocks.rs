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
        Dtype::Q4_0 => minus(nibbles(&cast_ref::<B, Q4_0>(block).qs), 8),
        Dtype::Q4_1 => minus(nibbles(&cast_ref::<B, Q4_1>(block).qs), 0),
        Dtype::Q5_0 => {
            let block: &Q5_0 = cast_ref(block);
            minus(add_fifth_bits(nibbles(&block.qs), block.qh), 16)
        }
        Dtype::Q5_1 => {
            let block: &Q5_1 = cast_ref(block);
            minus(add_fifth_bits(nibbles(&block.qs), block.qh), 0)
        }
        _ => {
            let [a, b]: &[[u8; 16]; 2] = cast_ref(&cast_ref::<B, Q8_0>(block).qs);
            [load_signed(a), load_signed(b)]
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn minus([a, b]: [uint8x16_t; 2], offset: i8) -> [int8x16_t; 2] {
    let offset = vdupq_n_s8(offset);
    [vsubq_s8(vreinterpretq_s8_u8(a), offset), vsubq_s8(vreinterpretq_s8_u8(b), offset)]
}

#[inline]
#[target_feature(enable = "neon")]
fn nibbles(qs: &[u8; 16]) -> [uint8x16_t; 2] {
    let qs = load(qs);
    [vandq_u8(qs, vdupq_n_u8(15)), vshrq_n_u8::<4>(qs)]
}

/// Adds 16 to each byte whose bit is set.
#[inline]
#[target_feature(enable = "neon")]
fn add_fifth_bits([a, b]: [uint8x16_t; 2], bits: [u8; 4]) -> [uint8x16_t; 2] {
    let (bytes, sixteen) = (vreinterpretq_u8_u32(vdupq_n_u32(u32::from_le_bytes(bits))), vdupq_n_u8(16));
    // Sixteen times the bit where it belongs: byte `i / 8` for lane `i`, its bit `i % 8`.
    let first = vcombine_u8(vcreate_u8(0), vcreate_u8(0x0101_0101_0101_0101));
    let second = vcombine_u8(vcreate_u8(0x0202_0202_0202_0202), vcreate_u8(0x0303_0303_0303_0303));
    let bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
    let set = |lanes| vtstq_u8(vqtbl1q_u8(bytes, lanes), bit);
    [vorrq_u8(a, vandq_u8(set(first), sixteen)), vorrq_u8(b, vandq_u8(set(second), sixteen))]
}
