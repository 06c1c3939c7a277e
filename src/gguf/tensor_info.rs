//! What a GGUF file says about a tensor.

use super::types;
use crate::tensor::Dtype;

/// A tensor's entry in the file.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// The name, unique in the file.
    pub name: String,
    /// GGML's number of the element type, which may be one that taper does not know.
    pub type_id: u32,
    /// Sizes from the outermost dimension to the innermost, contiguous one (the reverse of the file's order).
    pub shape: Vec<usize>,
    /// Size of the data in bytes; `None` if the type's block size is not known.
    pub n_bytes: Option<usize>,
    /// Which part of a split model holds the data, from 0.
    pub part: usize,
    /// Where in that part the data start, in bytes from its beginning.
    pub offset: usize,
}

impl TensorInfo {
    /// The element type; `None` if taper does not compute with it.
    pub fn dtype(&self) -> Option<Dtype> {
        Dtype::from_ggml(self.type_id)
    }

    /// The name of the element type, such as `Q4_K` or `IQ2_XS`; `type 99` for one without a known name.
    pub fn type_name(&self) -> String {
        types::name(self.type_id)
    }

    /// Number of elements.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }
}
