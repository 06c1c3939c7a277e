//! Lanes in four NEON registers.

#![expect(unsafe_code, reason = "intrinsics, which are unsafe where a function does not name the feature")]

use super::{Lanes, WIDTH};
use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vbslq_f32, vcgtq_f32, vcltq_f32, vcvt_f16_f32, vcvt_f32_f16, vdupq_n_f32, vfmaq_f32,
    vld1_u16, vld1q_f32, vmaxq_f32, vmaxvq_f32, vmulq_f32, vreinterpret_f16_u16, vreinterpret_u16_f16,
    vreinterpretq_f32_u32, vreinterpretq_u32_f32, vshlq_n_u32, vst1_u16, vst1q_f32, vsubq_f32,
};
use std::arch::asm;

/// Every aarch64 processor that this is compiled for has NEON.
#[derive(Clone, Copy)]
pub(super) struct Neon([float32x4_t; 4]);

impl Lanes for Neon {
    const PAIRS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> Neon {
        // SAFETY: NEON is there; so in all functions below.
        Neon([unsafe { vdupq_n_f32(x) }; 4])
    }

    #[inline(always)]
    fn load(x: &[f32; WIDTH]) -> Neon {
        let mut lanes = Neon::splat(0.0);
        for (lanes, x) in lanes.0.iter_mut().zip(x.as_chunks::<4>().0) {
            // SAFETY: NEON is there, and so are four floats.
            *lanes = unsafe { vld1q_f32(x.as_ptr()) };
        }
        lanes
    }

    #[inline(always)]
    fn load_f16(x: &[u16; WIDTH]) -> Neon {
        let mut lanes = Neon::splat(0.0);
        for (lanes, x) in lanes.0.iter_mut().zip(x.as_chunks::<4>().0) {
            // SAFETY: NEON is there, and so are four times 16 bits.
            *lanes = unsafe { vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x.as_ptr()))) };
        }
        lanes
    }

    #[inline(always)]
    fn store(self, out: &mut [f32; WIDTH]) {
        for (lanes, out) in self.0.into_iter().zip(out.as_chunks_mut::<4>().0) {
            // SAFETY: NEON is there, and so is room for four floats.
            unsafe { vst1q_f32(out.as_mut_ptr(), lanes) }
        }
    }

    #[inline(always)]
    fn store_f16(self, out: &mut [u16; WIDTH]) {
        for (lanes, out) in self.0.into_iter().zip(out.as_chunks_mut::<4>().0) {
            // SAFETY: NEON is there, and so is room for four times 16 bits.
            unsafe { vst1_u16(out.as_mut_ptr(), vreinterpret_u16_f16(vcvt_f16_f32(lanes))) }
        }
    }

    #[inline(always)]
    fn add(mut self, other: Neon) -> Neon {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            // SAFETY: NEON is there.
            *a = unsafe { vaddq_f32(*a, b) };
        }
        self
    }

    #[inline(always)]
    fn sub(mut self, other: Neon) -> Neon {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            // SAFETY: NEON is there.
            *a = unsafe { vsubq_f32(*a, b) };
        }
        self
    }

    #[inline(always)]
    fn mul(mut self, other: Neon) -> Neon {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            // SAFETY: NEON is there.
            *a = unsafe { vmulq_f32(*a, b) };
        }
        self
    }

    #[inline(always)]
    fn min(mut self, other: Neon) -> Neon {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            // SAFETY: NEON is there.
            *a = unsafe { vbslq_f32(vcltq_f32(*a, b), *a, b) };
        }
        self
    }

    #[inline(always)]
    fn max(mut self, other: Neon) -> Neon {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            // SAFETY: NEON is there.
            *a = unsafe { vbslq_f32(vcgtq_f32(*a, b), *a, b) };
        }
        self
    }

    #[inline(always)]
    fn mul_add(self, factor: Neon, mut term: Neon) -> Neon {
        for (term, (a, b)) in term.0.iter_mut().zip(self.0.into_iter().zip(factor.0)) {
            // SAFETY: NEON is there.
            *term = unsafe { vfmaq_f32(*term, a, b) };
        }
        term
    }

    #[inline(always)]
    fn into_exponent(mut self) -> Neon {
        for x in &mut self.0 {
            // SAFETY: NEON is there.
            *x = unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(*x))) };
        }
        self
    }

    #[inline(always)]
    fn prefetch<T>(at: &T) {
        // SAFETY: a prefetch neither reads nor fails.
        unsafe { asm!("prfm pldl1keep, [{0}]", in(reg) at, options(nomem, nostack, preserves_flags)) }
    }

    #[inline(always)]
    fn greatest(self) -> f32 {
        let [a, b, c, d] = self.0;
        // SAFETY: NEON is there.
        unsafe { vmaxvq_f32(vmaxq_f32(vmaxq_f32(a, b), vmaxq_f32(c, d))) }
    }
}
