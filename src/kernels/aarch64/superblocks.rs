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
    let none = vcreate_s8(0);
    Factors { scales: vcombine_s8(vcreate_s8(scales), none), minima: vcombine_s8(vcreate_s8(minima), none) }
}

/// Weights `64 * J..` of a superblock.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn unpack<B: Block, const J: usize>(block: &B) -> [int8x16_t; 4] {
    match B::DTYPE {
        Dtype::Q2_K => signed(only::<3>(bit_pairs::<J>(&cast_ref::<B, Q2_K>(block).qs))),
        Dtype::Q3_K => q3_k::<J>(cast_ref(block)),
        Dtype::Q4_K => {
            let ([a, b], low) = (two(cast_ref::<B, Q4_K>(block).qs.as_chunks().0, J), vdupq_n_u8(15));
            signed([vandq_u8(a, low), vandq_u8(b, low), vshrq_n_u8::<4>(a), vshrq_n_u8::<4>(b)])
        }
        Dtype::Q5_K => q5_k::<J>(cast_ref(block)),
        _ => q6_k::<J>(cast_ref(block)),
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn signed([a, b, c, d]: [uint8x16_t; 4]) -> [int8x16_t; 4] {
    [vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b), vreinterpretq_s8_u8(c), vreinterpretq_s8_u8(d)]
}

/// The bits that `MASK` has.
#[inline]
#[target_feature(enable = "neon")]
fn only<const MASK: u8>([a, b, c, d]: [uint8x16_t; 4]) -> [uint8x16_t; 4] {
    let mask = vdupq_n_u8(MASK);
    [vandq_u8(a, mask), vandq_u8(b, mask), vandq_u8(c, mask), vandq_u8(d, mask)]
}

/// Bytes `32 * i..`.
#[inline]
#[target_feature(enable = "neon")]
fn two(bytes: &[[u8; 16]], i: usize) -> [uint8x16_t; 2] {
    [load(&bytes[2 * i]), load(&bytes[2 * i + 1])]
}

/// The bits moved down by `n`, or up where it is negative.
#[inline]
#[target_feature(enable = "neon")]
fn down(x: uint8x16_t, n: i8) -> uint8x16_t {
    vshlq_u8(x, vdupq_n_s8(-n))
}

/// For weights in bit pairs: they in the lowest bits, others above.
#[inline]
#[target_feature(enable = "neon")]
fn bit_pairs<const J: usize>(qs: &[u8; 64]) -> [uint8x16_t; 4] {
    let ([a, b], shift) = (two(qs.as_chunks().0, J / 2), 4 * (J % 2) as i8);
    [down(a, shift), down(b, shift), down(a, shift + 2), down(b, shift + 2)]
}

#[inline]
#[target_feature(enable = "neon")]
fn q3_k<const J: usize>(block: &Q3_K) -> [int8x16_t; 4] {
    let ([a, b, c, d], [low, high]) = (bit_pairs::<J>(&block.qs), two(block.hmask.as_chunks().0, 0));
    let (first, second) = (vdupq_n_u8(1 << (2 * J)), vdupq_n_u8(2 << (2 * J)));
    // Above the pair, ones where the third bit is clear: 4 less.
    signed([
        vsliq_n_u8::<2>(a, vceqzq_u8(vandq_u8(low, first))),
        vsliq_n_u8::<2>(b, vceqzq_u8(vandq_u8(high, first))),
        vsliq_n_u8::<2>(c, vceqzq_u8(vandq_u8(low, second))),
        vsliq_n_u8::<2>(d, vceqzq_u8(vandq_u8(high, second))),
    ])
}

#[inline]
#[target_feature(enable = "neon")]
fn q5_k<const J: usize>(block: &Q5_K) -> [int8x16_t; 4] {
    let ([a, b], [low, high]) = (two(block.qs.as_chunks().0, J), two(block.qh.as_chunks().0, 0));
    let shift = 2 * J as i8;
    signed(only::<31>([
        vsliq_n_u8::<4>(a, down(low, shift)),
        vsliq_n_u8::<4>(b, down(high, shift)),
        vsriq_n_u8::<4>(down(low, shift - 3), a),
        vsriq_n_u8::<4>(down(high, shift - 3), b),
    ]))
}

#[inline]
#[target_feature(enable = "neon")]
fn q6_k<const J: usize>(block: &Q6_K) -> [int8x16_t; 4] {
    let low = block.ql.as_chunks().0;
    let ([a, b], [c, d]) = (two(low, J / 2 * 2), two(low, J / 2 * 2 + 1));
    let [e, f] = two(block.qh.as_chunks().0, J / 2);
    let q = if J % 2 == 0 {
        [vsliq_n_u8::<4>(a, e), vsliq_n_u8::<4>(b, f), vsliq_n_u8::<4>(c, down(e, 2)), vsliq_n_u8::<4>(d, down(f, 2))]
    } else {
        [vsriq_n_u8::<4>(e, a), vsriq_n_u8::<4>(f, b), vsriq_n_u8::<4>(down(e, 2), c), vsriq_n_u8::<4>(down(f, 2), d)]
    };
    let ([a, b, c, d], offset) = (signed(only::<63>(q)), vdupq_n_s8(32));
    [vsubq_s8(a, offset), vsubq_s8(b, offset), vsubq_s8(c, offset), vsubq_s8(d, offset)]
}
