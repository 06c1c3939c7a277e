//! Sixteen floats at once, in the registers of an instruction set.
//!
//! Vector kernels are written once as a [`Task`] over [`Lanes`], and [`run`] compiles them for each set. Every operation
//! rounds alike everywhere and sums are added in one order, so all sets give the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use super::isa::{Isa, Level};
use bytemuck::{Pod, Zeroable};

/// Floats in a [`Lanes`].
pub(super) const WIDTH: usize = 16;

/// Sixteen floats in memory that no load splits.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [f32; WIDTH]);

/// Sixteen floats in registers. Implementations and what calls them are always inlined, so that the caller's
/// instruction set is theirs.
pub(super) trait Lanes: Copy {
    /// Queries whose sums, two of `Self` each, stay in registers with all else that their products need; a power of two.
    const PAIRS: usize;

    fn splat(x: f32) -> Self;
    fn load(x: &[f32; WIDTH]) -> Self;
    /// From 16-bit floats.
    fn load_f16(x: &[u16; WIDTH]) -> Self;
    /// From 8-bit integers.
    #[inline(always)]
    fn load_i8(x: &[i8; WIDTH]) -> Self {
        Self::load(&x.map(f32::from))
    }
    fn store(self, out: &mut [f32; WIDTH]);
    /// To the nearest 16-bit floats, ties to even.
    fn store_f16(self, out: &mut [u16; WIDTH]);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// The lesser of each pair; `other` where one is NaN.
    fn min(self, other: Self) -> Self;
    /// The greater of each pair; `other` where one is NaN.
    fn max(self, other: Self) -> Self;
    /// `self` × `factor` + `term`, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// The bits moved up by 23, which makes an exponent of an integer in the lowest byte.
    fn into_exponent(self) -> Self;
    /// Asks for the cache line at `at` ahead of its use.
    fn prefetch<T>(at: &T);

    /// 2 to the power of each lane, to 1e-7 of its value; 0 below -126.5 and where a lane is not a number, and no more
    /// than 2^127.
    #[inline(always)]
    fn exp2(self) -> Self {
        // A float this large has no fraction bits, so that adding it rounds; its lowest bits are then the integer.
        const ROUND: f32 = 12_582_912.0 + 127.0;
        // The minimax polynomial of 2^x on [-1/2, 1/2] with the constant term 1, from the highest power down.
        const POWERS: [f32; 6] =
            [1.535_336_2e-4, 1.339_887_5e-3, 9.618_437e-3, 5.550_332_4e-2, 2.402_264_8e-1, 6.931_472e-1];
        let x = self.max(Self::splat(-127.0)).min(Self::splat(127.0));
        let shifted = x.add(Self::splat(ROUND));
        let rest = x.sub(shifted.sub(Self::splat(ROUND)));
        let mut power = Self::splat(POWERS[0]);
        for coefficient in &POWERS[1..] {
            power = power.mul_add(rest, Self::splat(*coefficient));
        }
        power.mul_add(rest, Self::splat(1.0)).mul(shifted.into_exponent())
    }

    /// The sum of the lanes, added by halves.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut x = [0.0; WIDTH];
        self.store(&mut x);
        for half in [8, 4, 2, 1] {
            for lane in 0..half {
                x[lane] += x[lane + half];
            }
        }
        x[0]
    }

    /// The greatest of the lanes.
    #[inline(always)]
    fn greatest(self) -> f32 {
        let mut x = [0.0; WIDTH];
        self.store(&mut x);
        x.into_iter().fold(f32::NEG_INFINITY, |a, b| if a > b { a } else { b })
    }
}

/// A computation that is written once for all instruction sets.
pub(super) trait Task {
    type Output;

    /// To be marked `#[inline(always)]`, as all that it calls.
    fn run<L: Lanes>(self) -> Self::Output;
}

/// Carries out `task` with the registers of `isa`.
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "calls code for a detected instruction set"))]
pub(super) fn run<T: Task>(isa: Isa, task: T) -> T::Output {
    match isa.level() {
        Level::Scalar => task.run::<portable::Portable>(),
        // SAFETY: an `Isa` of this level is the proof that this machine has the features.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 | Level::AvxVnni => unsafe { avx2::run(task) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::run(task) },
        #[cfg(target_arch = "aarch64")]
        Level::Neon | Level::Dotprod | Level::I8mm => task.run::<neon::Neon>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2^x and the 16-bit rounding of `x`.
    struct Both<'a>(&'a [f32; WIDTH], &'a mut [f32; WIDTH], &'a mut [u16; WIDTH]);

    impl Task for Both<'_> {
        type Output = (f32, f32);

        #[inline(always)]
        fn run<L: Lanes>(self) -> (f32, f32) {
            let x = L::load(self.0);
            x.exp2().store(self.1);
            x.store_f16(self.2);
            (x.sum(), x.greatest())
        }
    }

    fn inputs() -> impl Iterator<Item = [f32; WIDTH]> {
        (-2600..2600).map(|i| std::array::from_fn(|lane| (i as f32 + lane as f32 / 16.3) / 20.0))
    }

    #[test]
    fn powers_of_two_are_exact_to_a_tenth_of_a_millionth() {
        let (mut powers, mut halves) = ([0.0; WIDTH], [0; WIDTH]);
        for x in inputs() {
            run(Isa::detect(), Both(&x, &mut powers, &mut halves));
            for (x, power) in x.into_iter().zip(powers) {
                let exact = f64::from(x).exp2();
                match x {
                    ..-126.0 => assert!(power >= 0.0 && power <= 2f32.powi(-125), "2^{x} is {power}"),
                    ..127.0 => assert!((f64::from(power) / exact - 1.0).abs() < 1.2e-7, "2^{x} is {power}"),
                    _ => assert_eq!(power, 2f32.powi(127)),
                }
            }
        }
        for nothing in [f32::NEG_INFINITY, f32::NAN] {
            run(Isa::detect(), Both(&[nothing; WIDTH], &mut powers, &mut halves));
            assert_eq!(powers, [0.0; WIDTH], "2^{nothing}");
        }
        run(Isa::detect(), Both(&[0.0; WIDTH], &mut powers, &mut halves));
        assert_eq!(powers, [1.0; WIDTH]);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for x in inputs() {
            let expected = computed(Isa::SCALAR, &x);
            for isa in Isa::available() {
                assert_eq!(computed(isa, &x), expected, "{} of {x:?}", isa.name());
            }
        }
    }

    fn computed(isa: Isa, x: &[f32; WIDTH]) -> ([u32; WIDTH], [u16; WIDTH], u32, u32) {
        let (mut powers, mut halves) = ([0.0; WIDTH], [0; WIDTH]);
        let (sum, greatest) = run(isa, Both(x, &mut powers, &mut halves));
        (powers.map(f32::to_bits), halves, sum.to_bits(), greatest.to_bits())
    }
}
