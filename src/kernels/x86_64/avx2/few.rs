//! Products with few rows of activations: the weights of eight outputs are unpacked in registers, two outputs at a time and
//! once for up to four rows.

use super::heads::{self, Head};
use super::many::{broadcast, pairs as word_pairs};
use super::{dot, many, pairs};
use crate::kernels::streams::{blocks_of, outputs_of};
use crate::kernels::x86_64::memory::{AHEAD, load16, load32, prefetch_at, store32, twice};
use crate::kernels::x86_64::operand::{Block, with_block};
use crate::kernels::x86_64::quad::halves_of_four;
use crate::kernels::x86_64::scales::{group, has_minima};
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use std::arch::x86_64::*;
use std::array::from_fn;
use std::hint::black_box;

/// Outputs side by side.
const LANES: usize = 8;

/// What brings word `i` of each half into all words of the half.
static WORD: [[u8; 32]; 8] = {
    let mut orders = [[0; 32]; 8];
    let mut at = 0;
    while at < 256 {
        orders[at / 32][at % 32] = (at / 32 * 2 + at % 2) as u8;
        at += 1;
    }
    orders
};

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn product<const VNNI: bool>(weights: &Weights, x: &Rows, out: Columns) {
    with_block!(weights.dtype(), B => all::<VNNI, B>(weights, x, out));
}

#[target_feature(enable = "avx2,fma,f16c")]
fn all<const VNNI: bool, B: Block>(weights: &Weights, x: &Rows, mut out: Columns) {
    // What the compiler knows of a permutation, it makes two of.
    let word = black_box(&WORD);
    let n = out.range().len();
    for i in (0..n).step_by(LANES) {
        let outputs = outputs_of(i, n);
        let rows = blocks_of::<B, LANES>(weights, out.range().start, outputs);
        let mut row = 0;
        while row < x.n_rows() {
            row += match x.n_rows() - row {
                // Where panels start earlier, there never are four.
                4.. if many(B::DTYPE) > 4 => store(&mut out, row, outputs, eight::<VNNI, B, 4>(rows, x, row, word)),
                2.. => store(&mut out, row, outputs, eight::<VNNI, B, 2>(rows, x, row, word)),
                _ => store(&mut out, row, outputs, eight::<VNNI, B, 1>(rows, x, row, word)),
            };
        }
    }
}

/// Writes the results of `M` rows and returns `M`.
#[inline]
#[target_feature(enable = "avx2")]
fn store<const M: usize>(out: &mut Columns, first: usize, outputs: [usize; LANES], sums: [__m256; M]) -> usize {
    for (i, sums) in sums.into_iter().enumerate() {
        let mut lanes = [0.0; LANES];
        store32(sums, &mut lanes);
        let row = out.row(first + i);
        for (output, sum) in outputs.into_iter().zip(lanes) {
            row[output] = sum;
        }
    }
    M
}

/// Asks for what follows `blocks` in their rows, where that pays. Processors without AVX-VNNI follow eight streams by
/// themselves and lose a tenth to a fifth with requests beside, but with the long blocks of Q6_K they gain a third.
#[inline]
#[target_feature(enable = "avx2")]
fn prefetch<const VNNI: bool, B: Block>(blocks: [&B; LANES]) {
    for block in blocks {
        if VNNI {
            prefetch_at(block, AHEAD);
        } else if B::DTYPE == Dtype::Q6_K {
            prefetch_at(block, AHEAD / 4);
        }
    }
}

/// A row of quantized activations.
#[derive(Clone, Copy)]
struct Operand<'a> {
    /// The activations.
    q: &'a [[u8; 16]],
    /// The scale of each block, an f32.
    scales: &'a [[u8; 4]],
    /// The sums of 16 activations, as i16.
    sums: &'a [u8],
}

