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
#[inline]
pub(super) fn prefetch_after<B>(block: &B) {
    prefetch::<B>(std::ptr::from_ref(block).wrapping_byte_add(AHEAD));
}

/// Asks for the cache lines of a `B` at `at`, which may be anywhere.
#[inline(always)]
pub(super) fn prefetch<B>(at: *const B) {
    for line in (0..size_of::<B>()).step_by(64) {
        // SAFETY: a prefetch neither reads nor fails.
        unsafe {
            asm!("prfm pldl1keep, [{0}]", in(reg) at.wrapping_byte_add(line), options(nomem, nostack, preserves_flags));
        }
    }
}
