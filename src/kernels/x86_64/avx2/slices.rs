//! Slices: the activations that a panel is multiplied with, row after row, so that a tile finds them at fixed places.

use super::panel::{DEPTH, is_wide, widen};
use crate::kernels::Rows;
use crate::kernels::x86_64::cut::{copy_start, sums};
use crate::kernels::x86_64::memory::load32;
use crate::kernels::x86_64::operand::Block;
use bytemuck::{cast, cast_mut};

/// Up to 256 quantized activations of a row; what lies beyond their end is not used.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(in crate::kernels::x86_64) struct Slice {
    /// Four activations, or two as words in the order of the weights: see [`is_wide`].
    pub(super) q: [[u8; 4]; DEPTH / 2],
    /// The scale of each block, an f32.
    pub(super) scales: [[u8; 4]; 8],
    /// What [`sums`] makes of the sums of the activations.
    pub(super) sums: [[u8; 4]; 8],
}

const EMPTY: Slice = Slice { q: [[0; 4]; DEPTH / 2], scales: [[0; 4]; 8], sums: [[0; 4]; 8] };

/// Fills `slices` with the activations of all rows from `k` on.
#[target_feature(enable = "avx2")]
pub(super) fn fill<const VNNI: bool, B: Block>(slices: &mut Vec<Slice>, x: &Rows, k: usize) {
    let (data, stride) = x.bytes();
    let layout = x.form().layout(x.width());
    slices.resize(x.n_rows(), EMPTY);
    for (row, slice) in slices.iter_mut().enumerate() {
        let row = &data[row * stride..];
        if is_wide::<VNNI>(B::DTYPE) {
            let mut bytes = [0; DEPTH];
            copy_start(&row[k..], &mut bytes);
            let words: &mut [[[u8; 32]; 2]; DEPTH / 32] = cast_mut(&mut slice.q);
            for (words, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
                *words = cast(widen(load32(bytes)));
            }
        } else {
            copy_start(&row[k..], &mut cast_mut::<_, [[u8; DEPTH]; 2]>(&mut slice.q)[0]);
        }
        copy_start(&row[layout.scales + k / x.form().block_len() * 4..], cast_mut::<_, [u8; 32]>(&mut slice.scales));
        let mut of_16 = [0; 32];
        copy_start(&row[layout.sums + k / 16 * 2..], &mut of_16);
        slice.sums = sums::<B>(&of_16);
    }
}
