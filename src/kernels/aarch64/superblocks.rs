//! Superblocks of 256 weights, unpacked to signed bytes in their natural order, 64 at a time.

use super::memory::load;
use crate::kernels::block::{Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};
use crate::kernels::kind::{Block, q3_k_scales, scales_and_minima};
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::aarch64::*;

/// The integers that weights of groups are multiplied with, a byte each: 16, or 8 in the low half.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) scales: int8x16_t,
    /// Zero where a type has none.
    pub(super) minima: int8x16_t,
}

/// The scales and minima of a superblock.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn factors<B: Block>(block: &B) -> Factors {
    let none = vdupq_n_s8(0);
    match B::DTYPE {
        Dtype::Q2_K => {
            let packed = load(&cast_ref::<B, Q2_K>(block).scales);
            let scales = vreinterpretq_s8_u8(vandq_u8(packed, vdupq_n_u8(15)));
            Factors { scales, minima: vreinterpretq_s8_u8(vshrq_n_u8::<4>(packed)) }
        }
        Dtype::Q3_K => {
            let [first, second] = q3_k_scales(&cast_ref::<B, Q3_K>(block).scales);
            Factors {
                scales: vsubq_s8(vcombine_s8(vcreate_s8(first), vcreate_s8(second)), vdupq_n_s8(32)),
                minima: none,
            }
        }
        Dtype::Q4_K => nibble_factors(&cast_ref::<B, Q4_K>(block).scales),
        Dtype::Q5_K => nibble_factors(&cast_ref::<B, Q5_K>(block).scales),
        _ => {
            let scales = load(cast_ref(&cast_ref::<B, Q6_K>(block).scales));
            Factors { scales: vreinterpretq_s8_u8(scales), minima: none }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn nibble_factors(packed: &[u8; 12]) -> Factors {
    let [scales, minima] = scales_and_minima(packed);
    let low = |bytes| vcombine_s8(vcreate_s8(bytes), vcreate_s8(0));
    Factors { scales: low(scales), minima: low(minima) }
}

/// Weights `64 * J..` of a superblock.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn unpack<B: Block, const J: usize>(block: &B) -> [int8x16_t; 4] {
    match B::DTYPE {
        Dtype::Q2_K => minus::<0>(bit_pairs::<J>(&cast_ref::<B, Q2_K>(block).qs)),
        Dtype::Q3_K => {
            let block: &Q3_K = cast_ref(block);
            minus::<4>(add_high_bits::<J, 4>(bit_pairs::<J>(&block.qs), &block.hmask))
        }
        Dtype::Q4_K => minus::<0>(nibbles::<J>(&cast_ref::<B, Q4_K>(block).qs)),
        Dtype::Q5_K => {
            let block: &Q5_K = cast_ref(block);
            minus::<0>(add_high_bits::<J, 16>(nibbles::<J>(&block.qs), &block.qh))
        }
        _ => {
            let block: &Q6_K = cast_ref(block);
            minus::<32>(six_bits::<J>(&block.ql, &block.qh))
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn minus<const OFFSET: i8>(mut q: [uint8x16_t; 4]) -> [int8x16_t; 4] {
    let mut signed = [vdupq_n_s8(0); 4];
    for (signed, q) in signed.iter_mut().zip(&mut q) {
        *signed = vsubq_s8(vreinterpretq_s8_u8(*q), vdupq_n_s8(OFFSET));
    }
    signed
}

/// 32 bytes.
#[inline]
#[target_feature(enable = "neon")]
fn load_two(bytes: &[[u8; 16]], first: usize) -> [uint8x16_t; 2] {
    [load(&bytes[first]), load(&bytes[first + 1])]
}

/// For weights in bit pairs.
#[inline]
#[target_feature(enable = "neon")]
fn bit_pairs<const J: usize>(qs: &[u8; 64]) -> [uint8x16_t; 4] {
    let ([a, b], three) = (load_two(qs.as_chunks().0, J / 2 * 2), vdupq_n_u8(3));
    if J % 2 == 0 {
        [
            vandq_u8(a, three),
            vandq_u8(b, three),
            vandq_u8(vshrq_n_u8::<2>(a), three),
            vandq_u8(vshrq_n_u8::<2>(b), three),
        ]
    } else {
        [
            vandq_u8(vshrq_n_u8::<4>(a), three),
            vandq_u8(vshrq_n_u8::<4>(b), three),
            vshrq_n_u8::<6>(a),
            vshrq_n_u8::<6>(b),
        ]
    }
}

/// For weights in nibbles.
#[inline]
#[target_feature(enable = "neon")]
fn nibbles<const J: usize>(qs: &[u8; 128]) -> [uint8x16_t; 4] {
    let ([a, b], low) = (load_two(qs.as_chunks().0, J * 2), vdupq_n_u8(15));
    [vandq_u8(a, low), vandq_u8(b, low), vshrq_n_u8::<4>(a), vshrq_n_u8::<4>(b)]
}

/// Adds `VALUE` to the bytes whose bit in `high` is set: bit `g` of a byte belongs to group `g` of 32.
#[inline]
#[target_feature(enable = "neon")]
fn add_high_bits<const J: usize, const VALUE: u8>([a, b, c, d]: [uint8x16_t; 4], high: &[u8; 32]) -> [uint8x16_t; 4] {
    let ([low, high], value) = (load_two(high.as_chunks().0, 0), vdupq_n_u8(VALUE));
    let (first, second) = (vdupq_n_u8(1 << (2 * J)), vdupq_n_u8(2 << (2 * J)));
    [
        vorrq_u8(a, vandq_u8(vtstq_u8(low, first), value)),
        vorrq_u8(b, vandq_u8(vtstq_u8(high, first), value)),
        vorrq_u8(c, vandq_u8(vtstq_u8(low, second), value)),
        vorrq_u8(d, vandq_u8(vtstq_u8(high, second), value)),
    ]
}

/// Bits 0 to 3 from `low` and bits 4 and 5 from `high`.
#[inline]
#[target_feature(enable = "neon")]
fn six_bits<const J: usize>(low: &[u8; 128], high: &[u8; 64]) -> [uint8x16_t; 4] {
    let low = low.as_chunks().0;
    let [[a, b], [c, d]] = [load_two(low, J / 2 * 4), load_two(low, J / 2 * 4 + 2)];
    let [e, f] = load_two(high.as_chunks().0, J / 2 * 2);
    let (nibble, pair) = (vdupq_n_u8(15), vdupq_n_u8(48));
    if J % 2 == 0 {
        [
            vorrq_u8(vandq_u8(a, nibble), vandq_u8(vshlq_n_u8::<4>(e), pair)),
            vorrq_u8(vandq_u8(b, nibble), vandq_u8(vshlq_n_u8::<4>(f), pair)),
            vorrq_u8(vandq_u8(c, nibble), vandq_u8(vshlq_n_u8::<2>(e), pair)),
            vorrq_u8(vandq_u8(d, nibble), vandq_u8(vshlq_n_u8::<2>(f), pair)),
        ]
    } else {
        [
            vorrq_u8(vshrq_n_u8::<4>(a), vandq_u8(e, pair)),
            vorrq_u8(vshrq_n_u8::<4>(b), vandq_u8(f, pair)),
            vorrq_u8(vshrq_n_u8::<4>(c), vandq_u8(vshrq_n_u8::<2>(e), pair)),
            vorrq_u8(vshrq_n_u8::<4>(d), vandq_u8(vshrq_n_u8::<2>(f), pair)),
        ]
    }
}
