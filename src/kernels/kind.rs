//! What kernels know of a type at compile time, whatever the processor.

use super::block::{F16, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use super::{Form, Rows};
use crate::tensor::Dtype;
use bytemuck::Pod;

/// A type of block, which constant matches on `DTYPE` choose the code for.
pub(super) trait Block: Pod {
    const DTYPE: Dtype;

    /// The scale in the low half of the result and that of the minima, if any, in the high one, as f16.
    fn scale_bits(&self) -> i32;
}

/// Whether a type has minima.
pub(super) const fn has_minima(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q2_K | Dtype::Q4_K | Dtype::Q5_K)
}

/// Weights in a group of a superblock, which share a scale.
pub(super) const fn group(dtype: Dtype) -> usize {
    if matches!(dtype, Dtype::Q4_K | Dtype::Q5_K) { 32 } else { 16 }
}

/// See [`Q3_K::scales()`]; a byte each, plus 32.
pub(super) fn q3_k_scales(packed: &[u8; 12]) -> [u64; 2] {
    let [a, b, high]: [u32; 3] = bytemuck::cast::<[u8; 12], [[u8; 4]; 3]>(*packed).map(u32::from_le_bytes);
    let low = u64::from(a) | u64::from(b) << 32;
    let nibbles = |shift: u32| low >> shift & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs =
        |shift: u32| u64::from(high >> shift & 0x0303_0303) | u64::from(high >> (shift + 2) & 0x0303_0303) << 32;
    [nibbles(0) | pairs(0) << 4, nibbles(4) | pairs(4) << 4]
}

/// The eight scales and the eight minima, a byte each, see [`super::block::scales_and_mins`].
pub(super) fn scales_and_minima(packed: &[u8; 12]) -> [u64; 2] {
    let [a, b, c]: [u32; 3] = bytemuck::cast::<[u8; 12], [[u8; 4]; 3]>(*packed).map(u32::from_le_bytes);
    let join = |first: u32, low: u32, high: u32| {
        let second = low & 0x0f0f_0f0f | high >> 2 & 0x3030_3030;
        u64::from(first & 0x3f3f_3f3f) | u64::from(second) << 32
    };
    [join(a, c, a), join(b, c >> 4, b)]
}

/// The sums of 16 activations of row `row`, as i16.
pub(super) fn sums_of_16<'a>(x: &Rows<'a>, row: usize) -> &'a [[u8; 2]] {
    match x.form() {
        Form::F32 => &[],
        form => x.row(row)[form.layout(x.width()).sums..][..x.width() / 16 * 2].as_chunks().0,
    }
}

/// The sums of 32 activations of the sums of 16.
pub(super) fn sums_of_32(sums: &[[u8; 2]]) -> impl Iterator<Item = i16> {
    sums.as_chunks().0.iter().map(|&[a, b]| i16::from_le_bytes(a) + i16::from_le_bytes(b))
}

fn bits(d: F16, min: F16) -> i32 {
    i32::from_le_bytes([d.0[0], d.0[1], min.0[0], min.0[1]])
}

impl Block for Q4_0 {
    const DTYPE: Dtype = Dtype::Q4_0;

    fn scale_bits(&self) -> i32 {
        bits(self.d, F16([0; 2]))
    }
}

impl Block for Q4_1 {
    const DTYPE: Dtype = Dtype::Q4_1;

    fn scale_bits(&self) -> i32 {
        bits(self.d, self.m)
    }
}

impl Block for Q5_0 {
    const DTYPE: Dtype = Dtype::Q5_0;

    fn scale_bits(&self) -> i32 {
        bits(self.d, F16([0; 2]))
    }
}

impl Block for Q5_1 {
    const DTYPE: Dtype = Dtype::Q5_1;

    fn scale_bits(&self) -> i32 {
        bits(self.d, self.m)
    }
}

impl Block for Q8_0 {
    const DTYPE: Dtype = Dtype::Q8_0;

    fn scale_bits(&self) -> i32 {
        bits(self.d, F16([0; 2]))
    }
}

impl Block for Q2_K {
    const DTYPE: Dtype = Dtype::Q2_K;

    fn scale_bits(&self) -> i32 {
        bits(self.d, self.dmin)
    }
}

impl Block for Q3_K {
    const DTYPE: Dtype = Dtype::Q3_K;

    fn scale_bits(&self) -> i32 {
        bits(self.d, F16([0; 2]))
    }
}

impl Block for Q4_K {
    const DTYPE: Dtype = Dtype::Q4_K;

    fn scale_bits(&self) -> i32 {
        bits(self.d, self.dmin)
    }
}

impl Block for Q5_K {
    const DTYPE: Dtype = Dtype::Q5_K;

    fn scale_bits(&self) -> i32 {
        bits(self.d, self.dmin)
    }
}

impl Block for Q6_K {
    const DTYPE: Dtype = Dtype::Q6_K;

    fn scale_bits(&self) -> i32 {
        bits(self.d, F16([0; 2]))
    }
}
