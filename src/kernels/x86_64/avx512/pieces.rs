//! Activations as tiles read them: what is multiplied with a panel lies together, row after row.

use super::panel::DEPTH;
use crate::kernels::Rows;
use crate::kernels::x86_64::cut::{copy_start, sums};
use crate::kernels::x86_64::memory::{load32, store64};
use crate::kernels::x86_64::operand::Block;
use crate::tensor::Dtype;
use bytemuck::cast_mut;
use std::arch::x86_64::*;

/// As many activations of a row as a panel is deep, and what else products need of them.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(in crate::kernels::x86_64) struct Piece {
    /// The activations in fours. Where a row ends within the piece, the rest is not used.
    pub(super) q: [[u8; 4]; DEPTH / 4],
    /// Of superblocks with an offset, the part that it has in the sum of products of each group, as i32, to be subtracted
    /// by starting with it; of other types what [`sums`] says, in the first eight.
    pub(super) words: [[u8; 4]; 16],
    /// The scale of each block, an f32; the first one only for superblocks.
    pub(super) scales: [[u8; 4]; 8],
}

impl Piece {
    pub(super) const ZEROS: Piece = Piece { q: [[0; 4]; DEPTH / 4], words: [[0; 4]; 16], scales: [[0; 4]; 8] };
}

/// Fills `pieces` with the activations of each row from `k` on, for weights of type `B`.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl")]
pub(super) fn gather<B: Block>(x: &Rows, k: usize, pieces: &mut [Piece]) {
    let layout = x.form().layout(x.width());
    let (sums_at, scales_at) = (layout.sums + k / 16 * 2, layout.scales + k / x.form().block_len() * 4);
    let (data, stride) = x.bytes();
    for (row, piece) in data.chunks_exact(stride).zip(pieces) {
        copy_start::<DEPTH>(&row[k..], cast_mut(&mut piece.q));
        copy_start::<32>(&row[scales_at..], cast_mut(&mut piece.scales));
        let mut of_16 = [0; 32];
        copy_start(&row[sums_at..], &mut of_16);
        match B::DTYPE {
            Dtype::Q3_K => piece.words = offsets::<2>(&of_16),
            Dtype::Q6_K => piece.words = offsets::<5>(&of_16),
            _ => piece.words.as_chunks_mut().0[0] = sums::<B>(&of_16),
        }
    }
}

/// The part that the offset 2^`SHIFT` has in the sum of products of each of 16 groups, as i32, of the sums of their
/// activations, i16.
#[inline]
#[target_feature(enable = "avx512f")]
fn offsets<const SHIFT: u32>(of_16: &[u8; 32]) -> [[u8; 4]; 16] {
    let sums = _mm512_slli_epi32::<SHIFT>(_mm512_cvtepi16_epi32(load32(of_16)));
    let mut words = [[0; 4]; 16];
    store64(_mm512_castsi512_ps(_mm512_sub_epi32(_mm512_setzero_si512(), sums)), cast_mut(&mut words));
    words
}
