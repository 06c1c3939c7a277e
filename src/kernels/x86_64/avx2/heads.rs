//! The scales of blocks.

use super::pairs::both;
use crate::kernels::block::{Q2_K, Q3_K, Q6_K};
use crate::kernels::kind::has_minima;
use crate::kernels::x86_64::memory::load32;
use crate::kernels::x86_64::operand::Block;
use crate::kernels::x86_64::scales::q3_k_scales;
use crate::tensor::Dtype;
use bytemuck::{bytes_of, cast_ref};
use std::arch::x86_64::*;
use std::array::from_fn;

/// The integers of two superblocks beside their weights, those of the first in the lower halves.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// The scales as words, of groups of 32 the first vector only.
    pub(super) scales: [__m256i; 2],
    /// What is multiplied with the sums of the activations: minima, or scales where there is an offset.
    pub(super) factors: [__m256i; 2],
}

/// The scales of eight blocks, and those of their minima.
#[inline]
#[target_feature(enable = "avx2,f16c")]
pub(super) fn floats<B: Block>(blocks: [&B; 8]) -> [__m256; 2] {
    let bits: [i32; 8] = from_fn(|i| blocks[i].scale_bits());
    if !has_minima(B::DTYPE) {
        let [a, b, c, d, e, f, g, h] = bits.map(|bits| bits as i16);
        return [_mm256_cvtph_ps(_mm_set_epi16(h, g, f, e, d, c, b, a)), _mm256_setzero_ps()];
    }
    let bits = load32(cast_ref(&bits));
    let low = _mm256_and_si256(bits, _mm256_set1_epi32(0xffff));
    let words = _mm256_packus_epi32(low, _mm256_srli_epi32::<16>(bits));
    let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
    [_mm256_cvtph_ps(_mm256_castsi256_si128(words)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(words))]
}

/// The heads of two superblocks.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn head<B: Block>([a, b]: [&B; 2]) -> Head {
    match B::DTYPE {
        Dtype::Q4_K | Dtype::Q5_K => of_32(a, b),
        Dtype::Q2_K => {
            let packed = both(&cast_ref::<B, Q2_K>(a).scales, &cast_ref::<B, Q2_K>(b).scales);
            let low = _mm256_set1_epi8(15);
            let minima = _mm256_and_si256(_mm256_srli_epi16::<4>(packed), low);
            Head { scales: words(_mm256_and_si256(packed, low)), factors: words(minima) }
        }
        Dtype::Q3_K => {
            let (a, b) = (&cast_ref::<B, Q3_K>(a).scales, &cast_ref::<B, Q3_K>(b).scales);
            let scales = words(_mm256_set_m128i(q3_k_scales(b), q3_k_scales(a)));
            Head { scales, factors: scales }
        }
        _ => {
            let (a, b) = (&cast_ref::<B, Q6_K>(a).scales, &cast_ref::<B, Q6_K>(b).scales);
            let scales = words(both(cast_ref(a), cast_ref(b)));
            Head { scales, factors: scales }
        }
    }
}

/// With groups of 32: the two scales, and six bits of each scale and minimum in 12 bytes, see
/// [`crate::kernels::block::scales_and_mins`].
#[inline]
#[target_feature(enable = "avx2")]
fn of_32<B: Block>(a: &B, b: &B) -> Head {
    let [a, b] = [bytes_of(a), bytes_of(b)].map(|block| block.first_chunk().expect("superblocks are longer"));
    let packed = both(a, b);
    let (six, four) = (0x3f3f_3f3f, 0x0f0f_0f0f);
    let low =
        _mm256_srlv_epi32(_mm256_shuffle_epi32::<0b11_10_11_01>(packed), _mm256_set_epi32(4, 0, 0, 0, 4, 0, 0, 0));
    let low = _mm256_and_si256(low, _mm256_set_epi32(four, six, four, six, four, six, four, six));
    let high = _mm256_srli_epi32::<2>(_mm256_shuffle_epi32::<0b10_10_01_01>(packed));
    let high = _mm256_and_si256(high, _mm256_set1_epi64x(0x3030_3030_0000_0000));
    let (bytes, zero) = (_mm256_or_si256(low, high), _mm256_setzero_si256());
    Head { scales: [_mm256_unpacklo_epi8(bytes, zero), zero], factors: [_mm256_unpackhi_epi8(bytes, zero), zero] }
}

/// The first eight signed bytes of each half as words, and the others.
#[inline]
#[target_feature(enable = "avx2")]
fn words(bytes: __m256i) -> [__m256i; 2] {
    let zero = _mm256_setzero_si256();
    [
        _mm256_srai_epi16::<8>(_mm256_unpacklo_epi8(zero, bytes)),
        _mm256_srai_epi16::<8>(_mm256_unpackhi_epi8(zero, bytes)),
    ]
}
