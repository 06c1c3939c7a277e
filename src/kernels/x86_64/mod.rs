//! Kernels for x86-64.
#![allow(clippy::wildcard_imports, reason = "the names of intrinsics carry their own prefixes")]

mod avx2;
mod avx512;
mod cut;
mod floats;
mod memory;
mod operand;
mod quad;
mod scales;

use super::isa::{Isa, Level};
use super::{Columns, Rows, Weights, scalar};
use std::arch::x86_64::*;

/// The working memory of a thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// What few rows need of their activations for AVX-512.
    sums: Vec<[u8; 16]>,
    /// Activations of many rows for AVX-512.
    pieces: Vec<avx512::Piece>,
    /// Unpacked weights for AVX-512.
    panel: Option<Box<avx512::Panel>>,
    /// Unfinished results of panels for AVX-512.
    totals: Vec<[__m512; 2]>,
    /// What many rows need for AVX2.
    many: avx2::Many,
}

/// See [`super::product()`].
#[expect(unsafe_code, reason = "calls into functions of an instruction set")]
pub(super) fn product(isa: Isa, weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    match isa.level() {
        Level::Scalar => scalar::product(weights, x, out),
        // SAFETY: an `Isa` of this level exists only where the processor has its features.
        Level::Avx2 => unsafe { avx2::product::<false>(weights, x, out, scratch) },
        // SAFETY: the same.
        Level::AvxVnni => unsafe { avx2::product::<true>(weights, x, out, scratch) },
        // SAFETY: the same.
        Level::Avx512 => unsafe { avx512::product(weights, x, out, scratch) },
    }
}
