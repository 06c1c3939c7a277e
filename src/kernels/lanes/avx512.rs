//! Lanes in one AVX-512 register.

#![expect(unsafe_code, reason = "intrinsics of an instruction set that not every machine has")]

use super::{Lanes, Task, WIDTH};
use std::arch::x86_64::{
    __m512, _MM_FROUND_TO_NEAREST_INT, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_loadu_si256,
    _mm256_storeu_si256, _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtepi8_epi32,
    _mm512_cvtepi32_ps, _mm512_cvtph_ps, _mm512_cvtps_ph, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_max_ps, _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_ps,
    _mm512_sub_ps,
};

/// Private to this module and made by [`run`] alone, so whoever holds one runs on a machine that has AVX-512.
#[derive(Clone, Copy)]
struct Avx512(__m512);

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
pub(super) fn run<T: Task>(task: T) -> T::Output {
    task.run::<Avx512>()
}

impl Lanes for Avx512 {
    const PAIRS: usize = 8;

    #[inline(always)]
    fn splat(x: f32) -> Avx512 {
        // SAFETY: the type is used inside `run` alone, which is called where the features are; so in all functions below.
        Avx512(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    fn load(x: &[f32; WIDTH]) -> Avx512 {
        // SAFETY: the features are there, and so are 16 floats.
        Avx512(unsafe { _mm512_loadu_ps(x.as_ptr()) })
    }

    #[inline(always)]
    fn load_f16(x: &[u16; WIDTH]) -> Avx512 {
        // SAFETY: the features are there, and so are 32 bytes.
        Avx512(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())) })
    }

    #[inline(always)]
    fn load_i8(x: &[i8; WIDTH]) -> Avx512 {
        // SAFETY: the features are there, and so are 16 bytes.
        Avx512(unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast()))) })
    }

    #[inline(always)]
    fn store(self, out: &mut [f32; WIDTH]) {
        // SAFETY: the features are there, and so is room for 16 floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn store_f16(self, out: &mut [u16; WIDTH]) {
        // SAFETY: the features are there, and so is room for 32 bytes.
        unsafe {
            _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0));
        }
    }

    #[inline(always)]
    fn add(self, other: Avx512) -> Avx512 {
        // SAFETY: the features are there.
        Avx512(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Avx512) -> Avx512 {
        // SAFETY: the features are there.
        Avx512(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Avx512) -> Avx512 {
        // SAFETY: the features are there.
        Avx512(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn min(self, other: Avx512) -> Avx512 {
        // SAFETY: the features are there.
        Avx512(unsafe { _mm512_min_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn max(self, other: Avx512) -> Avx512 {
        // SAFETY: the features are there.
        Avx512(unsafe { _mm512_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Avx512, term: Avx512) -> Avx512 {
        // SAFETY: the features are there.
        Avx512(unsafe { _mm512_fmadd_ps(self.0, factor.0, term.0) })
    }

    #[inline(always)]
    fn into_exponent(self) -> Avx512 {
        // SAFETY: the features are there.
        Avx512(unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(self.0))) })
    }

    #[inline(always)]
    fn prefetch<T>(at: &T) {
        // SAFETY: a prefetch reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(at).cast()) }
    }

    #[inline(always)]
    fn greatest(self) -> f32 {
        // SAFETY: the features are there.
        unsafe { _mm512_reduce_max_ps(self.0) }
    }
}
