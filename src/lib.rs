//! taper runs language models on people's own machines.
//!
//! (The map of the crate stands here once the modules do.)

pub mod gguf;
pub mod kernels;
pub mod tensor;
pub mod text;

/// The number of a token in a model's vocabulary.
pub type TokenId = u32;
