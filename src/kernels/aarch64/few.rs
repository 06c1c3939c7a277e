//! Products with few rows of activations: each weight is unpacked in registers, once for up to two rows.
//!
//! Four outputs go side by side, one from each quarter of the range, so that memory is read in four long streams, the
//! activations of one load serve all four and the sums of the four fill a vector when they are added up.

use super::dot::{Dot, opaque};
use super::memory::{load_signed, prefetch_after};
use super::superblocks::Factors;
use super::{blocks, superblocks};
use crate::kernels::kind::{Block, group, has_minima};
use crate::kernels::streams::{blocks_of, outputs_of, same_length};
use crate::kernels::{Columns, Rows, Weights};
use std::arch::aarch64::*;
use std::array::from_fn;

/// A row of quantized activations.
#[derive(Clone, Copy)]
struct Operand<'a> {
    q: &'a [[u8; 16]],
    /// The scale of each block, an f32.
    scales: &'a [[u8; 4]],
    /// The sums of 16 activations each, as i16.
    sums: &'a [[u8; 2]],
}

impl<'a> Operand<'a> {
    fn new(x: &Rows<'a>, row: usize) -> Operand<'a> {
        let (layout, data) = (x.form().layout(x.width()), x.row(row));
        Operand {
            q: data[..layout.scales].as_chunks().0,
            scales: data[layout.scales..layout.sums].as_chunks().0,
            sums: data[layout.sums..layout.end].as_chunks().0,
        }
    }
}

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "neon")]
pub(super) fn product<D: Dot, B: Block>(weights: &Weights, x: &Rows, mut out: Columns) {
    let n = out.range().len();
    for i in (0..n).step_by(4) {
        let outputs = outputs_of::<4>(i, n);
        let rows = blocks_of::<B, 4>(weights, out.range().start, outputs);
        let mut row = 0;
        while row < x.n_rows() {
            row += if row + 1 < x.n_rows() {
                store(&mut out, row, outputs, four::<D, B, 2>(&rows, x, row))
            } else {
                store(&mut out, row, outputs, four::<D, B, 1>(&rows, x, row))
            };
        }
    }
}

/// Writes the results of `M` rows and returns `M`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store<const M: usize>(
    out: &mut Columns,
    first_row: usize,
    outputs: [usize; 4],
    sums: [float32x4_t; M],
) -> usize {
    for (i, sums) in sums.into_iter().enumerate() {
        let (row, mut lanes) = (out.row(first_row + i), [0.0; 4]);
        super::memory::store(sums, &mut lanes);
        for (output, sum) in outputs.into_iter().zip(lanes) {
            row[output] = sum;
        }
    }
    M
}

/// Four outputs for `M` rows of activations.
#[inline]
#[target_feature(enable = "neon")]
fn four<D: Dot, B: Block, const M: usize>(rows: &[&[B]; 4], x: &Rows, first_row: usize) -> [float32x4_t; M] {
    let x = from_fn(|m| Operand::new(x, first_row + m));
    match B::DTYPE.block_len() {
        32 => four_of_blocks::<D, B, M>(rows, &x),
        _ => four_of_superblocks::<D, B, M>(rows, &x),
    }
}

#[target_feature(enable = "neon")]
fn four_of_superblocks<D: Dot, B: Block, const M: usize>(rows: &[&[B]; 4], x: &[Operand; M]) -> [float32x4_t; M] {
    let (rows, n) = same_length(rows);
    let x_all: [&[[[u8; 16]; 16]]; M] = x.map(|x| &x.q.as_chunks().0[..n]);
    let mut totals = [vdupq_n_f32(0.0); M];
    for (b, r0) in rows[0].iter().enumerate() {
        let blocks = [r0, &rows[1][b], &rows[2][b], &rows[3][b]];
        let mut all = [Factors { scales: vdupq_n_s8(0), minima: vdupq_n_s8(0) }; 4];
        for (factors, block) in all.iter_mut().zip(blocks) {
            prefetch_after(block);
            *factors = superblocks::factors(block);
        }
        let mut products = [[vdupq_n_s32(0); M]; 4];
        let x_of_block = x_all.map(|x| &x[b]);
        add_part::<D, B, M, 0>(&mut products, blocks, &all, x_of_block);
        add_part::<D, B, M, 1>(&mut products, blocks, &all, x_of_block);
        add_part::<D, B, M, 2>(&mut products, blocks, &all, x_of_block);
        add_part::<D, B, M, 3>(&mut products, blocks, &all, x_of_block);
        let [p0, p1, p2, p3] = products;
        let (d, dmin) = scales_of_four(blocks);
        for m in 0..M {
            let product = vcvtq_f32_s32(sums_of_four([p0[m], p1[m], p2[m], p3[m]]));
            let value = if has_minima(B::DTYPE) {
                let minima = minus_minima::<B>(&all, &x[m].sums.as_chunks().0[b]);
                vfmaq_f32(vmulq_f32(dmin, vcvtq_f32_s32(minima)), d, product)
            } else {
                vmulq_f32(d, product)
            };
            totals[m] = add_scaled(x[m].scales[b], value, totals[m]);
        }
    }
    totals
}

