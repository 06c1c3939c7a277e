//! GGML's blocks: small groups of weights that share scales, as they lie in a file.
//!
//! Every block has alignment 1, so bytes of a mapped file can be seen as blocks wherever they start. Below, `x` is a
//! weight, `q` its stored integer, and "nibble" half a byte, the low one first. Blocks named `_K` cover 256 weights in
//! smaller groups whose scales are integers times one float; the others cover 32.
//!
//! Source: the block structures of ggml-common.h, whose field names these are.

use bytemuck::{Pod, Zeroable};

/// A 16-bit float at any address.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct F16(pub(super) [u8; 2]);

impl F16 {
    /// The value, which 32 bits hold exactly.
    pub(super) fn to_f32(self) -> f32 {
        half::f16::from_le_bytes(self.0).to_f32()
    }
}

/// 4 bits a weight: `x = d * (q - 8)`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q4_0 {
    /// The scale.
    pub(super) d: F16,
    /// Byte `i` holds weight `i` in its low nibble and weight `i + 16` in its high one.
    pub(super) qs: [u8; 16],
}

/// 4 bits a weight, with an offset: `x = d * q + m`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q4_1 {
    /// The scale.
    pub(super) d: F16,
    /// The offset.
    pub(super) m: F16,
    /// As in [`Q4_0`].
    pub(super) qs: [u8; 16],
}

/// 5 bits a weight: `x = d * (q - 16)`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q5_0 {
    /// The scale.
    pub(super) d: F16,
    /// Bit `i` of this little-endian number is the fifth, highest bit of weight `i`.
    pub(super) qh: [u8; 4],
    /// The low four bits, as in [`Q4_0`].
    pub(super) qs: [u8; 16],
}

/// 5 bits a weight, with an offset: `x = d * q + m`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q5_1 {
    /// The scale.
    pub(super) d: F16,
    /// The offset.
    pub(super) m: F16,
    /// As in [`Q5_0`].
    pub(super) qh: [u8; 4],
    /// The low four bits, as in [`Q4_0`].
    pub(super) qs: [u8; 16],
}

/// 8 bits a weight: `x = d * q`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q8_0 {
    /// The scale.
    pub(super) d: F16,
    /// The weights in order.
    pub(super) qs: [i8; 32],
}

/// 2 bits a weight in 16 groups of 16: `x = d * scale * q - dmin * min`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q2_K {
    /// Of each group the scale in the low nibble and the minimum in the high one.
    pub(super) scales: [u8; 16],
    /// Each half of the block (128 weights) takes 32 bytes; byte `i` of a half holds its weights `i`, `i + 32`,
    /// `i + 64` and `i + 96`, from the lowest two bits up.
    pub(super) qs: [u8; 64],
    /// The scale of the scales.
    pub(super) d: F16,
    /// The scale of the minima.
    pub(super) dmin: F16,
}

/// 3 bits a weight in 16 groups of 16: `x = d * scale * q`, where `q` runs from -4 to 3.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q3_K {
    /// Bit `j` of byte `i` belongs to weight `32 * j + i`: where it is clear, 4 is taken from `q`.
    pub(super) hmask: [u8; 32],
    /// The low two bits, as in [`Q2_K`].
    pub(super) qs: [u8; 64],
    /// Sixteen scales of 6 bits, see [`Q3_K::scales()`].
    pub(super) scales: [u8; 12],
    /// The scale of the scales.
    pub(super) d: F16,
}

impl Q3_K {
    /// The scale of each group, from -32 to 31.
    ///
    /// The low four bits are the nibbles of the first 8 bytes, all low ones first; the high two bits are the bit pairs
    /// of the last 4 bytes, all lowest ones first.
    pub(super) fn scales(&self) -> [i8; 16] {
        std::array::from_fn(|group| {
            let low = self.scales[group % 8] >> (group / 8 * 4) & 15;
            let high = self.scales[8 + group % 4] >> (group / 4 * 2) & 3;
            (low | high << 4) as i8 - 32
        })
    }
}

/// 4 bits a weight in 8 groups of 32: `x = d * scale * q - dmin * min`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q4_K {
    /// The scale of the scales.
    pub(super) d: F16,
    /// The scale of the minima.
    pub(super) dmin: F16,
    /// Eight scales and eight minima of 6 bits, see [`scales_and_mins`].
    pub(super) scales: [u8; 12],
    /// Each pair of groups takes 32 bytes: the first group in the low nibbles, the second in the high ones.
    pub(super) qs: [u8; 128],
}

/// 5 bits a weight in 8 groups of 32: `x = d * scale * q - dmin * min`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q5_K {
    /// The scale of the scales.
    pub(super) d: F16,
    /// The scale of the minima.
    pub(super) dmin: F16,
    /// As in [`Q4_K`].
    pub(super) scales: [u8; 12],
    /// Bit `j` of byte `i` is the fifth, highest bit of weight `i` of group `j`.
    pub(super) qh: [u8; 32],
    /// The low four bits, as in [`Q4_K`].
    pub(super) qs: [u8; 128],
}

/// 6 bits a weight in 16 groups of 16: `x = d * scale * (q - 32)`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q6_K {
    /// The low four bits: each half of the block (128 weights) takes 64 bytes, its weights 0 to 63 in their low nibbles
    /// and 64 to 127 in their high ones.
    pub(super) ql: [u8; 128],
    /// The high two bits, laid out as the weights of [`Q2_K`].
    pub(super) qh: [u8; 64],
    /// The scale of each group.
    pub(super) scales: [i8; 16],
    /// The scale of the scales.
    pub(super) d: F16,
}

/// The scales and the minima of the groups of a [`Q4_K`] or [`Q5_K`], each from 0 to 63.
///
/// The first four scales are the low six bits of bytes 0 to 3, the first four minima those of bytes 4 to 7. Of the other
/// four, bytes 8 to 11 hold the low four bits, scales in low nibbles and minima in high ones, and the top two bits of
/// bytes 0 to 7 are their high two bits.
pub(super) fn scales_and_mins(packed: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    let low = |start: usize, shift: usize| {
        std::array::from_fn(|group| match group {
            0..4 => packed[start + group] & 63,
            _ => packed[4 + group] >> shift & 15 | packed[start + group - 4] >> 6 << 4,
        })
    };
    (low(0, 0), low(4, 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dtype;

    fn assert_layout<B: Pod>(dtype: Dtype) {
        assert_eq!((size_of::<B>(), align_of::<B>()), (dtype.block_bytes(), 1), "{dtype}");
    }

    #[test]
    fn blocks_are_as_large_as_their_types_say_and_lie_anywhere() {
        assert_layout::<Q4_0>(Dtype::Q4_0);
        assert_layout::<Q4_1>(Dtype::Q4_1);
        assert_layout::<Q5_0>(Dtype::Q5_0);
        assert_layout::<Q5_1>(Dtype::Q5_1);
        assert_layout::<Q8_0>(Dtype::Q8_0);
        assert_layout::<Q2_K>(Dtype::Q2_K);
        assert_layout::<Q3_K>(Dtype::Q3_K);
        assert_layout::<Q4_K>(Dtype::Q4_K);
        assert_layout::<Q5_K>(Dtype::Q5_K);
        assert_layout::<Q6_K>(Dtype::Q6_K);
    }
}
