//! Products for AVX-512 with VNNI.
//!
//! Few rows: the weights of four outputs are unpacked in registers, multiplied with each row of activations, and the
//! sums of the four transposed into one vector, which the scales of the blocks then join. Many rows: see `many`.

mod few;
mod memory;
mod pairs;
mod superblocks;

use super::operand::prepare;
use crate::kernels::{Columns, Form, Rows, Scratch, Weights, scalar};

/// See [`crate::kernels::product`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(in crate::kernels) fn product(weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    if x.form() == Form::F32 {
        return scalar::product(weights, x, out);
    }
    prepare(weights.dtype(), x, &mut scratch.sums);
    few::product(weights, x, out, &scratch.sums);
}
