//! Which instruction set the kernels use.

use std::sync::OnceLock;

/// An instruction set that this machine has: a value of this type is the proof, since it comes only from detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(Level);

/// The sets that have kernels, from the slowest to the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Level {
    /// Plain Rust; what the others are tested against.
    Scalar,
    /// AVX2 with FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The same with 256-bit int8 dot products.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// AVX-512 F, BW, DQ, VL and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// What every aarch64 processor has.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// The same with dot products of bytes.
    #[cfg(target_arch = "aarch64")]
    Dotprod,
    /// The same with products of matrices of bytes as well.
    #[cfg(target_arch = "aarch64")]
    I8mm,
}

impl Level {
    #[cfg(target_arch = "x86_64")]
    const ALL: &'static [Level] = &[Level::Scalar, Level::Avx2, Level::AvxVnni, Level::Avx512];
    #[cfg(target_arch = "aarch64")]
    const ALL: &'static [Level] = &[Level::Scalar, Level::Neon, Level::Dotprod, Level::I8mm];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    const ALL: &'static [Level] = &[Level::Scalar];

    fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::AvxVnni => "avxvnni",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Level::Dotprod => "dotprod",
            #[cfg(target_arch = "aarch64")]
            Level::I8mm => "i8mm",
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        let avx2 =
            || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        match self {
            Level::Scalar => true,
            Level::Avx2 => avx2(),
            Level::AvxVnni => avx2() && is_x86_feature_detected!("avxvnni"),
            Level::Avx512 => {
                avx2()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn is_available(self) -> bool {
        use std::arch::is_aarch64_feature_detected;
        match self {
            Level::Scalar => true,
            Level::Neon => is_aarch64_feature_detected!("neon"),
            Level::Dotprod => Level::Neon.is_available() && is_aarch64_feature_detected!("dotprod"),
            Level::I8mm => Level::Dotprod.is_available() && is_aarch64_feature_detected!("i8mm"),
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn is_available(self) -> bool {
        true
    }
}

impl Isa {
    /// Plain Rust, which every machine runs.
    pub const SCALAR: Isa = Isa(Level::Scalar);

    /// The fastest set of this machine, or the one that the environment variable `TAPER_ISA` names if the machine has
    /// it. Decided at the first call.
    pub fn detect() -> Isa {
        static CHOICE: OnceLock<Isa> = OnceLock::new();
        *CHOICE.get_or_init(|| {
            let fastest = Isa::available().last().unwrap_or(Isa::SCALAR);
            let forced = std::env::var("TAPER_ISA").ok().filter(|name| !name.is_empty());
            let choice = match &forced {
                None => fastest,
                Some(name) => Isa::named(name).unwrap_or_else(|| {
                    tracing::warn!("`TAPER_ISA={name}` is not one of {}", Isa::names());
                    fastest
                }),
            };
            tracing::debug!("kernels for {}", choice.name());
            choice
        })
    }

    /// The sets that this machine has, the fastest last.
    pub fn available() -> impl Iterator<Item = Isa> {
        Level::ALL.iter().copied().filter(|level| level.is_available()).map(Isa)
    }

    /// The set with the name `name`; `None` if there is none or this machine lacks it.
    pub fn named(name: &str) -> Option<Isa> {
        Isa::available().find(|isa| isa.name() == name)
    }

    /// The name that `TAPER_ISA` takes: `scalar`, `avx2`, `avxvnni` or `avx512`; on aarch64 `scalar`, `neon`, `dotprod`
    /// or `i8mm`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    pub(super) fn level(self) -> Level {
        self.0
    }

    fn names() -> String {
        Isa::available().map(Isa::name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_available_set_is_found_by_its_name() {
        assert!(Isa::available().all(|isa| Isa::named(isa.name()) == Some(isa)));
        assert_eq!(Isa::named("scalar"), Some(Isa::SCALAR));
        assert_eq!(Isa::named("mmx"), None);
    }
}
