//! How weights and activations lie side by side for the tiles of [`Dot`].

use super::dot::Dot;
use std::arch::aarch64::*;

/// Sixteen weights of each of four outputs in the order of [`Dot::add_tile`]: those of outputs `4 * h..` are elements
/// `2 * h`, `2 * h + 1`, `4 + 2 * h` and `5 + 2 * h` there.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn weights<D: Dot>(q: [int8x16_t; 4]) -> [int8x16_t; 4] {
    if D::SQUARES {
        return pairs(q);
    }
    let [a, b, c, d] = q;
    let (a, b) = (vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b));
    let (c, d) = (vreinterpretq_s32_s8(c), vreinterpretq_s32_s8(d));
    let (ab, ab_odd) = (vreinterpretq_s64_s32(vtrn1q_s32(a, b)), vreinterpretq_s64_s32(vtrn2q_s32(a, b)));
    let (cd, cd_odd) = (vreinterpretq_s64_s32(vtrn1q_s32(c, d)), vreinterpretq_s64_s32(vtrn2q_s32(c, d)));
    [
        vreinterpretq_s8_s64(vtrn1q_s64(ab, cd)),
        vreinterpretq_s8_s64(vtrn1q_s64(ab_odd, cd_odd)),
        vreinterpretq_s8_s64(vtrn2q_s64(ab, cd)),
        vreinterpretq_s8_s64(vtrn2q_s64(ab_odd, cd_odd)),
    ]
}

/// The first halves of each pair, then the second halves.
#[inline]
#[target_feature(enable = "neon")]
fn pairs(q: [int8x16_t; 4]) -> [int8x16_t; 4] {
    let [a, b, c, d] = q;
    let (a, b) = (vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b));
    let (c, d) = (vreinterpretq_s64_s8(c), vreinterpretq_s64_s8(d));
    [
        vreinterpretq_s8_s64(vtrn1q_s64(a, b)),
        vreinterpretq_s8_s64(vtrn1q_s64(c, d)),
        vreinterpretq_s8_s64(vtrn2q_s64(a, b)),
        vreinterpretq_s8_s64(vtrn2q_s64(c, d)),
    ]
}

/// Sixteen activations of each of `R` rows, two or four, in the order of [`Dot::add_tile`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn activations<D: Dot, const R: usize>(x: [int8x16_t; R]) -> [int8x16_t; R] {
    if !D::SQUARES {
        return x;
    }
    let all = pairs([x[0], x[1], x[R - 2], x[R - 1]]);
    let mut tile = x;
    for (i, tile) in tile.iter_mut().enumerate() {
        *tile = all[i * 4 / R];
    }
    tile
}

/// Something of each of eight outputs, as the vectors that meet sums `[r][h]` of a tile: these are `[r % 2][h]`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn of_outputs<D: Dot>([a, b]: [int32x4_t; 2]) -> [[int32x4_t; 2]; 2] {
    if !D::SQUARES {
        return [[a, b]; 2];
    }
    [twice(a), twice(b)]
}

/// The first half twice, and the second one.
#[inline]
#[target_feature(enable = "neon")]
fn twice(x: int32x4_t) -> [int32x4_t; 2] {
    let x = vreinterpretq_s64_s32(x);
    [vreinterpretq_s32_s64(vtrn1q_s64(x, x)), vreinterpretq_s32_s64(vtrn2q_s64(x, x))]
}

/// Something of each of `R` rows, as the vector that meets sums `[r][_]` of a tile.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn of_rows<D: Dot, const R: usize>(x: &[f32; R], r: usize) -> float32x4_t {
    if D::SQUARES { vcombine_f32(vdup_n_f32(x[r / 2 * 2]), vdup_n_f32(x[r / 2 * 2 + 1])) } else { vdupq_n_f32(x[r]) }
}

/// Eight outputs of each of two rows, of a tile's sums.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn rows<D: Dot>([a, b]: [[float32x4_t; 2]; 2]) -> [[float32x4_t; 2]; 2] {
    if !D::SQUARES {
        return [a, b];
    }
    let [[a, b], [c, d]] = [doubles(a), doubles(b)];
    [floats([vtrn1q_f64(a, b), vtrn1q_f64(c, d)]), floats([vtrn2q_f64(a, b), vtrn2q_f64(c, d)])]
}

#[inline]
#[target_feature(enable = "neon")]
fn doubles([a, b]: [float32x4_t; 2]) -> [float64x2_t; 2] {
    [vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)]
}

#[inline]
#[target_feature(enable = "neon")]
fn floats([a, b]: [float64x2_t; 2]) -> [float32x4_t; 2] {
    [vreinterpretq_f32_f64(a), vreinterpretq_f32_f64(b)]
}
