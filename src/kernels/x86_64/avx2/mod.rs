//! Products for AVX2, and with `VNNI` for AVX-VNNI, which differs in its dot products only.
//!
//! Any number of rows goes through the kernels for few, four at a time, as in AVX-512 with vectors of half the length:
//! there are no panels, so weights are unpacked again for every four rows.

mod blocks;
mod dot;
mod few;
mod floats;
mod superblocks;

use super::Scratch;
use super::operand::prepare;
use crate::kernels::{Columns, Form, Rows, Weights};

/// See [`crate::kernels::product()`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::kernels) fn product<const VNNI: bool>(weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    if x.form() == Form::F32 {
        return floats::product(weights, x, out);
    }
    prepare(weights.dtype(), x, &mut scratch.sums);
    few::product::<VNNI>(weights, x, out, &scratch.sums);
}
