//! Activations that are cut out of their rows to be multiplied with a panel.

use super::memory::load32;
use super::operand::Block;
use super::scales::group;
use crate::tensor::Dtype;
use bytemuck::cast;
use std::arch::x86_64::*;

/// Copies the first bytes, all of them if there are fewer.
#[inline]
pub(super) fn copy_start<const N: usize>(bytes: &[u8], out: &mut [u8; N]) {
    match bytes.first_chunk() {
        Some(start) => *out = *start,
        None => out[..bytes.len()].copy_from_slice(bytes),
    }
}

/// What weights of type `B` need of the sums of 16 activations each, i16:
/// - blocks of 32 with an offset, its part in the sum of products of each block, as i32, to be subtracted by starting
///   with it;
/// - blocks of 32 with a minimum, the sum of each block, as f32;
/// - superblocks, the sums of two neighbouring groups, as i16.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sums<B: Block>(of_16: &[u8; 32]) -> [[u8; 4]; 8] {
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
