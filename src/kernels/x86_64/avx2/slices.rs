//! Slices: the activations that a panel is multiplied with, row after row, so that a tile finds them at fixed places.

use super::panel::{DEPTH, is_wide, widen};
use crate::kernels::Rows;
use crate::kernels::x86_64::memory::load32;
use crate::kernels::x86_64::operand::Block;
use crate::kernels::x86_64::scales::group;
use crate::tensor::Dtype;
use bytemuck::{cast, cast_mut};
use std::arch::x86_64::*;

/// Up to 256 quantized activations of a row; what lies beyond their end is not used.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(in crate::kernels::x86_64) struct Slice {
    /// Four activations, or two as words in the order of the weights: see [`is_wide`].
    pub(super) q: [[u8; 4]; DEPTH / 2],
    /// The scale of each block, an f32.
    pub(super) scales: [[u8; 4]; 8],
    /// What weights need of the sums of the activations:
    /// - blocks of 32 with an offset, its part in the sum of products of each block, as i32, to be subtracted by starting
    ///   with it;
    /// - blocks of 32 with a minimum, the sum of each block, as f32;
    /// - superblocks, the sums of two neighbouring groups, as i16.
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

/// Copies the first bytes, all of them if there are fewer.
#[inline]
fn copy_start<const N: usize>(bytes: &[u8], out: &mut [u8; N]) {
    match bytes.first_chunk() {
        Some(start) => *out = *start,
        None => out[..bytes.len()].copy_from_slice(bytes),
    }
}

/// What weights need of the sums of 16 activations.
#[inline]
#[target_feature(enable = "avx2")]
fn sums<B: Block>(of_16: &[u8; 32]) -> [[u8; 4]; 8] {
    if B::DTYPE.block_len() == 256 && group(B::DTYPE) == 16 {
        return cast(*of_16);
    }
    let of_32 = _mm256_madd_epi16(load32(of_16), _mm256_set1_epi16(1));
    cast(match B::DTYPE {
        Dtype::Q4_0 => _mm256_slli_epi32::<3>(negative(of_32)),
        Dtype::Q5_0 => _mm256_slli_epi32::<4>(negative(of_32)),
        Dtype::Q8_0 => _mm256_slli_epi32::<7>(negative(of_32)),
        Dtype::Q4_1 | Dtype::Q5_1 => _mm256_castps_si256(_mm256_cvtepi32_ps(of_32)),
        _ => _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(of_32, _mm256_setzero_si256())),
    })
}

#[inline]
#[target_feature(enable = "avx2")]
fn negative(x: __m256i) -> __m256i {
    _mm256_sub_epi32(_mm256_setzero_si256(), x)
}
