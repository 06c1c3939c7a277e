//! Rows of activations as the kernels use them.

use crate::kernels::Rows;
pub(super) use crate::kernels::kind::Block;
use crate::kernels::kind::{sums_of_16, sums_of_32};
use crate::tensor::Dtype;

/// Evaluates `$call` with `$block` as the type of the blocks of `$dtype`: a copy of the code for each type.
macro_rules! with_block {
    ($dtype:expr, $block:ident => $call:expr) => {{
        use crate::kernels::block;
        use crate::tensor::Dtype;
        match $dtype {
            Dtype::F32 | Dtype::F16 | Dtype::BF16 => unreachable!("plain floats have no blocks"),
            Dtype::Q4_0 => with_block!(@ $block, Q4_0, $call),
            Dtype::Q4_1 => with_block!(@ $block, Q4_1, $call),
            Dtype::Q5_0 => with_block!(@ $block, Q5_0, $call),
            Dtype::Q5_1 => with_block!(@ $block, Q5_1, $call),
            Dtype::Q8_0 => with_block!(@ $block, Q8_0, $call),
            Dtype::Q2_K => with_block!(@ $block, Q2_K, $call),
            Dtype::Q3_K => with_block!(@ $block, Q3_K, $call),
            Dtype::Q4_K => with_block!(@ $block, Q4_K, $call),
            Dtype::Q5_K => with_block!(@ $block, Q5_K, $call),
            Dtype::Q6_K => with_block!(@ $block, Q6_K, $call),
        }
    }};
    (@ $block:ident, $type:ident, $call:expr) => {{
        type $block = block::$type;
        $call
    }};
}

pub(super) use with_block;

/// A row of quantized activations.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    /// The quantized activations, then other bytes of the row.
    pub(super) q: &'a [u8],
    /// The scale of each block, an f32.
    pub(super) scales: &'a [[u8; 4]],
    /// The sums that minima and offsets are multiplied with, as [`prepare`] lays them out for the type.
    pub(super) sums: &'a [[u8; 16]],
}

impl<'a> Operand<'a> {
    /// Row `row` of `x`, with the sums of all rows in `sums`.
    pub(super) fn new(x: &Rows<'a>, row: usize, sums: &'a [[u8; 16]]) -> Operand<'a> {
        let layout = x.form().layout(x.width());
        let data = x.row(row);
        let n_sums = sums.len() / x.n_rows();
        Operand {
            q: data,
            scales: data[layout.scales..layout.sums].as_chunks().0,
            sums: &sums[row * n_sums..][..n_sums],
        }
    }
}

/// Fills `sums` with what products with few rows need, an even number of entries for each row of `x`, per block:
/// - for blocks of 32 with an offset, four times the offset's part of the sum of products, as i32;
/// - for blocks of 32 with a minimum, four times the sum of activations, as f32;
/// - for superblocks, 16 i16 (two entries): for groups of 32 with minima, eight zeros and eight sums of 32; for groups of
///   16 with minima, the sums of 16; for those with an offset, the sums times -4 (Q3_K) or -16 (Q6_K: half of its
///   offset, since all of it could exceed 16 bits; the kernels double the product).
pub(super) fn prepare(dtype: Dtype, x: &Rows, sums: &mut Vec<[u8; 16]>) {
    sums.clear();
    for row in 0..x.n_rows() {
        let row = sums_of_16(x, row);
        match dtype {
            Dtype::Q4_0 => sums.extend(sums_of_32(row).map(|sum| four((i32::from(sum) * -8).to_le_bytes()))),
            Dtype::Q5_0 => sums.extend(sums_of_32(row).map(|sum| four((i32::from(sum) * -16).to_le_bytes()))),
            Dtype::Q8_0 => sums.extend(sums_of_32(row).map(|sum| four((i32::from(sum) * -128).to_le_bytes()))),
            Dtype::Q4_1 | Dtype::Q5_1 => sums.extend(sums_of_32(row).map(|sum| four(f32::from(sum).to_le_bytes()))),
            Dtype::Q2_K => sums.extend(row.as_chunks().0.iter().map(|sums: &[[u8; 2]; 8]| eight(sums, 1))),
            Dtype::Q3_K => sums.extend(row.as_chunks().0.iter().map(|sums| eight(sums, -4))),
            Dtype::Q6_K => sums.extend(row.as_chunks().0.iter().map(|sums| eight(sums, -16))),
            Dtype::Q4_K | Dtype::Q5_K => sums.extend(row.as_chunks().0.iter().flat_map(|sums: &[[u8; 2]; 16]| {
                let mut pairs = sums_of_32(sums);
                [[0; 16], bytemuck::cast([(); 8].map(|()| pairs.next().unwrap_or_default().to_le_bytes()))]
            })),
            Dtype::F32 | Dtype::F16 | Dtype::BF16 => {}
        }
        if sums.len() % 2 == 1 {
            sums.push([0; 16]);
        }
    }
}

fn four(word: [u8; 4]) -> [u8; 16] {
    bytemuck::cast([word; 4])
}

fn eight(sums: &[[u8; 2]; 8], factor: i16) -> [u8; 16] {
    bytemuck::cast(sums.map(|sum| (i16::from_le_bytes(sum) * factor).to_le_bytes()))
}
