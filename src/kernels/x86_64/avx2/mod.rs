//! Products for AVX2, and with `VNNI` for AVX-VNNI, which differs in its dot products only.
//!
//! Few rows: the weights of eight outputs are unpacked in registers, see `few`. Many rows: see `many`.

mod dot;
mod few;
mod floats;
mod heads;
mod many;
mod pairs;
mod panel;
mod slices;

use super::Scratch;
use crate::kernels::{Columns, Form, Rows, Weights};
use crate::tensor::Dtype;

pub(super) use many::Many;

/// From how many rows of activations on it pays to unpack panels.
const fn many(dtype: Dtype) -> usize {
    match dtype {
        Dtype::Q4_0 | Dtype::Q4_1 | Dtype::Q5_0 | Dtype::Q5_1 => 3,
        Dtype::Q6_K => 7,
        _ => 5,
    }
}

/// See [`crate::kernels::product()`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::kernels) fn product<const VNNI: bool>(weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    if x.form() == Form::F32 {
        return floats::product(weights, x, out);
    }
    if x.n_rows() >= many(weights.dtype()) {
        return many::product::<VNNI>(weights, x, out, &mut scratch.many);
    }
    few::product::<VNNI>(weights, x, out);
}
