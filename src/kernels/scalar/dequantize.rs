//! The values of stored weights.
//!
//! Each function states, for weight `i` of a block, where its bits lie and what they are multiplied with, in the order of
//! operations that every other implementation of these formats has: results agree to the bit.

use crate::kernels::block::{F16, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0, scales_and_mins};
use crate::tensor::Dtype;
use bytemuck::Pod;

/// Writes the values of `blocks`, stored as `dtype`, to `out`.
///
/// # Panics
/// If `blocks` are not exactly the bytes of `out.len()` elements.
pub fn dequantize(dtype: Dtype, blocks: &[u8], out: &mut [f32]) {
    assert_eq!(dtype.bytes_for(out.len()), Some(blocks.len()), "bytes of {} elements of {dtype}", out.len());
    match dtype {
        Dtype::F32 => each(blocks, out, |x: &[u8; 4], out: &mut [f32; 1]| out[0] = f32::from_le_bytes(*x)),
        Dtype::F16 => each(blocks, out, |x: &F16, out: &mut [f32; 1]| out[0] = x.to_f32()),
        Dtype::BF16 => each(blocks, out, |x: &[u8; 2], out: &mut [f32; 1]| out[0] = bf16(*x)),
        Dtype::Q4_0 => each(blocks, out, q4_0),
        Dtype::Q4_1 => each(blocks, out, q4_1),
        Dtype::Q5_0 => each(blocks, out, q5_0),
        Dtype::Q5_1 => each(blocks, out, q5_1),
        Dtype::Q8_0 => each(blocks, out, q8_0),
        Dtype::Q2_K => each(blocks, out, q2_k),
        Dtype::Q3_K => each(blocks, out, q3_k),
        Dtype::Q4_K => each(blocks, out, q4_k),
        Dtype::Q5_K => each(blocks, out, q5_k),
        Dtype::Q6_K => each(blocks, out, q6_k),
    }
}

/// Decodes each block into its `N` elements.
fn each<B: Pod, const N: usize>(bytes: &[u8], out: &mut [f32], decode: impl Fn(&B, &mut [f32; N])) {
    for (block, out) in bytemuck::cast_slice(bytes).iter().zip(out.as_chunks_mut().0) {
        decode(block, out);
    }
}

/// The upper half of a 32-bit float.
fn bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

/// The four bits of weight `i` of 32.
fn nibble(qs: &[u8; 16], i: usize) -> u8 {
    qs[i % 16] >> (i / 16 * 4) & 15
}

/// Bit `i` as the fifth bit of a number.
fn fifth_bit(qh: &[u8; 4], i: usize) -> u8 {
    (qh[i / 8] >> (i % 8) & 1) << 4
}

/// The two bits of weight `i` of 256.
fn bit_pair(qs: &[u8; 64], i: usize) -> u8 {
    qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3
}

fn q4_0(block: &Q4_0, out: &mut [f32; 32]) {
    let d = block.d.to_f32();
    for (i, out) in out.iter_mut().enumerate() {
        let q = nibble(&block.qs, i) as i8 - 8;
        *out = d * f32::from(q);
    }
}

fn q4_1(block: &Q4_1, out: &mut [f32; 32]) {
    let (d, m) = (block.d.to_f32(), block.m.to_f32());
    for (i, out) in out.iter_mut().enumerate() {
        *out = d * f32::from(nibble(&block.qs, i)) + m;
    }
}

fn q5_0(block: &Q5_0, out: &mut [f32; 32]) {
    let d = block.d.to_f32();
    for (i, out) in out.iter_mut().enumerate() {
        let q = (nibble(&block.qs, i) | fifth_bit(&block.qh, i)) as i8 - 16;
        *out = d * f32::from(q);
    }
}

fn q5_1(block: &Q5_1, out: &mut [f32; 32]) {
    let (d, m) = (block.d.to_f32(), block.m.to_f32());
    for (i, out) in out.iter_mut().enumerate() {
        let q = nibble(&block.qs, i) | fifth_bit(&block.qh, i);
        *out = d * f32::from(q) + m;
    }
}

fn q8_0(block: &Q8_0, out: &mut [f32; 32]) {
    let d = block.d.to_f32();
    for (&q, out) in block.qs.iter().zip(out) {
        *out = d * f32::from(q);
    }
}

fn q2_k(block: &Q2_K, out: &mut [f32; 256]) {
    let (d, dmin) = (block.d.to_f32(), block.dmin.to_f32());
    for (i, out) in out.iter_mut().enumerate() {
        let packed = block.scales[i / 16];
        let (scale, min) = (d * f32::from(packed & 15), dmin * f32::from(packed >> 4));
        *out = scale * f32::from(bit_pair(&block.qs, i)) - min;
    }
}

fn q3_k(block: &Q3_K, out: &mut [f32; 256]) {
    let (d, scales) = (block.d.to_f32(), block.scales());
    for (i, out) in out.iter_mut().enumerate() {
        let high = (block.hmask[i % 32] >> (i / 32) & 1) << 2;
        let q = (bit_pair(&block.qs, i) | high) as i8 - 4;
        *out = d * f32::from(scales[i / 16]) * f32::from(q);
    }
}

fn q4_k(block: &Q4_K, out: &mut [f32; 256]) {
    let (d, dmin) = (block.d.to_f32(), block.dmin.to_f32());
    let (scales, mins) = scales_and_mins(&block.scales);
    for (i, out) in out.iter_mut().enumerate() {
        let group = i / 32;
        let q = block.qs[group / 2 * 32 + i % 32] >> (group % 2 * 4) & 15;
        *out = d * f32::from(scales[group]) * f32::from(q) - dmin * f32::from(mins[group]);
    }
}

fn q5_k(block: &Q5_K, out: &mut [f32; 256]) {
    let (d, dmin) = (block.d.to_f32(), block.dmin.to_f32());
    let (scales, mins) = scales_and_mins(&block.scales);
    for (i, out) in out.iter_mut().enumerate() {
        let group = i / 32;
        let low = block.qs[group / 2 * 32 + i % 32] >> (group % 2 * 4) & 15;
        let q = low | (block.qh[i % 32] >> group & 1) << 4;
        *out = d * f32::from(scales[group]) * f32::from(q) - dmin * f32::from(mins[group]);
    }
}

fn q6_k(block: &Q6_K, out: &mut [f32; 256]) {
    let d = block.d.to_f32();
    for (i, out) in out.iter_mut().enumerate() {
        let low = block.ql[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
        let q = (low | bit_pair(&block.qh, i) << 4) as i8 - 32;
        *out = d * f32::from(block.scales[i / 16]) * f32::from(q);
    }
}
