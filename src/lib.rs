//! taper runs language models on people's own machines.
//!
//! (The map of the crate stands here once the modules do.)

pub mod backend;
pub mod gguf;
pub mod hub;
pub mod kernels;
pub mod model;
pub mod sampling;
pub mod tensor;
pub mod text;

/// The number of a token in a model's vocabulary.
pub type TokenId = u32;
