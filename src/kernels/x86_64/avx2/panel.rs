//! Panels: 256 weights of 16 outputs, unpacked so that neighbouring lanes belong to neighbouring outputs.

use super::{heads, pairs};
use crate::kernels::x86_64::memory::prefetch_second;
use crate::kernels::x86_64::operand::Block;
use crate::kernels::x86_64::scales::group;
use crate::tensor::Dtype;
use std::arch::x86_64::*;
use std::ops::Range;

/// Outputs in a panel: two vectors of 8 lanes.
pub(super) const OUTPUTS: usize = 16;
/// Weights of each output in a panel.
pub(super) const DEPTH: usize = 256;

/// Whether weights become words, since 16 bits do not hold the products of two bytes of any sign. Of each 32 weights, the
/// even ones come first: 0 and 2, 4 and 6 and so on, then 1 and 3.
pub(super) const fn is_wide<const VNNI: bool>(dtype: Dtype) -> bool {
    !VNNI && matches!(dtype, Dtype::Q8_0)
}

/// Bytes as words, the even ones and the odd ones.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn widen(bytes: __m256i) -> [__m256i; 2] {
    [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(bytes)), _mm256_srai_epi16::<8>(bytes)]
}

/// The unpacked weights; `[_; 2]` are the first 8 outputs and the others.
#[derive(Clone, Debug)]
pub(in crate::kernels::x86_64) struct Panel {
    /// Four weights of each output, unsigned; or two as words, see [`is_wide`].
    pub(super) q: [[__m256i; 2]; DEPTH / 2],
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
}

impl Panel {
    /// A panel of zeros.
    #[target_feature(enable = "avx2")]
    pub(super) fn new() -> Panel {
        let (zero, zeros) = ([_mm256_setzero_si256(); 2], [_mm256_setzero_ps(); 2]);
        Panel {
            q: [zero; DEPTH / 2],
            scales: [zero; 16],
            factors: [zero; 8],
            d: [zeros; 8],
            dmin: [zeros; 8],
            n_blocks: 0,
        }
    }

    /// Unpacks the blocks `part` of each of the 16 rows, at most 256 weights, and asks for what lies `next` bytes after
    /// them.
    #[target_feature(enable = "avx2,f16c")]
    pub(super) fn fill<const VNNI: bool, B: Block>(&mut self, rows: &[&[B]; OUTPUTS], part: Range<usize>, next: usize) {
        self.n_blocks = part.len();
        for (half, rows) in rows.as_chunks::<8>().0.iter().enumerate() {
            for (b, at) in part.clone().enumerate() {
                let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
                let blocks = [&r0[at], &r1[at], &r2[at], &r3[at], &r4[at], &r5[at], &r6[at], &r7[at]];
                for block in blocks {
                    prefetch_second(block, next);
                }
                if B::DTYPE.block_len() == 32 {
                    self.unpack_block::<VNNI, B>(half, b, &blocks);
                } else {
                    self.unpack_superblock::<VNNI, B>(half, &blocks);
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    fn unpack_block<const VNNI: bool, B: Block>(&mut self, half: usize, b: usize, blocks: &[&B; 8]) {
        let signs = _mm256_set1_epi8(if VNNI && B::DTYPE == Dtype::Q8_0 { -128 } else { 0 });
        let mut rows = [[_mm256_setzero_si256(); 4]; 2];
        for i in 0..4 {
            let [first, second] = pairs::block([blocks[i], blocks[i + 4]]);
            (rows[0][i], rows[1][i]) = (first, second);
        }
        for (i, rows) in rows.into_iter().enumerate() {
            let places = self.q.as_chunks_mut().0;
            let columns = transpose(rows);
            if is_wide::<VNNI>(B::DTYPE) {
                let [mut even, mut odd] = [columns; 2];
                for j in 0..4 {
                    [even[j], odd[j]] = widen(columns[j]);
                }
                put(&mut places[4 * b + i], half, even);
                put(&mut places[4 * b + 2 + i], half, odd);
            } else {
                put(&mut places[2 * b + i], half, columns.map(|column| _mm256_xor_si256(column, signs)));
            }
        }
        [self.d[b][half], self.dmin[b][half]] = heads::floats(*blocks);
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    fn unpack_superblock<const VNNI: bool, B: Block>(&mut self, half: usize, blocks: &[&B; 8]) {
        self.unpack_part::<B, 0>(half, blocks);
        self.unpack_part::<B, 1>(half, blocks);
        self.unpack_part::<B, 2>(half, blocks);
        self.unpack_part::<B, 3>(half, blocks);
        let [a, b, c, d, e, f, g, h] = *blocks;
        let heads = [heads::head([a, e]), heads::head([b, f]), heads::head([c, g]), heads::head([d, h])];
        [self.d[0][half], self.dmin[0][half]] = heads::floats(*blocks);
        for i in 0..128 / group(B::DTYPE) / 4 {
            let factors = transpose(heads.map(|head| head.factors[i]));
            put(&mut self.factors.as_chunks_mut().0[i], half, factors);
            for (j, pair) in transpose(heads.map(|head| head.scales[i])).into_iter().enumerate() {
                let [even, odd] = if VNNI { each(pair) } else { twice_each(pair) };
                (self.scales[8 * i + 2 * j][half], self.scales[8 * i + 2 * j + 1][half]) = (even, odd);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn unpack_part<B: Block, const PART: usize>(&mut self, half: usize, blocks: &[&B; 8]) {
        let mut rows = [[_mm256_setzero_si256(); 4]; 4];
        for i in 0..4 {
            let q = pairs::part_of_superblock::<B, PART>([blocks[i], blocks[i + 4]]);
            for j in 0..4 {
                rows[j][i] = q[j];
            }
        }
        for (j, rows) in rows.into_iter().enumerate() {
            let place = pairs::place(B::DTYPE, PART, j);
            put(&mut self.q.as_chunks_mut().0[place], half, transpose(rows));
        }
    }
}

/// Puts each vector into half `half` of its place.
#[inline]
#[target_feature(enable = "avx2")]
fn put(places: &mut [[__m256i; 2]; 4], half: usize, vectors: [__m256i; 4]) {
    for (place, vector) in places.iter_mut().zip(vectors) {
        place[half] = vector;
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

/// In each half on its own: lane `i` of vector `j` becomes lane `j` of vector `i`.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    let (ab, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab, cd),
        _mm256_unpackhi_epi64(ab, cd),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}