/// Adds the products of weights `64 * J..` of four blocks.
#[inline]
#[target_feature(enable = "neon")]
fn add_part<D: Dot, B: Block, const M: usize, const J: usize>(
    [p0, p1, p2, p3]: &mut [[int32x4_t; M]; 4],
    blocks: [&B; 4],
    factors: &[Factors; 4],
    x: [&[[u8; 16]; 16]; M],
) {
    let mut parts = [[vdupq_n_s8(0); 4]; M];
    for (part, x) in parts.iter_mut().zip(x) {
        for (part, x) in part.iter_mut().zip(&x[4 * J..]) {
            *part = load_signed(x);
        }
    }
    // One by one, since a loop would keep the sums in memory.
    add_groups::<D, B, M, J>(p0, blocks[0], factors[0].scales, &parts);
    add_groups::<D, B, M, J>(p1, blocks[1], factors[1].scales, &parts);
    add_groups::<D, B, M, J>(p2, blocks[2], factors[2].scales, &parts);
    add_groups::<D, B, M, J>(p3, blocks[3], factors[3].scales, &parts);
}

/// Adds the products of weights `64 * J..` with activations, those of each group times its scale.
#[inline]
#[target_feature(enable = "neon")]
fn add_groups<D: Dot, B: Block, const M: usize, const J: usize>(
    sums: &mut [int32x4_t; M],
    block: &B,
    scales: int8x16_t,
    x: &[[int8x16_t; 4]; M],
) {
    let [q0, q1, q2, q3] = superblocks::unpack::<B, J>(block);
    let zero = vdupq_n_s32(0);
    for (sum, [x0, x1, x2, x3]) in sums.iter_mut().zip(x) {
        if group(B::DTYPE) == 32 {
            let (first, second) = (D::add(D::add(zero, q0, *x0), q1, *x1), D::add(D::add(zero, q2, *x2), q3, *x3));
            let scales = four_scales(scales, J / 2);
            *sum = if J % 2 == 0 {
                vmlaq_laneq_s32::<1>(vmlaq_laneq_s32::<0>(*sum, first, scales), second, scales)
            } else {
                vmlaq_laneq_s32::<3>(vmlaq_laneq_s32::<2>(*sum, first, scales), second, scales)
            };
        } else {
            let scales = four_scales(scales, J);
            *sum = vmlaq_laneq_s32::<0>(*sum, D::add(zero, q0, *x0), scales);
            *sum = vmlaq_laneq_s32::<1>(*sum, D::add(zero, q1, *x1), scales);
            *sum = vmlaq_laneq_s32::<2>(*sum, D::add(zero, q2, *x2), scales);
            *sum = vmlaq_laneq_s32::<3>(*sum, D::add(zero, q3, *x3), scales);
        }
    }
}

/// Scales `4 * i..`.
#[inline]
#[target_feature(enable = "neon")]
fn four_scales(scales: int8x16_t, i: usize) -> int32x4_t {
    let eight = if i < 2 { vmovl_s8(vget_low_s8(scales)) } else { vmovl_high_s8(scales) };
    // Opaque, or the compiler widens each scale by itself.
    opaque(if i % 2 == 0 { vmovl_s16(vget_low_s16(eight)) } else { vmovl_high_s16(eight) })
}

