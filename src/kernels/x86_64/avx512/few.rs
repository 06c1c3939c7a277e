//! Products with few rows of activations: each weight is unpacked in registers, once for up to four rows.

use super::memory::{floats, load16, load32, load64, prefetch};
use super::{pairs, superblocks};
use crate::kernels::x86_64::operand::{Operand, number};
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use std::arch::x86_64::*;
use std::array::from_fn;

/// How far ahead of its use a weight is asked for, in bytes.
const AHEAD: usize = 2048;

/// The products of the outputs of `out` with all rows, in chunks of up to four rows.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn product(weights: &Weights, x: &Rows, out: Columns, sums: &[[u8; 16]]) {
    match weights.dtype() {
        Dtype::F32 | Dtype::F16 | Dtype::BF16 => unreachable!("plain floats have no blocks"),
        Dtype::Q4_0 => all::<{ number::Q4_0 }>(weights, x, out, sums),
        Dtype::Q4_1 => all::<{ number::Q4_1 }>(weights, x, out, sums),
        Dtype::Q5_0 => all::<{ number::Q5_0 }>(weights, x, out, sums),
        Dtype::Q5_1 => all::<{ number::Q5_1 }>(weights, x, out, sums),
        Dtype::Q8_0 => all::<{ number::Q8_0 }>(weights, x, out, sums),
        Dtype::Q2_K => all::<{ number::Q2_K }>(weights, x, out, sums),
        Dtype::Q3_K => all::<{ number::Q3_K }>(weights, x, out, sums),
        Dtype::Q4_K => all::<{ number::Q4_K }>(weights, x, out, sums),
        Dtype::Q5_K => all::<{ number::Q5_K }>(weights, x, out, sums),
        Dtype::Q6_K => all::<{ number::Q6_K }>(weights, x, out, sums),
    }
}

/// Goes through the outputs four at a time, one from each quarter of the range, so that memory is read in four long
/// streams.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn all<const T: u8>(weights: &Weights, x: &Rows, mut out: Columns, sums: &[[u8; 16]]) {
    let (first, n) = (out.range().start, out.range().len());
    let quarter = n / 4;
    let spread = (0..quarter).map(|i| from_fn(|stream| stream * quarter + i));
    let rest = (quarter * 4 < n).then(|| from_fn(|i| (quarter * 4 + i).min(n - 1)));
    for outputs in spread.chain(rest) {
        let rows = outputs.map(|i: usize| weights.row(first + i));
        let mut row = 0;
        while row < x.n_rows() {
            let operand = |i: usize| Operand::new(x, row + i, sums);
            row += match x.n_rows() - row {
                1 => store(&mut out, row, outputs, four::<T, 1>(&rows, &from_fn(operand))),
                2 | 3 => store(&mut out, row, outputs, four::<T, 2>(&rows, &from_fn(operand))),
                _ => store(&mut out, row, outputs, four::<T, 4>(&rows, &from_fn(operand))),
            };
        }
    }
}

/// Writes the results of `M` rows and returns `M`.
#[inline]
#[target_feature(enable = "sse2")]
fn store<const M: usize>(out: &mut Columns, first_row: usize, outputs: [usize; 4], sums: [__m128; M]) -> usize {
    for (i, sums) in sums.into_iter().enumerate() {
        let row = out.row(first_row + i);
        for (output, sum) in outputs.into_iter().zip(floats(sums)) {
            row[output] = sum;
        }
    }
    M
}

