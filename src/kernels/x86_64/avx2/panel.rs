//! Panels: 256 weights of 16 outputs, unpacked so that neighbouring lanes belong to neighbouring outputs.

use super::{blocks, superblocks};
use crate::kernels::x86_64::memory::load32;
use crate::kernels::x86_64::operand::Block;
use crate::kernels::x86_64::scales::group;
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// Outputs in a panel: two vectors of 8 lanes.
pub(super) const OUTPUTS: usize = 16;
/// Weights of each output in a panel.
pub(super) const DEPTH: usize = 256;

/// The unpacked weights; `[_; 2]` are the first 8 outputs and the others.
#[derive(Clone, Debug)]
pub(in crate::kernels::x86_64) struct Panel {
    /// Four weights of each output, unsigned but for Q8_0 without VNNI.
    pub(super) q: [[__m256i; 2]; DEPTH / 4],
    /// Of superblocks the scale of each group, with VNNI, else twice as a word.
    pub(super) scales: [[__m256i; 2]; 16],
    /// Of superblocks what is multiplied with each pair of sums of activations, as words.
    pub(super) factors: [[__m256i; 2]; 8],
    /// The scale of each block, the first one only for superblocks.
    pub(super) d: [[__m256; 2]; 8],
    /// The scale of the minima of each block.
    pub(super) dmin: [[__m256; 2]; 8],
    /// Blocks of each output in it.
    pub(super) n_blocks: usize,
    /// The weights of half of the outputs before they change places, 32 by 32 and for each output.
    rows: [[__m256i; 8]; 8],
}

impl Panel {
    /// A panel of zeros.
    #[target_feature(enable = "avx2")]
    pub(super) fn new() -> Panel {
        let (zero, zeros) = ([_mm256_setzero_si256(); 2], [_mm256_setzero_ps(); 2]);
        Panel {
            q: [zero; 64],
            scales: [zero; 16],
            factors: [zero; 8],
            d: [zeros; 8],
            dmin: [zeros; 8],
            n_blocks: 0,
            rows: [[zero[0]; 8]; 8],
        }
    }

