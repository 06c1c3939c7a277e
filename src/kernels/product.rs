//! The product of stored weights with rows of activations.

#[cfg(target_arch = "aarch64")]
use super::aarch64 as arch;
use super::columns::Columns;
use super::form::{Form, Rows};
use super::isa::Isa;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::x86_64 as arch;
use crate::tensor::Dtype;

/// A stored matrix `(n_out, n_in)`, each output's weights one after another.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    dtype: Dtype,
    n_in: usize,
    n_out: usize,
    row_bytes: usize,
    data: &'a [u8],
}

impl<'a> Weights<'a> {
    /// The matrix of type `dtype` in `data`, which needs no alignment; `None` if `n_in` is zero or not made of whole
    /// blocks, or if `data` has not exactly the bytes of `n_out` rows.
    pub fn new(dtype: Dtype, (n_out, n_in): (usize, usize), data: &'a [u8]) -> Option<Weights<'a>> {
        let row_bytes = dtype.bytes_for(n_in).filter(|&bytes| bytes > 0)?;
        (row_bytes.checked_mul(n_out)? == data.len()).then_some(Weights { dtype, n_in, n_out, row_bytes, data })
    }

    /// How the weights are stored.
    pub(super) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The stored weights of the outputs `outputs`, which lie one after another.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn rows(&self, outputs: std::ops::Range<usize>) -> &'a [u8] {
        &self.data[outputs.start * self.row_bytes..outputs.end * self.row_bytes]
    }

    /// The stored weights of output `output`.
    pub(super) fn row(&self, output: usize) -> &'a [u8] {
        &self.data[output * self.row_bytes..][..self.row_bytes]
    }
}

/// Memory that products work in; one for each thread, kept so that later products allocate nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    inner: arch::Scratch,
}

/// Writes the products of `weights` with every row of `x` to `out`, whose columns say which outputs are computed.
///
/// The bits of a result depend on the weights of its output and on its row of activations alone.
///
/// # Panics
/// If `x` is not in [`Form::of`] the weights' type, or a size does not fit another.
pub fn product(isa: Isa, weights: &Weights, x: &Rows, out: Columns, scratch: &mut Scratch) {
    assert_eq!(x.form(), Form::of(weights.dtype), "form of the activations for {}", weights.dtype);
    assert_eq!(x.width(), weights.n_in, "activations in a row");
    assert_eq!(x.n_rows(), out.n_rows(), "rows of activations and of results");
    assert!(out.range().end <= weights.n_out, "outputs {:?} of {}", out.range(), weights.n_out);
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    arch::product(isa, weights, x, out, &mut scratch.inner);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = (isa, scratch);
        scalar::product(weights, x, out);
    }
}