/// Four outputs for `M` rows of activations.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn four<const T: u8, const M: usize>(rows: &[&[u8]; 4], x: &[Operand; M]) -> [__m128; M] {
    match T {
        number::Q4_0 | number::Q4_1 | number::Q5_0 | number::Q5_1 | number::Q8_0 => four_of_pairs::<T, M>(rows, x),
        _ => four_of_superblocks::<T, M>(rows, x),
    }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn four_of_superblocks<const T: u8, const M: usize>(rows: &[&[u8]; 4], x: &[Operand; M]) -> [__m128; M] {
    let size = superblocks::bytes(T);
    let spread: [__m512i; 4] = from_fn(|j| group_of_lane::<T>(j));
    let mut totals = [_mm_setzero_ps(); M];
    for b in 0..rows[0].len() / size {
        let blocks: [&[u8]; 4] = from_fn(|r| &rows[r][b * size..][..size]);
        let mut products = [[_mm512_setzero_si512(); 4]; M];
        let mut minima = [[_mm256_setzero_si256(); 4]; M];
        for (r, block) in blocks.into_iter().enumerate() {
            prefetch(block, size, AHEAD);
            let unpacked = superblocks::unpack::<T>(block);
            let scales = spread.map(|lanes| _mm512_permutexvar_epi16(lanes, unpacked.scales));
            for (m, x) in x.iter().enumerate() {
                let (q, sums) = (&x.q.as_chunks::<64>().0[4 * b..][..4], &x.sums.as_chunks::<2>().0[b]);
                let by_sums = _mm256_madd_epi16(unpacked.factors, load32(bytemuck::cast_ref(sums)));
                let mut sum = match T {
                    number::Q3_K => _mm512_zextsi256_si512(by_sums),
                    number::Q6_K => _mm512_zextsi256_si512(_mm256_slli_epi32::<1>(by_sums)),
                    _ => _mm512_setzero_si512(),
                };
                for j in 0..4 {
                    let product = _mm512_maddubs_epi16(unpacked.q[j], load64(&q[j]));
                    sum = _mm512_dpwssd_epi32(sum, product, scales[j]);
                }
                products[m][r] = sum;
                minima[m][r] = by_sums;
            }
        }
        let bits = blocks.map(superblocks::scale_bits::<T>);
        let bits = _mm_set_epi32(bits[3], bits[2], bits[1], bits[0]);
        let d = _mm_cvtph_ps(_mm_cvtepi32_epi16(bits));
        let dmin = _mm_cvtph_ps(_mm_cvtepi32_epi16(_mm_srli_epi32::<16>(bits)));
        for m in 0..M {
            let product = _mm_cvtepi32_ps(fold(lanes_of_four(products[m])));
            let value = if superblocks::has_minima(T) {
                let minimum = _mm_cvtepi32_ps(fold_half(halves_of_four(minima[m])));
                _mm_fmsub_ps(d, product, _mm_mul_ps(dmin, minimum))
            } else {
                _mm_mul_ps(d, product)
            };
            totals[m] = add_scaled(x[m].scales[b], value, totals[m]);
        }
    }
    totals
}

/// Which scale each word of vector `j` of a superblock is multiplied with.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn group_of_lane<const T: u8>(j: usize) -> __m512i {
    let group: [i16; 32] = from_fn(|word| ((64 * j + 2 * word) / superblocks::group(T)) as i16);
    load64(bytemuck::cast_ref(&group))
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn four_of_pairs<const T: u8, const M: usize>(rows: &[&[u8]; 4], x: &[Operand; M]) -> [__m128; M] {
    let size = pairs::bytes(T);
    let n_blocks = rows[0].len() / size;
    let mut totals = [_mm_setzero_ps(); M];
    for b in (0..n_blocks / 2 * 2).step_by(2) {
        let blocks: [_; 4] = from_fn(|r| rows[r][b * size..][..2 * size].split_at(size));
        let mut pairs = [(_mm512_setzero_si512(), _mm256_setzero_si256()); M];
        for (pair, x) in pairs.iter_mut().zip(x) {
            let sums: &[[u8; 16]; 2] = &x.sums.as_chunks().0[b / 2];
            *pair = (load64(&x.q.as_chunks().0[b / 2]), load32(bytemuck::cast_ref(sums)));
        }
        let values = values_of_pairs::<T, M>(&blocks, &pairs);
        for m in 0..M {
            totals[m] = add_scaled(x[m].scales[b], _mm256_castps256_ps128(values[m]), totals[m]);
            totals[m] = add_scaled(x[m].scales[b + 1], _mm256_extractf128_ps::<1>(values[m]), totals[m]);
        }
    }
    if n_blocks % 2 == 1 {
        let b = n_blocks - 1;
        let blocks = rows.map(|row| (&row[b * size..], &row[b * size..]));
        let mut pairs = [(_mm512_setzero_si512(), _mm256_setzero_si256()); M];
        for (pair, x) in pairs.iter_mut().zip(x) {
            let q = load32(&x.q.as_chunks().0[b]);
            *pair = (_mm512_zextsi256_si512(q), _mm256_zextsi128_si256(load16(&x.sums[b])));
        }
        let values = values_of_pairs::<T, M>(&blocks, &pairs);
        for m in 0..M {
            totals[m] = add_scaled(x[m].scales[b], _mm256_castps256_ps128(values[m]), totals[m]);
        }
    }
    totals
}

