//! How activations are stored for a product.

use super::dispatch::compiled_for;
use super::isa::Isa;
use super::scalar;
use crate::tensor::Dtype;

/// How activations must be stored for weights of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As they are, for floating-point weights.
    F32,
    /// Signed bytes with an f32 scale for every 32, for weights in blocks of 32.
    Q8Block32,
    /// Signed bytes with an f32 scale for every 256, for weights in superblocks of 256.
    Q8Block256,
}

impl Form {
    /// The largest magnitude in a block below which all of it becomes zero, so that its inverse stays finite.
    pub(super) const SMALLEST: f32 = f32::from_bits((127 - 100) << 23);

    /// The form that weights of type `dtype` are multiplied with.
    pub fn of(dtype: Dtype) -> Form {
        match dtype.block_len() {
            1 => Form::F32,
            32 => Form::Q8Block32,
            _ => Form::Q8Block256,
        }
    }

    /// Activations that share a scale; 1 without scales.
    pub fn block_len(self) -> usize {
        match self {
            Form::F32 => 1,
            Form::Q8Block32 => 32,
            Form::Q8Block256 => 256,
        }
    }

    /// Bytes of a row of `width` activations, a multiple of 64.
    ///
    /// # Panics
    /// If `width` is no multiple of the block length.
    pub fn row_bytes(self, width: usize) -> usize {
        self.layout(width).end.next_multiple_of(64)
    }

    /// Where the parts of a row of `width` activations lie.
    pub(super) fn layout(self, width: usize) -> Layout {
        assert!(width.is_multiple_of(self.block_len()), "rows of {width} in blocks of {}", self.block_len());
        match self {
            Form::F32 => Layout { scales: width * 4, sums: width * 4, end: width * 4 },
            Form::Q8Block32 | Form::Q8Block256 => {
                let sums = width + width / self.block_len() * 4;
                Layout { scales: width, sums, end: sums + width / 16 * 2 }
            }
        }
    }
}

/// Offsets in bytes in a row: the quantized activations come first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The scales, an f32 for each block.
    pub(super) scales: usize,
    /// The sums of 16 quantized activations each, as i16.
    pub(super) sums: usize,
    /// The end of what is used.
    pub(super) end: usize,
}

/// Rows of activations in their form.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    form: Form,
    width: usize,
    n_rows: usize,
    row_bytes: usize,
    data: &'a [u8], // (n_rows, row_bytes)
}

impl<'a> Rows<'a> {
    /// The rows that [`quantize`] wrote to `data`, one after another.
    ///
    /// # Panics
    /// If `data` is not made of whole rows.
    pub fn new(form: Form, width: usize, data: &'a [u8]) -> Rows<'a> {
        let row_bytes = form.row_bytes(width);
        let n_rows = data.len().checked_div(row_bytes).unwrap_or(0);
        assert_eq!(n_rows * row_bytes, data.len(), "rows of {row_bytes} bytes do not fill {} bytes", data.len());
        Rows { form, width, n_rows, row_bytes, data }
    }

    /// The form they are in.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Activations in a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The bytes of all rows, and how many a row has.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn bytes(&self) -> (&'a [u8], usize) {
        (self.data, self.row_bytes)
    }

    /// The bytes of row `row`.
    pub(super) fn row(&self, row: usize) -> &'a [u8] {
        &self.data[row * self.row_bytes..][..self.row_bytes]
    }
}

/// Stores one row of activations `x` in `form`.
///
/// Quantized: symmetric to ±127 by the largest magnitude of a block, to the nearest, ties to even. A block with an
/// infinity or NaN gets the scale NaN, so that the fault shows; one that is zero to within 2^-100, the scale 0.
///
/// # Panics
/// If `x` is not made of whole blocks or `out` has not exactly [`Form::row_bytes`].
pub fn quantize(isa: Isa, form: Form, x: &[f32], out: &mut [u8]) {
    assert_eq!(out.len(), form.row_bytes(x.len()), "bytes of a row of {} activations", x.len());
    compiled_for!(isa, scalar::quantize, (form: Form, x: &[f32], out: &mut [u8]) -> ())
}
