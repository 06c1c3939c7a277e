//! Dot products of bytes and of words, with the instructions of AVX-VNNI or without.
//!
//! The instructions stand as assembly because a function cannot have a feature depending on a constant parameter.
#![expect(unsafe_code, reason = "instructions that the enclosing functions do not have as a feature")]

use std::arch::asm;
use std::arch::x86_64::*;

/// `sum` plus the products of four unsigned bytes of `a` with four signed ones of `b` in each lane; without VNNI two
/// neighbouring products must not exceed 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn bytes<const VNNI: bool>(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
    if VNNI {
        let mut sum = sum;
        // SAFETY: `VNNI` is set only by `x86_64::product` for an `Isa` with AVX-VNNI; nothing but `sum` changes.
        unsafe {
            asm!("{{vex}} vpdpbusd {0}, {1}, {2}", inout(ymm_reg) sum, in(ymm_reg) a, in(ymm_reg) b,
                options(pure, nomem, nostack, preserves_flags));
        }
        sum
    } else {
        _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)))
    }
}

/// `sum` plus the products of two signed words in each lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn words<const VNNI: bool>(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
    if VNNI {
        let mut sum = sum;
        // SAFETY: `VNNI` is set only by `x86_64::product` for an `Isa` with AVX-VNNI; nothing but `sum` changes.
        unsafe {
            asm!("{{vex}} vpdpwssd {0}, {1}, {2}", inout(ymm_reg) sum, in(ymm_reg) a, in(ymm_reg) b,
                options(pure, nomem, nostack, preserves_flags));
        }
        sum
    } else {
        _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
    }
}

/// `x`, computed here and kept in a register: left to itself the compiler takes the sums of a tile one after another, and
/// runs out of registers for what they share.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn here(mut x: __m256i) -> __m256i {
    // SAFETY: nothing is executed.
    unsafe {
        asm!("/* {0} */", inout(ymm_reg) x, options(nomem, nostack, preserves_flags));
    }
    x
}
