//! The arithmetic on stored weights.

pub mod block;
mod scalar;

pub use scalar::dequantize;
