//! Plain arithmetic: the fallback of every processor and the oracle of the fast kernels. Never optimised.

mod dequantize;
mod product;
mod quantize;

pub use dequantize::dequantize;
pub(super) use product::product;
pub(super) use quantize::quantize;
