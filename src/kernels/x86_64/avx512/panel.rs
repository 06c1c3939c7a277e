//! Panels: 256 weights of 32 outputs, unpacked so that neighbouring lanes belong to neighbouring outputs.

use super::{pairs, superblocks};
use crate::kernels::x86_64::memory::load64;
use crate::kernels::x86_64::operand::Block;
use crate::kernels::x86_64::scales::{group, has_minima};
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;

/// Outputs in a panel: two vectors of 16 lanes.
pub(super) const OUTPUTS: usize = 32;
/// Weights of each output in a panel.
pub(super) const DEPTH: usize = 256;

/// The unpacked weights; `[_; 2]` are the first 16 outputs and the others.
#[derive(Clone, Debug)]
pub(in crate::kernels::x86_64) struct Panel {
    /// Four weights of each output, unsigned.
    pub(super) q: [[__m512i; 2]; DEPTH / 4],
    /// Of superblocks the scale of each group.
    pub(super) scales: [[__m512i; 2]; 16],
    /// Of superblocks with minima, those of two groups as words.
    pub(super) minima: [[__m512i; 2]; 8],
    /// The scale of each block, the first one only for superblocks.
    pub(super) d: [[__m512; 2]; 8],
    /// The scale of the minima of each block.
    pub(super) dmin: [[__m512; 2]; 8],
}

impl Panel {
    /// A panel of zeros.
    #[target_feature(enable = "avx512f")]
    pub(super) fn new() -> Panel {
        let (zero, zeros) = ([_mm512_setzero_si512(); 2], [_mm512_setzero_ps(); 2]);
        Panel { q: [zero; 64], scales: [zero; 16], minima: [zero; 8], d: [zeros; 8], dmin: [zeros; 8] }
    }

    /// Unpacks the blocks `first..first + n` of each of the 32 rows.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn fill<B: Block>(&mut self, rows: &[&[B]; OUTPUTS], first: usize, n: usize) {
        for (half, rows) in rows.as_chunks::<16>().0.iter().enumerate() {
            let mut q = [[_mm512_setzero_si512(); 16]; 4];
            if B::DTYPE.block_len() == 32 {
                let mut bits = [_mm512_setzero_si512(); 16];
                for (lane, row) in rows.iter().enumerate() {
                    let blocks = &row[first..first + n];
                    for (q, pair) in q.iter_mut().zip(blocks.chunks(2)) {
                        q[lane] = pairs::unpack(&pair[0], &pair[pair.len() - 1]);
                    }
                    bits[lane] = scale_bits_of_row(blocks);
                }
                for (b, bits) in transpose(&bits).into_iter().enumerate().take(8) {
                    (self.d[b][half], self.dmin[b][half]) = floats(bits);
                }
            } else {
                let mut scales = [_mm512_setzero_si512(); 16];
                let mut factors = [_mm512_setzero_si512(); 16];
                let mut bits = [0; 16];
                for (lane, row) in rows.iter().enumerate() {
                    let unpacked = superblocks::unpack(&row[first]);
                    for (q, unpacked) in q.iter_mut().zip(unpacked.q) {
                        q[lane] = unpacked;
                    }
                    scales[lane] = unpacked.scales;
                    factors[lane] = _mm512_castsi256_si512(unpacked.factors);
                    bits[lane] = row[first].scale_bits();
                }
                (self.d[0][half], self.dmin[0][half]) = floats(load64(cast_ref(&bits)));
                self.fill_scales::<B>(half, &scales, &factors);
            }
            for (q, columns) in q.iter().zip(self.q.as_chunks_mut::<16>().0) {
                for (column, transposed) in columns.iter_mut().zip(transpose(q)) {
                    column[half] = transposed;
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn fill_scales<B: Block>(&mut self, half: usize, scales: &[__m512i; 16], factors: &[__m512i; 16]) {
        let pairs = transpose(scales);
        for (two, pair) in self.scales.as_chunks_mut::<2>().0.iter_mut().zip(pairs).take(DEPTH / group(B::DTYPE) / 2) {
            two[0][half] = _mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(pair));
            two[1][half] = _mm512_srai_epi32::<16>(pair);
        }
        if has_minima(B::DTYPE) {
            // With 8 groups the factors are the scales and then the minima.
            let (minima, first) = if B::DTYPE == Dtype::Q2_K { (transpose(factors), 0) } else { (pairs, 4) };
            for (minimum, pair) in self.minima.iter_mut().zip(&minima[first..]) {
                minimum[half] = *pair;
            }
        }
    }
}

/// The scale bits of up to eight blocks.
#[inline]
#[target_feature(enable = "avx512f")]
fn scale_bits_of_row<B: Block>(blocks: &[B]) -> __m512i {
    let mut bits = [0; 16];
    for (bits, block) in bits[..8].iter_mut().zip(blocks) {
        *bits = block.scale_bits();
    }
    load64(cast_ref(&bits))
}

/// The scales, and those of the minima.
#[inline]
#[target_feature(enable = "avx512f")]
fn floats(bits: __m512i) -> (__m512, __m512) {
    let d = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(bits));
    (d, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(bits))))
}

/// Lane `i` of vector `j` becomes lane `j` of vector `i`.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: &[__m512i; 16]) -> [__m512i; 16] {
    const FIRST: i32 = 0b10_00_10_00;
    const SECOND: i32 = 0b11_01_11_01;
    let mut fours = [_mm512_setzero_si512(); 16];
    for (four, rows) in fours.as_chunks_mut::<4>().0.iter_mut().zip(rows.as_chunks::<4>().0) {
        let (a, b) = (_mm512_unpacklo_epi32(rows[0], rows[1]), _mm512_unpackhi_epi32(rows[0], rows[1]));
        let (c, d) = (_mm512_unpacklo_epi32(rows[2], rows[3]), _mm512_unpackhi_epi32(rows[2], rows[3]));
        *four = [
            _mm512_unpacklo_epi64(a, c),
            _mm512_unpackhi_epi64(a, c),
            _mm512_unpacklo_epi64(b, d),
            _mm512_unpackhi_epi64(b, d),
        ];
    }
    // Vector `4 * f + i` now holds lane `i` of four rows `4 * f..` in each quarter `t`, of lanes `4 * t..`.
    let mut columns = [_mm512_setzero_si512(); 16];
    for i in 0..4 {
        let (a, b, c, d) = (fours[i], fours[4 + i], fours[8 + i], fours[12 + i]);
        let (ab_even, ab_odd) = (_mm512_shuffle_i32x4::<FIRST>(a, b), _mm512_shuffle_i32x4::<SECOND>(a, b));
        let (cd_even, cd_odd) = (_mm512_shuffle_i32x4::<FIRST>(c, d), _mm512_shuffle_i32x4::<SECOND>(c, d));
        columns[i] = _mm512_shuffle_i32x4::<FIRST>(ab_even, cd_even);
        columns[8 + i] = _mm512_shuffle_i32x4::<SECOND>(ab_even, cd_even);
        columns[4 + i] = _mm512_shuffle_i32x4::<FIRST>(ab_odd, cd_odd);
        columns[12 + i] = _mm512_shuffle_i32x4::<SECOND>(ab_odd, cd_odd);
    }
    columns
}