impl<'a> Operand<'a> {
    fn new(x: &Rows<'a>, row: usize) -> Operand<'a> {
        let (layout, row) = (x.form().layout(x.width()), x.row(row));
        Operand {
            q: row[..layout.scales].as_chunks().0,
            scales: row[layout.scales..layout.sums].as_chunks().0,
            sums: &row[layout.sums..layout.end],
        }
    }
}

/// Eight outputs for `M` rows of activations from row `first` on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn eight<const VNNI: bool, B: Block, const M: usize>(
    rows: [&[B]; LANES],
    x: &Rows,
    first: usize,
    word: &[[u8; 32]; 8],
) -> [__m256; M] {
    let x = from_fn(|m| Operand::new(x, first + m));
    // The compiler drops checks of an index that it sees to be below a length.
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
    let n = r0.len();
    let rows = [r0, &r1[..n], &r2[..n], &r3[..n], &r4[..n], &r5[..n], &r6[..n], &r7[..n]];
    match B::DTYPE.block_len() {
        32 => eight_of_blocks::<VNNI, B, M>(rows, &x),
        _ => eight_of_superblocks::<VNNI, B, M>(rows, &x, word),
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn eight_of_superblocks<const VNNI: bool, B: Block, const M: usize>(
    rows: [&[B]; LANES],
    x: &[Operand; M],
    word: &[[u8; 32]; 8],
) -> [__m256; M] {
    let n = rows[0].len();
    let mut totals = [_mm256_setzero_ps(); M];
    #[expect(clippy::needless_range_loop, reason = "all rows are gone through side by side")]
    for b in 0..n {
        let blocks: [&B; LANES] = from_fn(|i| &rows[i][b]);
        prefetch::<VNNI, B>(blocks);
        let q: [&[[u8; 16]; 16]; M] = from_fn(|m| &x[m].q.as_chunks().0[b]);
        let mut sums = [[_mm256_setzero_si256(); 2]; M];
        for m in 0..M {
            sums[m] = sums_of::<B>(&x[m].sums.as_chunks().0[b]);
        }
        let mut parts = [[(_mm256_setzero_si256(), _mm256_setzero_si256()); 4]; M];
        for i in 0..4 {
            let pair = superblock::<VNNI, B, M>([blocks[i], blocks[i + 4]], &q, &sums, word);
            for m in 0..M {
                parts[m][i] = pair[m];
            }
        }
        let [d, dmin] = heads::floats(blocks);
        for m in 0..M {
            let [p, q, r, s] = parts[m];
            let product = _mm256_cvtepi32_ps(halves_of_four([p.0, q.0, r.0, s.0]));
            let value = if has_minima(B::DTYPE) {
                let minimum = _mm256_cvtepi32_ps(halves_of_four([p.1, q.1, r.1, s.1]));
                _mm256_fmsub_ps(d, product, _mm256_mul_ps(dmin, minimum))
            } else {
                _mm256_mul_ps(d, product)
            };
            totals[m] = _mm256_fmadd_ps(_mm256_castsi256_ps(broadcast(x[m].scales[b])), value, totals[m]);
        }
    }
    totals
}

/// The sums of the activations of a superblock as its factors are laid out, in both halves of each vector.
#[inline]
#[target_feature(enable = "avx2")]
fn sums_of<B: Block>(sums: &[u8; 32]) -> [__m256i; 2] {
    let sums = load32(sums);
    let (low, high) = (_mm256_permute4x64_epi64::<0x44>(sums), _mm256_permute4x64_epi64::<0xee>(sums));
    if group(B::DTYPE) == 32 { [_mm256_hadd_epi16(low, high), low] } else { [low, high] }
}

/// The products of two superblocks with `M` rows of activations, and those of their factors with the sums, in lanes that
/// are still to be added.
#[inline]
#[target_feature(enable = "avx2")]
fn superblock<const VNNI: bool, B: Block, const M: usize>(
    blocks: [&B; 2],
    q: &[&[[u8; 16]; 16]; M],
    sums: &[[__m256i; 2]; M],
    word: &[[u8; 32]; 8],
) -> [(__m256i, __m256i); M] {
    let head = heads::head(blocks);
    let mut products = [_mm256_setzero_si256(); M];
    add_part::<VNNI, B, M, 0>(blocks, q, &head, word, &mut products);
    add_part::<VNNI, B, M, 1>(blocks, q, &head, word, &mut products);
    add_part::<VNNI, B, M, 2>(blocks, q, &head, word, &mut products);
    add_part::<VNNI, B, M, 3>(blocks, q, &head, word, &mut products);
    let mut both = [(_mm256_setzero_si256(), _mm256_setzero_si256()); M];
    for m in 0..M {
        let mut by_sums = _mm256_madd_epi16(head.factors[0], sums[m][0]);
        if group(B::DTYPE) == 16 {
            by_sums = dot::words::<VNNI>(by_sums, head.factors[1], sums[m][1]);
        }
        let product = match B::DTYPE {
            Dtype::Q3_K => _mm256_sub_epi32(products[m], _mm256_slli_epi32::<2>(by_sums)),
            Dtype::Q6_K => _mm256_sub_epi32(products[m], _mm256_slli_epi32::<5>(by_sums)),
            _ => products[m],
        };
        both[m] = (product, by_sums);
    }
    both
}

/// Adds the products of part `PART` of two superblocks.
#[inline]
#[target_feature(enable = "avx2")]
fn add_part<const VNNI: bool, B: Block, const M: usize, const PART: usize>(
    blocks: [&B; 2],
    x: &[&[[u8; 16]; 16]; M],
    head: &Head,
    word: &[[u8; 32]; 8],
    products: &mut [__m256i; M],
) {
    let q = pairs::part_of_superblock::<B, PART>(blocks);
    let per_scale = group(B::DTYPE) / 16;
    for i in (0..4).step_by(per_scale) {
        let scale = pairs::place(B::DTYPE, PART, i) / per_scale;
        let scale = _mm256_shuffle_epi8(head.scales[scale / 8], load32(&word[scale % 8]));
        for m in 0..M {
            let mut words = _mm256_maddubs_epi16(q[i], twice(&x[m][pairs::place(B::DTYPE, PART, i)]));
            if per_scale == 2 {
                let x = twice(&x[m][pairs::place(B::DTYPE, PART, i + 1)]);
                words = _mm256_add_epi16(words, _mm256_maddubs_epi16(q[i + 1], x));
            }
            products[m] = dot::words::<VNNI>(products[m], words, scale);
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn eight_of_blocks<const VNNI: bool, B: Block, const M: usize>(rows: [&[B]; LANES], x: &[Operand; M]) -> [__m256; M] {
    let n = rows[0].len();
    let mut totals = [_mm256_setzero_ps(); M];
    #[expect(clippy::needless_range_loop, reason = "all rows are gone through side by side")]
    for b in 0..n {
        let blocks: [&B; LANES] = from_fn(|i| &rows[i][b]);
        prefetch::<VNNI, B>(blocks);
        let [d, dmin] = heads::floats(blocks);
        let mut parts = [[_mm256_setzero_si256(); 4]; M];
        for i in 0..4 {
            let q = pairs::block([blocks[i], blocks[i + 4]]);
            for m in 0..M {
                let x: &[[u8; 16]; 2] = &x[m].q.as_chunks().0[b];
                parts[m][i] = products_of_block::<VNNI, B>(
                    q,
                    [_mm256_broadcastsi128_si256(load16(&x[0])), _mm256_broadcastsi128_si256(load16(&x[1]))],
                );
            }
        }
        for m in 0..M {
            let sums = broadcast(x[m].sums.as_chunks().0[b]);
            let mut product = halves_of_four(parts[m]);
            if let Dtype::Q4_0 | Dtype::Q5_0 = B::DTYPE {
                let offset = _mm256_set1_epi16(if B::DTYPE == Dtype::Q4_0 { -8 } else { -16 });
                product = dot::words::<VNNI>(product, sums, offset);
            }
            let product = _mm256_cvtepi32_ps(product);
            let value = if has_minima(B::DTYPE) {
                let sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(sums, _mm256_set1_epi16(1)));
                _mm256_fmadd_ps(d, product, _mm256_mul_ps(dmin, sum))
            } else {
                _mm256_mul_ps(d, product)
            };
            totals[m] = _mm256_fmadd_ps(_mm256_castsi256_ps(broadcast(x[m].scales[b])), value, totals[m]);
        }
    }
    totals
}

/// The products of blocks of 32 of two outputs with activations, in lanes that are still to be added.
#[inline]
#[target_feature(enable = "avx2")]
fn products_of_block<const VNNI: bool, B: Block>([a, b]: [__m256i; 2], [x, y]: [__m256i; 2]) -> __m256i {
    let ones = _mm256_set1_epi16(1);
    match B::DTYPE {
        Dtype::Q8_0 if VNNI => {
            let sum = dot::bytes::<VNNI>(_mm256_setzero_si256(), _mm256_abs_epi8(a), _mm256_sign_epi8(x, a));
            dot::bytes::<VNNI>(sum, _mm256_abs_epi8(b), _mm256_sign_epi8(y, b))
        }
        // Two of these could exceed 16 bits.
        Dtype::Q8_0 => {
            let sum = _mm256_madd_epi16(word_pairs::<B>(a, x), ones);
            dot::words::<VNNI>(sum, word_pairs::<B>(b, y), ones)
        }
        _ if VNNI => dot::bytes::<VNNI>(dot::bytes::<VNNI>(_mm256_setzero_si256(), a, x), b, y),
        _ => _mm256_madd_epi16(_mm256_add_epi16(word_pairs::<B>(a, x), word_pairs::<B>(b, y)), ones),
    }
}
