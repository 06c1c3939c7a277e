//! Activations as tiles read them: what is multiplied with a panel lies together, row after row.

use super::panel::DEPTH;
use crate::kernels::Rows;
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
    /// See [`words`].
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
    let (sums, scales) = (layout.sums + k / 16 * 2, layout.scales + k / x.form().block_len() * 4);
    let (data, stride) = x.bytes();
    for (row, piece) in data.chunks_exact(stride).zip(pieces) {
        copy_start::<DEPTH>(&row[k..], cast_mut(&mut piece.q));
        copy_start::<32>(&row[scales..], cast_mut(&mut piece.scales));
        let mut of_16 = [0; 32];
        copy_start(&row[sums..], &mut of_16);
        words::<B>(load32(&of_16), &mut piece.words);
    }
}

/// Copies as much as there is and has room; mostly all there is room for.
#[inline]
fn copy_start<const N: usize>(from: &[u8], to: &mut [u8; N]) {
    match from.first_chunk() {
        Some(from) => *to = *from,
        None => to[..from.len()].copy_from_slice(from),
    }
}

/// Of the sums of 16 activations each, i16:
/// - for types with an offset, the part that it has in the sum of products of each group (of 32, or of 16 in
///   superblocks), as i32, to be subtracted by starting with it;
/// - for blocks of 32 with a minimum, the sum of their activations, as f32;
/// - for superblocks with minima, the sums of two groups, as i16.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl")]
fn words<B: Block>(of_16: __m256i, words: &mut [[u8; 4]; 16]) {
    let of_32 = _mm256_madd_epi16(of_16, _mm256_set1_epi16(1));
    let eight = |words: __m256i| _mm512_zextsi256_si512(words);
    let all = match B::DTYPE {
        Dtype::Q4_0 => eight(offset::<3>(of_32)),
        Dtype::Q5_0 => eight(offset::<4>(of_32)),
        Dtype::Q8_0 => eight(offset::<7>(of_32)),
        Dtype::Q4_1 | Dtype::Q5_1 => eight(_mm256_castps_si256(_mm256_cvtepi32_ps(of_32))),
        Dtype::Q2_K => eight(of_16),
        Dtype::Q4_K | Dtype::Q5_K => _mm512_zextsi128_si512(_mm256_cvtepi32_epi16(of_32)),
        Dtype::Q3_K => wide_offset::<2>(_mm512_cvtepi16_epi32(of_16)),
        _ => wide_offset::<5>(_mm512_cvtepi16_epi32(of_16)),
    };
    store64(_mm512_castsi512_ps(all), cast_mut(words));
}

/// `-sums << SHIFT`.
#[inline]
#[target_feature(enable = "avx2")]
fn offset<const SHIFT: i32>(sums: __m256i) -> __m256i {
    _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32::<SHIFT>(sums))
}

/// The same of sixteen sums.
#[inline]
#[target_feature(enable = "avx512f")]
fn wide_offset<const SHIFT: u32>(sums: __m512i) -> __m512i {
    _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32::<SHIFT>(sums))
}
