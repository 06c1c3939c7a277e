//! The arithmetic on stored weights: products of quantized matrices, and the vector operations around them.
//!
//! What is computed stands in `scalar`, plain and slow; the files of an instruction set say only how. All give the same
//! bits for block-quantized weights, and the bits of a row never depend on how many rows a call has, on how the outputs
//! are divided among calls, or on threads.

pub mod block;
mod columns;
mod dispatch;
mod form;
mod isa;
mod product;
mod scalar;
pub mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use columns::Columns;
pub use form::{Form, Rows, quantize};
pub use isa::Isa;
pub use product::{Scratch, Weights, product};
pub use scalar::dequantize;
