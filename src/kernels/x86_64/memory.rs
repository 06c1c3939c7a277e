//! Loads, stores and prefetches, the only places of these kernels that use addresses.
#![expect(unsafe_code, reason = "vector loads take pointers")]

use std::arch::asm;
use std::arch::x86_64::{
    __m128, __m128i, __m256, __m256i, __m512, __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_loadu_si128, _mm_prefetch,
    _mm_storeu_ps, _mm256_loadu_si256, _mm256_storeu_ps, _mm512_loadu_si512, _mm512_storeu_ps,
};

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn load16(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the reference covers the 16 bytes that are read.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// 16 bytes in both halves.
///
/// Assembly, since the compiler would make an insertion from memory of this and a blend, which some processors do half as
/// often.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn twice(bytes: &[u8; 16]) -> __m256i {
    let both;
    // SAFETY: the reference covers the 16 bytes that are read, and nothing is written.
    unsafe {
        asm!("vbroadcasti128 {0}, xmmword ptr [{1}]", out(ymm_reg) both, in(reg) bytes.as_ptr(),
            options(pure, readonly, nostack, preserves_flags));
    }
    both
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load32(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference covers the 32 bytes that are read.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load64(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the reference covers the 64 bytes that are read.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// How far ahead of its use a weight is asked for, in bytes.
pub(super) const AHEAD: usize = 2048;

/// Asks for the cache lines of something as large as `block` that lies [`AHEAD`] of it.
#[inline]
#[target_feature(enable = "sse")]
pub(super) fn prefetch_after<B>(block: &B) {
    prefetch_at(block, AHEAD);
}

/// Asks for the cache lines of something as large as `block` that lies `ahead` bytes after it.
#[inline]
#[target_feature(enable = "sse")]
pub(super) fn prefetch_at<B>(block: &B, ahead: usize) {
    let start = std::ptr::from_ref(block).cast::<i8>().wrapping_add(ahead);
    for line in (0..size_of::<B>()).step_by(64) {
        _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line));
    }
}

/// Asks for the cache lines of something as large as `block` that lies `ahead` bytes after it, in the second cache.
#[inline]
#[target_feature(enable = "sse")]
pub(super) fn prefetch_second<B>(block: &B, ahead: usize) {
    let start = std::ptr::from_ref(block).cast::<i8>().wrapping_add(ahead);
    for line in (0..size_of::<B>()).step_by(64) {
        _mm_prefetch::<_MM_HINT_T1>(start.wrapping_add(line));
    }
}

/// Asks for the cache lines of `bytes`.
#[inline]
#[target_feature(enable = "sse")]
pub(super) fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(64) {
        _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
    }
}

/// The same, and a first time for what lies a page farther on: processors ignore what they cannot take note of, so that
/// who goes through memory asks twice.
#[inline]
#[target_feature(enable = "sse")]
pub(super) fn prefetch_twice(bytes: &[u8]) {
    for line in bytes.chunks(64) {
        _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(4096).cast());
    }
}

/// The four lanes of `x`.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn floats(x: __m128) -> [f32; 4] {
    let mut lanes = [0.0; 4];
    // SAFETY: `lanes` has room for the 16 bytes that are written.
    unsafe { _mm_storeu_ps(lanes.as_mut_ptr(), x) }
    lanes
}

/// Writes the sixteen lanes of `x`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store64(x: __m512, lanes: &mut [f32; 16]) {
    // SAFETY: `lanes` has room for the 64 bytes that are written.
    unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), x) }
}

/// Writes the eight lanes of `x`.
#[inline]
#[target_feature(enable = "avx")]
pub(super) fn store32(x: __m256, lanes: &mut [f32; 8]) {
    // SAFETY: `lanes` has room for the 32 bytes that are written.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), x) }
}

/// Makes the compiler align the stack of the caller, so that vectors that it keeps there do not reach from one cache line
/// into the next, which costs some kernels a fifth of their speed.
#[inline]
pub(super) fn align_stack() {
    #[repr(align(64))]
    struct Line;
    std::hint::black_box(&Line);
}
