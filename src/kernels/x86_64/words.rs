//! What products with many rows of activations need of them beside the quantized values.

use crate::kernels::Rows;
use crate::kernels::kind::{sums_of_16, sums_of_32};
use crate::tensor::Dtype;

/// Words that follow the last one, so that a fixed number can be read from any.
const PADDING: usize = 16;

/// Words of 32 bits for each row of activations; see [`prepare`].
#[derive(Debug, Default)]
pub(super) struct Words {
    words: Vec<[u8; 4]>, // (n_rows, per_row)
    per_row: usize,
    width: usize,
}

impl Words {
    /// The words of all rows from activation `k` of the first row on, and how many a row has.
    pub(super) fn from(&self, k: usize) -> (&[[u8; 4]], usize) {
        (&self.words[k * self.per_row / self.width..], self.per_row)
    }
}

/// Fills `words`, per row of `x`:
/// - for types with an offset, the part that it has in the sum of products of each group (of 32, or of 16 in
///   superblocks), as i32, to be subtracted by starting with it;
/// - for blocks of 32 with a minimum, the sum of their activations, as f32;
/// - for superblocks with minima, the sums of two groups, as i16.
pub(super) fn prepare(dtype: Dtype, x: &Rows, words: &mut Words) {
    words.words.clear();
    for row in 0..x.n_rows() {
        let sums = sums_of_16(x, row);
        let of_16 = || sums.iter().map(|&sum| i16::from_le_bytes(sum));
        let of_32 = || sums_of_32(sums);
        let offset = |sum: i16, offset: i32| (i32::from(sum) * -offset).to_le_bytes();
        let words = &mut words.words;
        match dtype {
            Dtype::Q4_0 => words.extend(of_32().map(|sum| offset(sum, 8))),
            Dtype::Q5_0 => words.extend(of_32().map(|sum| offset(sum, 16))),
            Dtype::Q8_0 => words.extend(of_32().map(|sum| offset(sum, 128))),
            Dtype::Q3_K => words.extend(of_16().map(|sum| offset(sum, 4))),
            Dtype::Q6_K => words.extend(of_16().map(|sum| offset(sum, 32))),
            Dtype::Q4_1 | Dtype::Q5_1 => words.extend(of_32().map(|sum| f32::from(sum).to_le_bytes())),
            Dtype::Q2_K => words.extend(sums.as_chunks::<2>().0.iter().map(|&[a, b]| [a[0], a[1], b[0], b[1]])),
            Dtype::Q4_K | Dtype::Q5_K => words.extend(sums.as_chunks::<4>().0.iter().map(|&[a, b, c, d]| {
                let sum = |a, b| (i16::from_le_bytes(a) + i16::from_le_bytes(b)).to_le_bytes();
                let (first, second) = (sum(a, b), sum(c, d));
                [first[0], first[1], second[0], second[1]]
            })),
            Dtype::F32 | Dtype::F16 | Dtype::BF16 => {}
        }
    }
    words.per_row = words.words.len() / x.n_rows().max(1);
    words.words.extend([[0; 4]; PADDING]);
    words.width = x.width();
}
