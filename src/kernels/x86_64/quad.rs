//! What the kernels for few rows share: four outputs go side by side.

use super::memory::floats;
use super::operand::Operand;
pub(super) use crate::kernels::streams::{blocks_of, outputs_of, same_length};
use crate::kernels::{Columns, Rows};
use std::arch::x86_64::*;
use std::array::from_fn;

/// Rows of activations that share a reading of the weights.
pub(super) const ROWS: usize = 16;

/// The rows from `first` on; beyond the last, that one again.
pub(super) fn operands<'a>(x: &Rows<'a>, first: usize, sums: &'a [[u8; 16]]) -> [Operand<'a>; ROWS] {
    from_fn(|i| Operand::new(x, (first + i).min(x.n_rows() - 1), sums))
}

/// Writes the results of `M` rows and returns `M`.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn store<const M: usize>(
    out: &mut Columns,
    first_row: usize,
    outputs: [usize; 4],
    sums: [__m128; M],
) -> usize {
    for (i, sums) in sums.into_iter().enumerate() {
        let row = out.row(first_row + i);
        for (output, sum) in outputs.into_iter().zip(floats(sums)) {
            row[output] = sum;
        }
    }
    M
}

/// Part `i` of `N` activations of each row, and of its prepared sums two entries.
#[inline]
pub(super) fn parts<'a, const N: usize, const M: usize>(
    x: &[Operand<'a>; M],
    i: usize,
) -> [(&'a [u8; N], &'a [[u8; 16]; 2]); M] {
    from_fn(|m| (&x[m].q.as_chunks().0[i], &x[m].sums.as_chunks().0[i]))
}

/// `total + scale * value`, rounded once.
#[inline]
#[target_feature(enable = "fma")]
pub(super) fn add_scaled(scale: [u8; 4], value: __m128, total: __m128) -> __m128 {
    _mm_fmadd_ps(_mm_set1_ps(f32::from_le_bytes(scale)), value, total)
}

/// Four vectors of which lane `i` of each half of the result is the sum of that half of vector `i`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn halves_of_four([a, b, c, d]: [__m256i; 4]) -> __m256i {
    let ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd))
}

/// The sum of the halves.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn fold_half(x: __m256i) -> __m128i {
    _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x))
}