    /// Unpacks the blocks of each of the 16 rows, which are equally many and at most 256 weights.
    #[target_feature(enable = "avx2,f16c")]
    pub(super) fn fill<const VNNI: bool, B: Block>(&mut self, rows: &[&[B]; OUTPUTS]) {
        self.n_blocks = rows[0].len();
        for (half, rows) in rows.as_chunks().0.iter().enumerate() {
            if B::DTYPE.block_len() == 32 {
                self.unpack_blocks::<VNNI, _>(half, rows);
            } else {
                self.unpack_superblocks::<VNNI, _>(half, rows);
            }
            for (rows, columns) in self.rows.iter().zip(self.q.as_chunks_mut::<8>().0) {
                for (column, transposed) in columns.iter_mut().zip(transpose(rows)) {
                    column[half] = transposed;
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    fn unpack_blocks<const VNNI: bool, B: Block>(&mut self, half: usize, rows: &[&[B]; 8]) {
        let signs = _mm256_set1_epi8(if VNNI && B::DTYPE == Dtype::Q8_0 { -128 } else { 0 });
        let mut bits = [_mm256_setzero_si256(); 8];
        for (lane, row) in rows.iter().enumerate() {
            let mut bits_of_row = [0; 8];
            for (b, block) in row.iter().enumerate().take(8) {
                self.rows[b][lane] = _mm256_xor_si256(blocks::unpack(block), signs);
                bits_of_row[b] = block.scale_bits();
            }
            bits[lane] = load32(cast_ref(&bits_of_row));
        }
        for (b, bits) in transpose(&bits).into_iter().enumerate() {
            (self.d[b][half], self.dmin[b][half]) = floats(bits);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    fn unpack_superblocks<const VNNI: bool, B: Block>(&mut self, half: usize, rows: &[&[B]; 8]) {
        let mut scales = [_mm256_setzero_si256(); 8];
        let mut factors = [_mm256_setzero_si256(); 8];
        let mut bits = [0; 8];
        for (lane, row) in rows.iter().enumerate() {
            let unpacked = superblocks::unpack(&row[0]);
            for (rows, unpacked) in self.rows.iter_mut().zip(unpacked.q) {
                rows[lane] = unpacked;
            }
            scales[lane] = unpacked.scales;
            factors[lane] = unpacked.factors;
            bits[lane] = row[0].scale_bits();
        }
        (self.d[0][half], self.dmin[0][half]) = floats(load32(cast_ref(&bits)));
        // With groups of 32 the factors are the scales and then the minima.
        let first = if group(B::DTYPE) == 32 { 4 } else { 0 };
        for (factor, transposed) in self.factors.iter_mut().zip(&transpose(&factors)[first..]) {
            factor[half] = *transposed;
        }
        for (i, pair) in transpose(&scales).into_iter().enumerate() {
            // Vectors `2 * j` and `2 * j + 1` of weights, of which these are the scales of one half.
            let (j, part) = (i % 4, i / 4);
            let [even, odd] = if VNNI { each(pair) } else { twice_each(pair) };
            if group(B::DTYPE) == 16 {
                (self.scales[4 * j + part][half], self.scales[4 * j + 2 + part][half]) = (even, odd);
            } else if part == 0 {
                (self.scales[2 * j][half], self.scales[2 * j + 1][half]) = (even, odd);
            }
        }
    }
}

/// The first word of each pair, and the second.
#[inline]
#[target_feature(enable = "avx2")]
fn each(pairs: __m256i) -> [__m256i; 2] {
    [_mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(pairs)), _mm256_srai_epi32::<16>(pairs)]
}

/// The first word of each pair twice, and the second.
#[inline]
#[target_feature(enable = "avx2")]
fn twice_each(pairs: __m256i) -> [__m256i; 2] {
    let (low, high) = (_mm256_slli_epi32::<16>(pairs), _mm256_srli_epi32::<16>(pairs));
    [_mm256_blend_epi16::<0b1010_1010>(pairs, low), _mm256_blend_epi16::<0b1010_1010>(high, pairs)]
}

/// The scales in the low words, and those of the minima in the high ones.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn floats(bits: __m256i) -> (__m256, __m256) {
    let low = _mm256_and_si256(bits, _mm256_set1_epi32(0xffff));
    let words = _mm256_packus_epi32(low, _mm256_srli_epi32::<16>(bits));
    let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
    (_mm256_cvtph_ps(_mm256_castsi256_si128(words)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(words)))
}

/// Lane `i` of vector `j` becomes lane `j` of vector `i`.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: &[__m256i; 8]) -> [__m256i; 8] {
    let mut fours = [_mm256_setzero_si256(); 8];
    for (four, rows) in fours.as_chunks_mut::<4>().0.iter_mut().zip(rows.as_chunks::<4>().0) {
        let (a, b) = (_mm256_unpacklo_epi32(rows[0], rows[1]), _mm256_unpackhi_epi32(rows[0], rows[1]));
        let (c, d) = (_mm256_unpacklo_epi32(rows[2], rows[3]), _mm256_unpackhi_epi32(rows[2], rows[3]));
        *four = [
            _mm256_unpacklo_epi64(a, c),
            _mm256_unpackhi_epi64(a, c),
            _mm256_unpacklo_epi64(b, d),
            _mm256_unpackhi_epi64(b, d),
        ];
    }
    // Vector `i` now holds lanes `i` and `i + 4` of the first four rows, vector `4 + i` those of the others.
    let mut columns = [_mm256_setzero_si256(); 8];
    for i in 0..4 {
        columns[i] = _mm256_permute2x128_si256::<0x20>(fours[i], fours[4 + i]);
        columns[4 + i] = _mm256_permute2x128_si256::<0x31>(fours[i], fours[4 + i]);
    }
    columns
}
