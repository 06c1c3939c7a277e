//! Lanes in two AVX registers.

#![expect(unsafe_code, reason = "intrinsics of an instruction set that not every machine has")]

use super::{Lanes, Task, WIDTH};
use std::arch::x86_64::{
    __m256, _MM_FROUND_TO_NEAREST_INT, _MM_HINT_T0, _mm_loadl_epi64, _mm_loadu_si128, _mm_prefetch, _mm_storeu_si128,
    _mm256_add_ps, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtph_ps,
    _mm256_cvtps_ph, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
};

/// Private to this module and made by [`run`] alone, so whoever holds one runs on a machine that has AVX2.
#[derive(Clone, Copy)]
struct Avx2(__m256, __m256);

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn run<T: Task>(task: T) -> T::Output {
    task.run::<Avx2>()
}

impl Lanes for Avx2 {
    const PAIRS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> Avx2 {
        // SAFETY: the type is used inside `run` alone, which is called where the features are; so in all functions below.
        let x = unsafe { _mm256_set1_ps(x) };
        Avx2(x, x)
    }

    #[inline(always)]
    fn load(x: &[f32; WIDTH]) -> Avx2 {
        // SAFETY: the features are there, and so are 16 floats.
        unsafe { Avx2(_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x[8..].as_ptr())) }
    }

    #[inline(always)]
    fn load_f16(x: &[u16; WIDTH]) -> Avx2 {
        // SAFETY: the features are there, and so are 32 bytes.
        let half = |x: &[u16]| unsafe { _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast())) };
        Avx2(half(&x[..8]), half(&x[8..]))
    }

    #[inline(always)]
    fn load_i8(x: &[i8; WIDTH]) -> Avx2 {
        // SAFETY: the features are there, and so are 8 bytes.
        let half = |x: &[i8]| unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(x.as_ptr().cast()))) };
        Avx2(half(&x[..8]), half(&x[8..]))
    }

    #[inline(always)]
    fn store(self, out: &mut [f32; WIDTH]) {
        // SAFETY: the features are there, and so is room for 16 floats.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), self.0);
            _mm256_storeu_ps(out[8..].as_mut_ptr(), self.1);
        }
    }

    #[inline(always)]
    fn store_f16(self, out: &mut [u16; WIDTH]) {
        // SAFETY: the features are there, and so is room for 32 bytes.
        unsafe {
            _mm_storeu_si128(out.as_mut_ptr().cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0));
            _mm_storeu_si128(out[8..].as_mut_ptr().cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.1));
        }
    }

    #[inline(always)]
    fn add(self, other: Avx2) -> Avx2 {
        // SAFETY: the features are there.
        unsafe { Avx2(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn sub(self, other: Avx2) -> Avx2 {
        // SAFETY: the features are there.
        unsafe { Avx2(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn mul(self, other: Avx2) -> Avx2 {
        // SAFETY: the features are there.
        unsafe { Avx2(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn min(self, other: Avx2) -> Avx2 {
        // SAFETY: the features are there.
        unsafe { Avx2(_mm256_min_ps(self.0, other.0), _mm256_min_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn max(self, other: Avx2) -> Avx2 {
        // SAFETY: the features are there.
        unsafe { Avx2(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Avx2, term: Avx2) -> Avx2 {
        // SAFETY: the features are there.
        unsafe { Avx2(_mm256_fmadd_ps(self.0, factor.0, term.0), _mm256_fmadd_ps(self.1, factor.1, term.1)) }
    }

    #[inline(always)]
    fn into_exponent(self) -> Avx2 {
        // SAFETY: the features are there.
        let shifted = |x| unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(x))) };
        Avx2(shifted(self.0), shifted(self.1))
    }

    #[inline(always)]
    fn prefetch<T>(at: &T) {
        // SAFETY: a prefetch reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(at).cast()) }
    }
}
