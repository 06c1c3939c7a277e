//! Plain functions compiled once more for each instruction set.

/// Calls the function `$plain`, compiled for the instruction set `$isa`.
///
/// The compiler makes wider vectors of the same loops, so results are the same to the bit. `$plain` has to be
/// `#[inline(always)]`.
macro_rules! compiled_for {
    ($isa:expr, $plain:path, ($($arg:ident: $type:ty),*) -> $result:ty) => {{
        use crate::kernels::isa::Level;
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c")]
        fn avx2($($arg: $type),*) -> $result {
            $plain($($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
        fn avx512($($arg: $type),*) -> $result {
            $plain($($arg),*)
        }
        #[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "calls into functions of an instruction set"))]
        match $isa.level() {
            Level::Scalar => $plain($($arg),*),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this level exists only where the processor has its features.
            Level::Avx2 | Level::AvxVnni => unsafe { avx2($($arg),*) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the same.
            Level::Avx512 => unsafe { avx512($($arg),*) },
            // All code for this architecture may use NEON.
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::Dotprod | Level::I8mm => $plain($($arg),*),
        }
    }};
}

pub(super) use compiled_for;
