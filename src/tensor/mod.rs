//! What file readers hand to the backends: named, typed, shaped bytes that stay where they are.

mod bytes;
mod dtype;

pub use bytes::Bytes;
pub use dtype::Dtype;

/// A stored tensor.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The name in the file, such as `blk.0.attn_q.weight`; errors quote it.
    pub name: String,
    /// How the elements are stored.
    pub dtype: Dtype,
    /// Sizes from the outermost dimension to the innermost, contiguous one: a matrix is `[rows, columns]`.
    pub shape: Vec<usize>,
    /// Exactly the bytes that `dtype` and `shape` ask for; no alignment is promised.
    pub data: Bytes,
}

impl Tensor {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