/// The values of the first block of each pair, then those of the second, for activations and their prepared sums `x`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn values_of_pairs<const T: u8, const M: usize>(
    blocks: &[(&[u8], &[u8]); 4],
    x: &[(__m512i, __m256i); M],
) -> [__m256; M] {
    let mut products = [[_mm512_setzero_si512(); 4]; M];
    let mut bits = [0; 8];
    for (r, &(a, b)) in blocks.iter().enumerate() {
        prefetch(a, 2 * pairs::bytes(T), AHEAD);
        let q = pairs::unpack::<T>(a, b);
        for (products, (x, _)) in products.iter_mut().zip(x) {
            products[r] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q, *x);
        }
        (bits[r], bits[r + 4]) = (pairs::scale_bits::<T>(a), pairs::scale_bits::<T>(b));
    }
    let bits = load32(bytemuck::cast_ref(&bits));
    let d = _mm256_cvtph_ps(_mm256_cvtepi32_epi16(bits));
    let mut values = [_mm256_setzero_ps(); M];
    for (m, (_, sums)) in x.iter().enumerate() {
        let quarters = lanes_of_four(products[m]);
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let both = _mm512_add_epi32(
            _mm512_shuffle_i32x4::<EVEN>(quarters, quarters),
            _mm512_shuffle_i32x4::<ODD>(quarters, quarters),
        );
        let product = _mm512_castsi512_si256(both);
        values[m] = if pairs::has_minima(T) {
            let minimum = _mm256_cvtph_ps(_mm256_cvtepi32_epi16(_mm256_srli_epi32::<16>(bits)));
            let minimum = _mm256_mul_ps(minimum, _mm256_castsi256_ps(*sums));
            _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(product), minimum)
        } else {
            _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_add_epi32(product, *sums)))
        };
    }
    values
}

/// `total + scale * value`, rounded once.
#[inline]
#[target_feature(enable = "fma")]
fn add_scaled(scale: [u8; 4], value: __m128, total: __m128) -> __m128 {
    _mm_fmadd_ps(_mm_set1_ps(f32::from_le_bytes(scale)), value, total)
}

/// Four vectors of which lane `i` of each quarter of the result is the sum of that quarter of vector `i`.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes_of_four([a, b, c, d]: [__m512i; 4]) -> __m512i {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd))
}

/// The same for vectors of half the length.
#[inline]
#[target_feature(enable = "avx2")]
fn halves_of_four([a, b, c, d]: [__m256i; 4]) -> __m256i {
    let ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd))
}

/// The sum of the quarters.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold(x: __m512i) -> __m128i {
    fold_half(_mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64::<1>(x)))
}

/// The sum of the halves.
#[inline]
#[target_feature(enable = "avx2")]
fn fold_half(x: __m256i) -> __m128i {
    _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x))
}
