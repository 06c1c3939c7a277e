//! The product of a row of stored weights with a row of activations: the order of operations that all kernels keep.

use super::dequantize;
use crate::kernels::block::{Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use crate::kernels::{Columns, Form, Rows, Weights};
use crate::tensor::Dtype;
use std::mem::offset_of;

/// See [`crate::kernels::product()`].
pub(in crate::kernels) fn product(weights: &Weights, x: &Rows, mut out: Columns) {
    for row in 0..x.n_rows() {
        let first = out.range().start;
        for (i, y) in out.row(row).iter_mut().enumerate() {
            let w = weights.row(first + i);
            *y = match x.form() {
                Form::F32 => float_dot(weights.dtype(), w, x.row(row)),
                form => block_dot(weights.dtype(), w, form, x.row(row)),
            };
        }
    }
}

/// Sixteen sums of every sixteenth product, zeros appended to fill the last group, then added by halves.
fn float_dot(dtype: Dtype, weights: &[u8], x: &[u8]) -> f32 {
    let mut sums = [0f32; 16];
    let element = dtype.block_bytes();
    for (weights, x) in weights.chunks(16 * element).zip(x.chunks(16 * 4)) {
        let (mut w16, mut x16) = ([0f32; 16], [0f32; 16]);
        dequantize(dtype, weights, &mut w16[..weights.len() / element]);
        dequantize(Dtype::F32, &x[..weights.len() / element * 4], &mut x16[..weights.len() / element]);
        for lane in 0..16 {
            sums[lane] = w16[lane].mul_add(x16[lane], sums[lane]);
        }
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0]
}

/// The sum over the blocks, in order: `c = fma(scale of x, value of the block, c)`.
fn block_dot(dtype: Dtype, weights: &[u8], form: Form, x: &[u8]) -> f32 {
    let n = form.block_len();
    let blocks = weights.chunks_exact(dtype.block_bytes());
    let (q, scales) = x.split_at(form.layout(blocks.len() * n).scales);
    let mut sum = 0f32;
    for ((block, q), scale) in blocks.zip(q.chunks_exact(n)).zip(scales.as_chunks().0) {
        sum = f32::from_le_bytes(*scale).mul_add(block_value(dtype, block, q), sum);
    }
    sum
}

/// The exact sum of integer products times the scale `d`, plus the one of the minima times theirs.
///
/// A block is linear in its two scales, so decoding it with the scales (1, 0) and (0, 1) gives those integers.
fn block_value(dtype: Dtype, block: &[u8], q: &[u8]) -> f32 {
    let (d, min) = scale_offsets(dtype);
    let scale = |at: usize| half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
    let dot = |d_value: f32, min_value: f32| {
        let (mut unit, mut values) = ([0; 256], [0f32; 256]);
        let (unit, values) = (&mut unit[..block.len()], &mut values[..q.len()]);
        unit.copy_from_slice(block);
        unit[d..d + 2].copy_from_slice(&half::f16::from_f32(d_value).to_le_bytes());
        if let Some(min) = min {
            unit[min..min + 2].copy_from_slice(&half::f16::from_f32(min_value).to_le_bytes());
        }
        dequantize(dtype, unit, values);
        values.iter().zip(q).map(|(&w, &q)| w as i32 * i32::from(q as i8)).sum::<i32>() as f32
    };
    match min {
        None => scale(d) * dot(1.0, 0.0),
        Some(min) => scale(d).mul_add(dot(1.0, 0.0), scale(min) * dot(0.0, 1.0)),
    }
}

/// Where in a block the scale lies, and the scale of the minima if there are any.
fn scale_offsets(dtype: Dtype) -> (usize, Option<usize>) {
    match dtype {
        Dtype::F32 | Dtype::F16 | Dtype::BF16 => unreachable!("plain floats have no blocks"),
        Dtype::Q4_0 => (offset_of!(Q4_0, d), None),
        Dtype::Q4_1 => (offset_of!(Q4_1, d), Some(offset_of!(Q4_1, m))),
        Dtype::Q5_0 => (offset_of!(Q5_0, d), None),
        Dtype::Q5_1 => (offset_of!(Q5_1, d), Some(offset_of!(Q5_1, m))),
        Dtype::Q8_0 => (offset_of!(Q8_0, d), None),
        Dtype::Q2_K => (offset_of!(Q2_K, d), Some(offset_of!(Q2_K, dmin))),
        Dtype::Q3_K => (offset_of!(Q3_K, d), None),
        Dtype::Q4_K => (offset_of!(Q4_K, d), Some(offset_of!(Q4_K, dmin))),
        Dtype::Q5_K => (offset_of!(Q5_K, d), Some(offset_of!(Q5_K, dmin))),
        Dtype::Q6_K => (offset_of!(Q6_K, d), None),
    }
}
