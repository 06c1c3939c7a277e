//! How kernels for few rows go through weights: several outputs side by side, so that memory is read in long streams.

use super::Weights;
use super::kind::Block;
use std::array::from_fn;

/// The outputs of step `i` of a range of `n`, one from each `N`th of it; at the end those that remain, the last one
/// repeated.
pub(super) fn outputs_of<const N: usize>(i: usize, n: usize) -> [usize; N] {
    let part = n / N;
    from_fn(|stream| if i / N < part { stream * part + i / N } else { (i + stream).min(n - 1) })
}

pub(super) fn blocks_of<'a, B: Block, const N: usize>(
    weights: &Weights<'a>,
    first: usize,
    outputs: [usize; N],
) -> [&'a [B]; N] {
    outputs.map(|output| bytemuck::cast_slice(weights.row(first + output)))
}

/// The rows, which are equally long, cut so that the compiler sees it too, and their length.
#[inline]
pub(super) fn same_length<'a, B, const N: usize>(rows: &[&'a [B]; N]) -> ([&'a [B]; N], usize) {
    let n = rows[0].len();
    (from_fn(|i| &rows[i][..n]), n)
}
