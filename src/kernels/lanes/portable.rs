//! Lanes for any processor.

use super::{Lanes, WIDTH};
use half::f16;
use std::array;

#[derive(Clone, Copy)]
pub(super) struct Portable([f32; WIDTH]);

impl Portable {
    #[inline(always)]
    fn with(self, other: Portable, operation: impl Fn(f32, f32) -> f32) -> Portable {
        Portable(array::from_fn(|lane| operation(self.0[lane], other.0[lane])))
    }
}

impl Lanes for Portable {
    const PAIRS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> Portable {
        Portable([x; WIDTH])
    }

    #[inline(always)]
    fn load(x: &[f32; WIDTH]) -> Portable {
        Portable(*x)
    }

    #[inline(always)]
    fn load_f16(x: &[u16; WIDTH]) -> Portable {
        Portable(x.map(|x| f16::from_bits(x).to_f32()))
    }

    #[inline(always)]
    fn store(self, out: &mut [f32; WIDTH]) {
        *out = self.0;
    }

    #[inline(always)]
    fn store_f16(self, out: &mut [u16; WIDTH]) {
        *out = self.0.map(|x| f16::from_f32(x).to_bits());
    }

    #[inline(always)]
    fn add(self, other: Portable) -> Portable {
        self.with(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Portable) -> Portable {
        self.with(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Portable) -> Portable {
        self.with(other, |a, b| a * b)
    }

    #[inline(always)]
    fn min(self, other: Portable) -> Portable {
        self.with(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, other: Portable) -> Portable {
        self.with(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn mul_add(self, factor: Portable, term: Portable) -> Portable {
        Portable(array::from_fn(|lane| self.0[lane].mul_add(factor.0[lane], term.0[lane])))
    }

    #[inline(always)]
    fn into_exponent(self) -> Portable {
        Portable(self.0.map(|x| f32::from_bits(x.to_bits() << 23)))
    }

    #[inline(always)]
    fn prefetch<T>(_: &T) {}
}