/// For each of four blocks, the sum of the products of its minima with sums of activations, negated.
#[inline]
#[target_feature(enable = "neon")]
fn minus_minima<B: Block>(factors: &[Factors; 4], sums: &[[u8; 2]; 16]) -> int32x4_t {
    let [low, high]: &[[u8; 16]; 2] = bytemuck::cast_ref(sums);
    let (low, high) = (vreinterpretq_s16_s8(load_signed(low)), vreinterpretq_s16_s8(load_signed(high)));
    let mut minima = [vdupq_n_s32(0); 4];
    for (minimum, factors) in minima.iter_mut().zip(factors) {
        let first = vmovl_s8(vget_low_s8(factors.minima));
        if group(B::DTYPE) == 32 {
            *minimum = subtract_products(*minimum, first, vpaddq_s16(low, high));
        } else {
            let second = vmovl_high_s8(factors.minima);
            *minimum = subtract_products(subtract_products(*minimum, first, low), second, high);
        }
    }
    sums_of_four(minima)
}

#[inline]
#[target_feature(enable = "neon")]
fn subtract_products(sum: int32x4_t, a: int16x8_t, b: int16x8_t) -> int32x4_t {
    vmlsl_high_s16(vmlsl_s16(sum, vget_low_s16(a), vget_low_s16(b)), a, b)
}

#[target_feature(enable = "neon")]
fn four_of_blocks<D: Dot, B: Block, const M: usize>(rows: &[&[B]; 4], x: &[Operand; M]) -> [float32x4_t; M] {
    let (rows, n) = same_length(rows);
    let x_all: [&[[[u8; 16]; 2]]; M] = x.map(|x| &x.q.as_chunks().0[..n]);
    let scales: [&[[u8; 4]]; M] = x.map(|x| &x.scales[..n]);
    let mut totals = [vdupq_n_f32(0.0); M];
    for (b, r0) in rows[0].iter().enumerate() {
        let blocks = [r0, &rows[1][b], &rows[2][b], &rows[3][b]];
        let mut products = [[vdupq_n_s32(0); 4]; M];
        for i in 0..4 {
            prefetch_after(blocks[i]);
            let [low, high] = blocks::unpack(blocks[i]);
            for m in 0..M {
                let [x_low, x_high] = &x_all[m][b];
                products[m][i] = D::add(D::add(products[m][i], low, load_signed(x_low)), high, load_signed(x_high));
            }
        }
        let (d, minimum) = scales_of_four(blocks);
        for m in 0..M {
            let product = vcvtq_f32_s32(sums_of_four(products[m]));
            let value = if has_minima(B::DTYPE) {
                let [low, high] = x[m].sums.as_chunks().0[b];
                let sum = f32::from(i16::from_le_bytes(low) + i16::from_le_bytes(high));
                vfmaq_f32(vmulq_n_f32(minimum, sum), d, product)
            } else {
                vmulq_f32(d, product)
            };
            totals[m] = add_scaled(scales[m][b], value, totals[m]);
        }
    }
    totals
}

/// `total + scale * value`, rounded once.
#[inline]
#[target_feature(enable = "neon")]
fn add_scaled(scale: [u8; 4], value: float32x4_t, total: float32x4_t) -> float32x4_t {
    vfmaq_n_f32(total, value, f32::from_le_bytes(scale))
}

/// The scales of four blocks, and those of their minima.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn scales_of_four<B: Block>([a, b, c, d]: [&B; 4]) -> (float32x4_t, float32x4_t) {
    let bits = load_signed(&bytemuck::cast([a.scale_bits(), b.scale_bits(), c.scale_bits(), d.scale_bits()]));
    let bits = vreinterpretq_u32_s8(bits);
    let float = |bits| vcvt_f32_f16(vreinterpret_f16_u16(bits));
    (float(vmovn_u32(bits)), float(vshrn_n_u32::<16>(bits)))
}

/// The sum of the lanes of each of four vectors.
#[inline]
#[target_feature(enable = "neon")]
fn sums_of_four([a, b, c, d]: [int32x4_t; 4]) -> int32x4_t {
    vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d))
}
