//! Kernels for aarch64: one text for NEON, dot products and products of matrices, which differ in [`dot`] only.
#![allow(clippy::wildcard_imports, reason = "the names of intrinsics carry their own prefixes")]

mod activations;
mod blocks;
mod dot;
mod few;
mod floats;
mod interleave;
mod many;
mod memory;
mod panel;
mod superblocks;

use super::block::{Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use super::isa::{Isa, Level};
use super::kind::Block;
use super::{Columns, Rows, Weights, scalar};
use crate::tensor::Dtype;
use dot::{Dot, Dotprod, I8mm, Neon};
use std::arch::aarch64::float32x4_t;

/// The working memory of a thread, for products with many rows.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    activations: activations::Activations,
    /// Unpacked weights.
    strips: Vec<panel::Strip>,
    /// Unfinished results.
    totals: Vec<[float32x4_t; 2]>,
}

/// Rows from which on a panel pays.
const MANY: usize = 3;

/// See [`super::product()`].
#[expect(unsafe_code, reason = "calls into functions of an instruction set")]
pub(super) fn product(isa: Isa, weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    match isa.level() {
        Level::Scalar => scalar::product(weights, x, out),
        // SAFETY: an `Isa` of this level exists only where the processor has its features.
        Level::Neon => unsafe { of_type::<Neon>(weights, x, out, scratch) },
        // SAFETY: the same.
        Level::Dotprod => unsafe { of_type::<Dotprod>(weights, x, out, scratch) },
        // SAFETY: the same.
        Level::I8mm => unsafe { of_type::<I8mm>(weights, x, out, scratch) },
    }
}

#[target_feature(enable = "neon")]
fn of_type<D: Dot>(weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    match weights.dtype() {
        Dtype::F32 | Dtype::F16 | Dtype::BF16 => floats::product(weights, x, out),
        Dtype::Q4_0 => of_blocks::<D, Q4_0>(weights, x, out, scratch),
        Dtype::Q4_1 => of_blocks::<D, Q4_1>(weights, x, out, scratch),
        Dtype::Q5_0 => of_blocks::<D, Q5_0>(weights, x, out, scratch),
        Dtype::Q5_1 => of_blocks::<D, Q5_1>(weights, x, out, scratch),
        Dtype::Q8_0 => of_blocks::<D, Q8_0>(weights, x, out, scratch),
        Dtype::Q2_K => of_blocks::<D, Q2_K>(weights, x, out, scratch),
        Dtype::Q3_K => of_blocks::<D, Q3_K>(weights, x, out, scratch),
        Dtype::Q4_K => of_blocks::<D, Q4_K>(weights, x, out, scratch),
        Dtype::Q5_K => of_blocks::<D, Q5_K>(weights, x, out, scratch),
        Dtype::Q6_K => of_blocks::<D, Q6_K>(weights, x, out, scratch),
    }
}

#[target_feature(enable = "neon")]
fn of_blocks<D: Dot, B: Block>(weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    if x.n_rows() < MANY {
        few::product::<D, B>(weights, x, out);
    } else {
        many::product::<D, B>(weights, x, out, scratch);
    }
}
