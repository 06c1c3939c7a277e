//! How kernels for few rows go through weights: four outputs side by side, so that memory is read in long streams.

use super::Weights;
use super::kind::Block;
use std::array::from_fn;

/// The outputs of step `i` of a range of `n`, one from each quarter; at the end those that remain, the last one repeated.
pub(super) fn outputs_of_four(i: usize, n: usize) -> [usize; 4] {
    let quarter = n / 4;
    from_fn(|stream| if i / 4 < quarter { stream * quarter + i / 4 } else { (i + stream).min(n - 1) })
}

pub(super) fn blocks_of<'a, B: Block>(weights: &Weights<'a>, first: usize, outputs: [usize; 4]) -> [&'a [B]; 4] {
    outputs.map(|output| bytemuck::cast_slice(weights.row(first + output)))
}

/// The rows, which are equally long, cut so that the compiler sees it too, and their length.
#[inline]
pub(super) fn same_length<'a, B>(rows: &[&'a [B]; 4]) -> ([&'a [B]; 4], usize) {
    let n = rows[0].len();
    ([rows[0], &rows[1][..n], &rows[2][..n], &rows[3][..n]], n)
}
