//! What the kernels for plain floats share, whatever the processor.

pub(super) use super::block::F16;
use super::streams::outputs_of;
use super::{Rows, Weights};
use crate::tensor::Dtype;
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

/// How a float is stored.
pub(super) trait Element: Pod {
    const DTYPE: Dtype;
}

/// 32 bits at any address.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct F32([u8; 4]);

/// The upper 16 bits of an [`F32`].
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct BF16([u8; 2]);

impl Element for F32 {
    const DTYPE: Dtype = Dtype::F32;
}

impl Element for F16 {
    const DTYPE: Dtype = Dtype::F16;
}

impl Element for BF16 {
    const DTYPE: Dtype = Dtype::BF16;
}

/// Outputs whose weights stay in a cache while all rows of activations pass.
const PANEL: usize = 64;

/// Every four outputs of a range with up to `most_rows` rows of activations, in the order to go through them.
///
/// One row reads four long streams; more rows go through a panel of weights that a cache holds.
pub(super) fn tiles(
    n_outputs: usize,
    n_rows: usize,
    most_rows: usize,
) -> impl Iterator<Item = ([usize; 4], Range<usize>)> {
    let panel = if n_rows == 1 { n_outputs.max(1) } else { PANEL };
    (0..n_outputs).step_by(panel).flat_map(move |first| {
        let n = panel.min(n_outputs - first);
        row_chunks(n_rows, most_rows).flat_map(move |rows| {
            let outputs = (0..n).step_by(4).map(move |i| outputs_of::<4>(i, n).map(|output| first + output));
            outputs.map(move |outputs| (outputs, rows.clone()))
        })
    })
}

/// The rows in chunks of up to `most`, none alone if there is another.
fn row_chunks(n_rows: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let rest = n_rows - next;
        let n = (1..=most.min(rest)).rev().find(|n| rest - n != 1)?;
        next += n;
        Some(next - n..next)
    })
}

/// The weights of four outputs.
pub(super) fn elements_of<'a, E: Pod>(weights: &Weights<'a>, first: usize, outputs: [usize; 4]) -> [&'a [E]; 4] {
    outputs.map(|output| bytemuck::cast_slice(weights.row(first + output)))
}

/// `M` rows of activations.
pub(super) fn rows_of<'a, const M: usize>(x: &Rows<'a>, first: usize) -> [&'a [[u8; 64]]; M] {
    std::array::from_fn(|i| x.row(first + i).as_chunks().0)
}

/// The last elements of a row, with zeros to fill sixteen.
pub(super) fn padded<E: Pod>(rest: &[E]) -> [E; 16] {
    let mut all = [E::zeroed(); 16];
    all[..rest.len()].copy_from_slice(rest);
    all
}

/// Each row in groups of sixteen and what remains.
pub(super) fn split<'a, E>(rows: &[&'a [E]; 4]) -> [(&'a [[E; 16]], &'a [E]); 4] {
    rows.map(|row| row.as_chunks())
}
