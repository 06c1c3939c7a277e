//! The names and block sizes of GGML types, also of those that taper does not compute with.

use crate::tensor::Dtype;

/// GGML's number, name, elements per block and bytes per block of the types beyond [`Dtype`].
///
/// Source: `ggml_type` in ggml.h and the block structures of ggml-common.h.
const OTHERS: [(u32, &str, usize, usize); 21] = [
    (9, "Q8_1", 32, 36),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
];

/// The name of the type with GGML's number `id`; `type 99` for one that has none here.
pub(super) fn name(id: u32) -> String {
    match (Dtype::from_ggml(id), other(id)) {
        (Some(dtype), _) => dtype.name().into(),
        (None, Some(row)) => row.1.into(),
        (None, None) => format!("type {id}"),
    }
}

/// Elements and bytes of a block of type `id`; `None` if it is unknown.
pub(super) fn block(id: u32) -> Option<(usize, usize)> {
    let dtype = Dtype::from_ggml(id).map(|dtype| (dtype.block_len(), dtype.block_bytes()));
    dtype.or_else(|| other(id).map(|row| (row.2, row.3)))
}

fn other(id: u32) -> Option<&'static (u32, &'static str, usize, usize)> {
    OTHERS.iter().find(|row| row.0 == id)
}
