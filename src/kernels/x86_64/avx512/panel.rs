//! Panels: 256 weights of 32 outputs, unpacked so that neighbouring lanes belong to neighbouring outputs.

use super::columns::{
    bytes_of_lanes, column, high_float, high_nibbles, join, low_float, low_nibbles, wide_column, words_of_lanes,
};
use crate::kernels::block::{Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use crate::kernels::x86_64::memory::load32;
use crate::kernels::x86_64::operand::Block;
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::x86_64::*;
use std::mem::offset_of;

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

    /// Unpacks the blocks `first..first + n` of each of 32 rows.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn fill<B: Block>(&mut self, rows: &[&[B]; OUTPUTS], first: usize, n: usize) {
        for (half, rows) in rows.as_chunks().0.iter().enumerate() {
            // Whole panels of small blocks have their bounds checked once.
            if B::DTYPE.block_len() * 8 == DEPTH && n == 8 {
                self.fill_blocks::<B, 8>(0, half, &parts(rows, first));
            } else {
                (0..n).for_each(|b| self.fill_blocks::<B, 1>(b, half, &parts(rows, first + b)));
            }
        }
    }

    /// Unpacks the blocks of half a panel from block `b` on.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    fn fill_blocks<B: Block, const N: usize>(&mut self, b: usize, half: usize, parts: &[&[B; N]; 16]) {
        if matches!(B::DTYPE, Dtype::Q4_0 | Dtype::Q8_0) {
            for (i, d) in single_scales(parts).into_iter().enumerate() {
                self.d[b + i][half] = d;
            }
        }
        for i in 0..N {
            let mut blocks = [&parts[0][i]; 16];
            for (block, part) in blocks.iter_mut().zip(parts) {
                *block = &part[i];
            }
            let (b, blocks) = (b + i, &blocks);
            match B::DTYPE {
                Dtype::Q4_0 => self.fill_nibbles(b, half, column(blocks, offset_of!(Q4_0, qs)), |q, _| q),
                Dtype::Q4_1 => self.fill_q4_1(b, half, blocks),
                Dtype::Q5_0 => self.fill_q5_0(b, half, blocks),
                Dtype::Q5_1 => self.fill_q5_1(b, half, blocks),
                Dtype::Q8_0 => self.fill_q8_0(b, half, blocks),
                Dtype::Q2_K => self.fill_q2_k(half, blocks),
                Dtype::Q3_K => self.fill_q3_k(half, blocks),
                Dtype::Q4_K => self.fill_q4_k(half, blocks),
                Dtype::Q5_K => self.fill_q5_k(half, blocks),
                _ => self.fill_q6_k(half, blocks),
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    fn fill_q4_1<B: Block>(&mut self, b: usize, half: usize, blocks: &[&B; 16]) {
        self.fill_scales_of_block(b, half, column(blocks, offset_of!(Q4_1, d))[0]);
        self.fill_nibbles(b, half, column(blocks, offset_of!(Q4_1, qs)), |q, _| q);
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    fn fill_q5_0<B: Block>(&mut self, b: usize, half: usize, blocks: &[&B; 16]) {
        let [first, second, ..] = column(blocks, offset_of!(Q5_0, d));
        self.d[b][half] = low_float(first);
        let fifth = _mm512_or_si512(_mm512_srli_epi32::<16>(first), _mm512_slli_epi32::<16>(second));
        self.fill_nibbles(b, half, column(blocks, offset_of!(Q5_0, qs)), |q, i| add_fifth_bits(q, fifth, i));
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    fn fill_q5_1<B: Block>(&mut self, b: usize, half: usize, blocks: &[&B; 16]) {
        let [scales, fifth, ..] = column(blocks, offset_of!(Q5_1, d));
        self.fill_scales_of_block(b, half, scales);
        self.fill_nibbles(b, half, column(blocks, offset_of!(Q5_1, qs)), |q, i| add_fifth_bits(q, fifth, i));
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    fn fill_q8_0<B: Block>(&mut self, b: usize, half: usize, blocks: &[&B; 16]) {
        for (to, q) in self.q[8 * b..].iter_mut().zip(wide_column(blocks, offset_of!(Q8_0, qs))) {
            to[half] = _mm512_xor_si512(q, _mm512_set1_epi8(-128));
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn fill_scales_of_block(&mut self, b: usize, half: usize, bits: __m512i) {
        self.d[b][half] = low_float(bits);
        self.dmin[b][half] = high_float(bits);
    }

    /// The weights of a block of 32, those of vector `i` made by `finish(nibbles, i)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn fill_nibbles(
        &mut self,
        b: usize,
        half: usize,
        packed: [__m512i; 4],
        finish: impl Fn(__m512i, usize) -> __m512i,
    ) {
        for (i, packed) in packed.into_iter().enumerate() {
            self.q[8 * b + i][half] = finish(low_nibbles(packed), i);
            self.q[8 * b + 4 + i][half] = finish(high_nibbles(packed), 4 + i);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    fn fill_q2_k<B: Block>(&mut self, half: usize, blocks: &[&B; 16]) {
        self.fill_scales_of_block(0, half, column(blocks, offset_of!(Q2_K, d) - 12)[3]);
        for (i, packed) in column(blocks, offset_of!(Q2_K, scales)).into_iter().enumerate() {
            self.fill_scales(i, half, low_nibbles(packed));
            self.fill_minima(i, half, high_nibbles(packed));
        }
        for part in 0..2 {
            for (i, packed) in wide_column(blocks, offset_of!(Q2_K, qs) + 32 * part).into_iter().enumerate() {
                let q = &mut self.q[32 * part + i..];
                for (pair, packed) in bit_pairs(packed).into_iter().enumerate() {
                    q[8 * pair][half] = packed;
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    fn fill_q3_k<B: Block>(&mut self, half: usize, blocks: &[&B; 16]) {
        self.d[0][half] = high_float(column(blocks, offset_of!(Q3_K, d) - 14)[3]);
        let [_, a, b, high] = column(blocks, offset_of!(Q3_K, scales) - 4);
        let scales = [
            join::<48>(low_nibbles(a), _mm512_slli_epi16::<4>(high)),
            join::<48>(low_nibbles(b), _mm512_slli_epi16::<2>(high)),
            join::<48>(high_nibbles(a), high),
            join::<48>(high_nibbles(b), _mm512_srli_epi16::<2>(high)),
        ];
        for (i, scales) in scales.into_iter().enumerate() {
            self.fill_scales(i, half, _mm512_sub_epi8(scales, _mm512_set1_epi8(32)));
        }
        let mut high = wide_column(blocks, offset_of!(Q3_K, hmask));
        for part in 0..2 {
            let packed = wide_column(blocks, offset_of!(Q3_K, qs) + 32 * part);
            for (i, (packed, high)) in packed.into_iter().zip(&mut high).enumerate() {
                let q = &mut self.q[32 * part + i..];
                for (pair, packed) in bit_pairs(packed).into_iter().enumerate() {
                    q[8 * pair][half] = join::<4>(packed, _mm512_slli_epi16::<2>(*high));
                    *high = _mm512_srli_epi16::<1>(*high);
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    fn fill_q4_k<B: Block>(&mut self, half: usize, blocks: &[&B; 16]) {
        self.fill_packed_scales(half, column(blocks, offset_of!(Q4_K, d)));
        for pair in 0..4 {
            for (i, packed) in wide_column(blocks, offset_of!(Q4_K, qs) + 32 * pair).into_iter().enumerate() {
                let q = &mut self.q[16 * pair + i..];
                q[0][half] = low_nibbles(packed);
                q[8][half] = high_nibbles(packed);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    fn fill_q5_k<B: Block>(&mut self, half: usize, blocks: &[&B; 16]) {
        self.fill_packed_scales(half, column(blocks, offset_of!(Q5_K, d)));
        let mut fifth = wide_column(blocks, offset_of!(Q5_K, qh));
        for pair in 0..4 {
            let packed = wide_column(blocks, offset_of!(Q5_K, qs) + 32 * pair);
            for (i, (packed, fifth)) in packed.into_iter().zip(&mut fifth).enumerate() {
                let q = &mut self.q[16 * pair + i..];
                q[0][half] = join::<16>(low_nibbles(packed), _mm512_slli_epi16::<4>(*fifth));
                q[8][half] = join::<16>(high_nibbles(packed), _mm512_slli_epi16::<3>(*fifth));
                *fifth = _mm512_srli_epi16::<2>(*fifth);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    fn fill_q6_k<B: Block>(&mut self, half: usize, blocks: &[&B; 16]) {
        self.d[0][half] = high_float(column(blocks, offset_of!(Q6_K, d) - 14)[3]);
        for (i, scales) in column(blocks, offset_of!(Q6_K, scales)).into_iter().enumerate() {
            self.fill_scales(i, half, scales);
        }
        for part in 0..2 {
            let high = wide_column(blocks, offset_of!(Q6_K, qh) + 32 * part);
            let first = wide_column(blocks, offset_of!(Q6_K, ql) + 64 * part);
            let second = wide_column(blocks, offset_of!(Q6_K, ql) + 64 * part + 32);
            for i in 0..8 {
                let q = &mut self.q[32 * part + i..];
                q[0][half] = join::<48>(low_nibbles(first[i]), _mm512_slli_epi16::<4>(high[i]));
                q[8][half] = join::<48>(low_nibbles(second[i]), _mm512_slli_epi16::<2>(high[i]));
                q[16][half] = join::<48>(high_nibbles(first[i]), high[i]);
                q[24][half] = join::<48>(high_nibbles(second[i]), _mm512_srli_epi16::<2>(high[i]));
            }
        }
    }

    /// The scales and minima of Q4_K and Q5_K from the start of their blocks, see
    /// [`crate::kernels::block::scales_and_mins`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn fill_packed_scales(&mut self, half: usize, [bits, a, b, c]: [__m512i; 4]) {
        self.fill_scales_of_block(0, half, bits);
        let six_bits = |x| _mm512_and_si512(x, _mm512_set1_epi8(63));
        self.fill_scales(0, half, six_bits(a));
        self.fill_scales(1, half, join::<48>(low_nibbles(c), _mm512_srli_epi16::<2>(a)));
        self.fill_minima(0, half, six_bits(b));
        self.fill_minima(1, half, join::<48>(high_nibbles(c), _mm512_srli_epi16::<2>(b)));
    }

    /// Scales `4 * i..4 * i + 4`, bytes of each lane.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn fill_scales(&mut self, i: usize, half: usize, scales: __m512i) {
        for (to, scale) in self.scales[4 * i..].iter_mut().zip(bytes_of_lanes(scales)) {
            to[half] = scale;
        }
    }

    /// Minima `4 * i..4 * i + 4`, bytes of each lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn fill_minima(&mut self, i: usize, half: usize, minima: __m512i) {
        for (to, minima) in self.minima[2 * i..].iter_mut().zip(words_of_lanes(minima)) {
            to[half] = minima;
        }
    }
}

/// The `N` blocks of each row from `first` on.
#[inline]
fn parts<'a, B, const N: usize>(rows: &[&'a [B]; 16], first: usize) -> [&'a [B; N]; 16] {
    std::array::from_fn(|lane| &rows[lane][first..].as_chunks().0[0])
}

/// The scales of blocks that have one and nothing that a column would bring along with it.
#[inline]
#[target_feature(enable = "avx2,avx512f")]
fn single_scales<B: Block, const N: usize>(parts: &[&[B; N]; 16]) -> [__m512; N] {
    let mut bits = [[0u16; 16]; N];
    for (lane, part) in parts.iter().enumerate() {
        for (bits, block) in bits.iter_mut().zip(*part) {
            bits[lane] = block.scale_bits() as u16;
        }
    }
    let mut scales = [_mm512_setzero_ps(); N];
    for (scale, bits) in scales.iter_mut().zip(&bits) {
        *scale = _mm512_cvtph_ps(load32(cast_ref(bits)));
    }
    scales
}

/// The four bit pairs of each byte, from the lowest up.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn bit_pairs(x: __m512i) -> [__m512i; 4] {
    let low = |x| _mm512_and_si512(x, _mm512_set1_epi8(3));
    [low(x), low(_mm512_srli_epi16::<2>(x)), low(_mm512_srli_epi16::<4>(x)), low(_mm512_srli_epi16::<6>(x))]
}

/// Adds 16 to the four bytes of each lane whose bit, `4 * i` and the next three, is set in `bits`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add_fifth_bits(q: __m512i, bits: __m512i, i: usize) -> __m512i {
    // Each of the four bytes gets the byte of `bits` that has its bit.
    let lanes = _mm512_set4_epi32(0x0c0c_0c0c, 0x0808_0808, 0x0404_0404, 0);
    let bytes = _mm512_or_si512(lanes, _mm512_set1_epi8((i / 2) as i8));
    let own = _mm512_set1_epi32(0x0804_0201 << (4 * (i % 2)));
    let set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, bytes), own);
    _mm512_mask_add_epi8(q, set, q, _mm512_set1_epi8(16))
}
