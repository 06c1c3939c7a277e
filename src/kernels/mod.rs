//! The arithmetic on stored weights: products of quantized matrices, and the vector operations around them.
//!
//! What is computed stands in `scalar`, plain and slow; the files of an instruction set say only how. All give the same
//! bits for block-quantized weights, and the bits of a row never depend on how many rows a call has, on how the outputs
//! are divided among calls, or on threads.

mod attention;
pub mod block;
mod cells;
mod columns;
mod form;
mod isa;
mod lanes;
mod pool;
mod product;
mod scalar;
mod tiles;
pub mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use attention::{Attention, Queries};
pub use cells::{BLOCK_LEN, Cells, CellsMut, n_cell_elements};
pub use columns::Columns;
pub use form::{Form, Rows, quantize};
pub use isa::Isa;
pub use pool::Pool;
pub use product::{Scratch, Weights, product};
pub use scalar::dequantize;
pub use tiles::{Cut, Tile};
