//! Loads, stores and prefetches, the only places of these kernels that use addresses.
#![expect(unsafe_code, reason = "vector loads take pointers")]

use std::arch::aarch64::{float32x4_t, int8x16_t, uint8x16_t, vld1q_f32, vld1q_s8, vld1q_u8, vst1q_f32};
use std::arch::asm;

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the reference covers the 16 bytes that are read.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_signed(bytes: &[u8; 16]) -> int8x16_t {
    // SAFETY: the reference covers the 16 bytes that are read.
    unsafe { vld1q_s8(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_floats(bytes: &[[u8; 4]; 4]) -> float32x4_t {
    // SAFETY: the reference covers the 16 bytes that are read, and the order of bytes is that of floats.
    unsafe { vld1q_f32(bytes.as_ptr().cast()) }
}

/// Writes the four lanes of `x`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store(x: float32x4_t, lanes: &mut [f32; 4]) {
    // SAFETY: `lanes` has room for the 16 bytes that are written.
    unsafe { vst1q_f32(lanes.as_mut_ptr(), x) }
}

/// How far ahead of its use a weight is asked for, in bytes.
const AHEAD: usize = 2048;

/// Asks for the cache lines of something as large as `block` that lies [`AHEAD`] of it.
#[inline(always)]
pub(super) fn prefetch_after<B>(block: &B) {
    prefetch::<B, AHEAD>(block);
}

/// Asks for the cache lines of a `B`, of up to 256 bytes, that lies `OFFSET` bytes, a multiple of 8, after `at`; it may
/// be anywhere.
#[inline(always)]
pub(super) fn prefetch<B, const OFFSET: usize>(at: *const B) {
    const { assert!(size_of::<B>() <= 256) }
    prefetch_line::<B, OFFSET, 0>(at);
    if size_of::<B>() > 64 {
        prefetch_line::<B, OFFSET, 64>(at);
    }
    if size_of::<B>() > 128 {
        prefetch_line::<B, OFFSET, 128>(at);
    }
    if size_of::<B>() > 192 {
        prefetch_line::<B, OFFSET, 192>(at);
    }
}

#[inline(always)]
fn prefetch_line<B, const OFFSET: usize, const LINE: usize>(at: *const B) {
    // SAFETY: a prefetch neither reads nor fails.
    unsafe {
        asm!("prfm pldl1keep, [{0}, {1} + {2}]", in(reg) at, const OFFSET, const LINE,
            options(nomem, nostack, preserves_flags));
    }
}
