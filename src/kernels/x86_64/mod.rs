//! Kernels for x86-64.
#![expect(unsafe_code, reason = "calls into functions of an instruction set")]

mod avx512;
mod operand;

use super::isa::{Isa, Level};
use super::{Columns, Rows, Scratch, Weights, scalar};

/// See [`super::product()`].
pub(super) fn product(isa: Isa, weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    match isa.level() {
        Level::Scalar | Level::Avx2 | Level::AvxVnni => scalar::product(weights, x, out),
        // SAFETY: an `Isa` of this level exists only where the processor has its features.
        Level::Avx512 => unsafe { avx512::product(weights, x, out, scratch) },
    }
}
