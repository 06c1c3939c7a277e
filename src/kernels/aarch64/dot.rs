//! Integer products, the only thing in which the instruction sets differ.
//!
//! The instructions stand as assembly because the compiler has no stable intrinsics for them.
#![expect(unsafe_code, reason = "instructions that the enclosing functions do not have as a feature")]

use std::arch::aarch64::*;
use std::arch::asm;

/// Sums of a tile of `R` rows of activations, two or four, and eight outputs: see [`Dot::SQUARES`].
pub(super) type Sums<const R: usize> = [[int32x4_t; 2]; R];

/// How bytes are multiplied and added up. Weights may be any, activations are never -128.
pub(super) trait Dot {
    /// Whether four sums are a square, rows `2 * i` and `2 * i + 1` by outputs `2 * o` and `2 * o + 1`, in
    /// `[2 * i + o / 2][o % 2]`; else `[i][h]` holds those of row `i` and outputs `4 * h..`.
    const SQUARES: bool;

    /// `sum` plus sixteen products, in whatever lanes.
    fn add(sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t;

    /// `sums` plus the products of sixteen weights of each output with as many activations of each row, interleaved by
    /// [`super::interleave`]. Where `SMALL`, no product is more than 4095 in magnitude.
    fn add_tile<const SMALL: bool, const R: usize>(sums: &mut Sums<R>, w: &[int8x16_t; 8], x: &[int8x16_t; R]);
}

/// The baseline, which has products of bytes as words.
pub(super) struct Neon;

impl Dot for Neon {
    const SQUARES: bool = false;

    #[inline(always)]
    fn add(sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: every aarch64 processor that this is compiled for has NEON; so in all functions of this implementation.
        unsafe {
            // Two products are at most 2 * 128 * 127 in magnitude, which words hold.
            let words = vmull_s8(vget_low_s8(w), vget_low_s8(x));
            vpadalq_s16(sum, vmlal_high_s8(words, w, x))
        }
    }

    #[inline(always)]
    fn add_tile<const SMALL: bool, const R: usize>(sums: &mut Sums<R>, w: &[int8x16_t; 8], x: &[int8x16_t; R]) {
        // One by one, since a loop would keep the sums in memory.
        add_row::<SMALL>(&mut sums[0], w, x[0]);
        add_row::<SMALL>(&mut sums[1], w, x[1]);
        if R == 4 {
            add_row::<SMALL>(&mut sums[2], w, x[2]);
            add_row::<SMALL>(&mut sums[3], w, x[3]);
        }
    }
}

/// [`Neon`]'s sums of a row.
#[inline(always)]
fn add_row<const SMALL: bool>(sums: &mut [int32x4_t; 2], w: &[int8x16_t; 8], x: int8x16_t) {
    // SAFETY: NEON is there.
    unsafe {
        let x = vreinterpretq_s32_s8(x);
        let fours = [
            vreinterpretq_s8_s32(vdupq_laneq_s32::<0>(x)),
            vreinterpretq_s8_s32(vdupq_laneq_s32::<1>(x)),
            vreinterpretq_s8_s32(vdupq_laneq_s32::<2>(x)),
            vreinterpretq_s8_s32(vdupq_laneq_s32::<3>(x)),
        ];
        for (h, sum) in sums.iter_mut().enumerate() {
            let (mut low, mut high) = (vdupq_n_s16(0), vdupq_n_s16(0));
            for (q, x) in fours.into_iter().enumerate() {
                let w = w[4 * (q / 2) + 2 * h + q % 2];
                low = vmlal_s8(low, vget_low_s8(w), vget_low_s8(x));
                high = vmlal_high_s8(high, w, x);
                // Where products are small, words hold the sums of eight.
                if !SMALL || q == 3 {
                    *sum = vpadalq_s16(*sum, vpaddq_s16(low, high));
                    (low, high) = (vdupq_n_s16(0), vdupq_n_s16(0));
                }
            }
        }
    }
}

/// Dot products of four bytes.
pub(super) struct Dotprod;

impl Dotprod {
    /// The products of weights `4 * Q..` of each output with those activations of each row.
    #[inline(always)]
    fn add_four<const Q: usize, const LANE: i32, const R: usize>(
        sums: &mut Sums<R>,
        w: &[int8x16_t; 8],
        x: &[int8x16_t; R],
    ) {
        for (sums, x) in sums.iter_mut().zip(x) {
            for (h, sum) in sums.iter_mut().enumerate() {
                let w = w[4 * (Q / 2) + 2 * h + Q % 2];
                // SAFETY: this type is used by `aarch64::product` only for an `Isa` with dot products; nothing but `sum`
                // changes.
                unsafe {
                    asm!(".arch_extension dotprod", "sdot {0:v}.4s, {1:v}.16b, {2:v}.4b[{3}]",
                        inout(vreg) *sum, in(vreg) w, in(vreg) *x, const LANE,
                        options(pure, nomem, nostack, preserves_flags));
                }
            }
        }
    }
}

impl Dot for Dotprod {
    const SQUARES: bool = false;

    #[inline(always)]
    fn add(mut sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: this type is used by `aarch64::product` only for an `Isa` with dot products; nothing but `sum` changes.
        unsafe {
            asm!(".arch_extension dotprod", "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b",
                inout(vreg) sum, in(vreg) w, in(vreg) x, options(pure, nomem, nostack, preserves_flags));
        }
        sum
    }

    #[inline(always)]
    fn add_tile<const SMALL: bool, const R: usize>(sums: &mut Sums<R>, w: &[int8x16_t; 8], x: &[int8x16_t; R]) {
        Dotprod::add_four::<0, 0, R>(sums, w, x);
        Dotprod::add_four::<1, 1, R>(sums, w, x);
        Dotprod::add_four::<2, 2, R>(sums, w, x);
        Dotprod::add_four::<3, 3, R>(sums, w, x);
    }
}

/// The same, and products of matrices of two times eight bytes.
pub(super) struct I8mm;

impl Dot for I8mm {
    const SQUARES: bool = true;

    #[inline(always)]
    fn add(sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
        Dotprod::add(sum, w, x)
    }

    #[inline(always)]
    fn add_tile<const SMALL: bool, const R: usize>(sums: &mut Sums<R>, w: &[int8x16_t; 8], x: &[int8x16_t; R]) {
        for eight in 0..2 {
            for i in 0..R {
                for o in 0..2 {
                    let (x, w) = (x[R / 2 * eight + i / 2], w[4 * eight + 2 * (i % 2) + o]);
                    // SAFETY: this type is used by `aarch64::product` only for an `Isa` with products of matrices;
                    // nothing but `sums` changes.
                    unsafe {
                        asm!(".arch_extension i8mm", "smmla {0:v}.4s, {1:v}.16b, {2:v}.16b",
                            inout(vreg) sums[i][o], in(vreg) x, in(vreg) w,
                            options(pure, nomem, nostack, preserves_flags));
                    }
                }
            }
        }
    }
}

/// `x`, of which the compiler then knows nothing.
#[inline(always)]
pub(super) fn opaque(mut x: int32x4_t) -> int32x4_t {
    // SAFETY: there are no instructions.
    unsafe { asm!("/* {0:v} */", inout(vreg) x, options(pure, nomem, nostack, preserves_flags)) }
    x
}
