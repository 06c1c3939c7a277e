//! Element types of stored tensors, with the block sizes of the GGML formats.

use std::fmt;

/// How the elements of a tensor are stored. Names and numbers are those of GGML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(non_camel_case_types, reason = "these are the names the field writes")]
#[expect(missing_docs, reason = "the names are the documentation: GGML's formats")]
pub enum Dtype {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// GGML's number, the name, elements per block, and bytes per block of each type.
///
/// Source: the GGUF specification's `ggml_type` and the block structures of ggml-common.h.
const TABLE: [(Dtype, u32, &str, usize, usize); 13] = [
    (Dtype::F32, 0, "F32", 1, 4),
    (Dtype::F16, 1, "F16", 1, 2),
    (Dtype::BF16, 30, "BF16", 1, 2),
    (Dtype::Q4_0, 2, "Q4_0", 32, 18),
    (Dtype::Q4_1, 3, "Q4_1", 32, 20),
    (Dtype::Q5_0, 6, "Q5_0", 32, 22),
    (Dtype::Q5_1, 7, "Q5_1", 32, 24),
    (Dtype::Q8_0, 8, "Q8_0", 32, 34),
    (Dtype::Q2_K, 10, "Q2_K", 256, 84),
    (Dtype::Q3_K, 11, "Q3_K", 256, 110),
    (Dtype::Q4_K, 12, "Q4_K", 256, 144),
    (Dtype::Q5_K, 13, "Q5_K", 256, 176),
    (Dtype::Q6_K, 14, "Q6_K", 256, 210),
];

impl Dtype {
    /// Every type that taper computes with.
    pub fn all() -> impl Iterator<Item = Dtype> {
        TABLE.iter().map(|row| row.0)
    }

    /// The type with GGML's number `id`; `None` for one that taper does not compute with.
    pub fn from_ggml(id: u32) -> Option<Dtype> {
        TABLE.iter().find(|row| row.1 == id).map(|row| row.0)
    }

    /// GGML's number of this type.
    pub fn ggml_id(self) -> u32 {
        self.row().1
    }

    /// The name that files and people use, such as `Q4_K`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Elements in a block; 1 for plain floats.
    pub fn block_len(self) -> usize {
        self.row().3
    }

    /// Bytes in a block.
    pub fn block_bytes(self) -> usize {
        self.row().4
    }

    /// Bytes of `n` elements; `None` if they do not fill whole blocks or the size overflows.
    pub fn bytes_for(self, n: usize) -> Option<usize> {
        if !n.is_multiple_of(self.block_len()) {
            return None;
        }
        (n / self.block_len()).checked_mul(self.block_bytes())
    }

    fn row(self) -> &'static (Dtype, u32, &'static str, usize, usize) {
        &TABLE[self as usize]
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_stands_at_its_own_number() {
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, i);
            assert_eq!(Dtype::from_ggml(row.1), Some(row.0));
        }
    }

    #[test]
    fn sizes_count_whole_blocks() {
        assert_eq!(Dtype::Q4_K.bytes_for(512), Some(288));
        assert_eq!(Dtype::Q4_K.bytes_for(300), None);
        assert_eq!(Dtype::F32.bytes_for(usize::MAX), None);
    }
}
