//! Products for AVX-512 with VNNI.
//!
//! Few rows: the weights of four outputs are unpacked in registers, multiplied with each row of activations, and the
//! sums of the four transposed into one vector, which the scales of the blocks then join. Many rows: see `many`.

mod ahead;
mod columns;
mod few;
mod floats;
mod many;
mod pairs;
mod panel;
mod pieces;
mod superblocks;
mod tiles;

use super::Scratch;
use super::operand::prepare;
use crate::kernels::{Columns, Form, Rows, Weights};

pub(super) use panel::Panel;
pub(super) use pieces::Piece;

/// From how many rows of activations on it pays to unpack panels.
const fn many(form: Form) -> usize {
    if matches!(form, Form::Q8Block32) { 4 } else { 3 }
}

/// See [`crate::kernels::product()`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(in crate::kernels) fn product(weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    if x.form() == Form::F32 {
        return floats::product(weights, x, out);
    }
    if x.n_rows() >= many(x.form()) {
        return many::product(weights, x, out, scratch);
    }
    prepare(weights.dtype(), x, &mut scratch.sums);
    few::product(weights, x, out, &scratch.sums);
}
