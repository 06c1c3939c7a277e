//! The arithmetic on stored weights: products of quantized matrices, attention, and the vector operations around them.
//!
//! What a product computes stands in `scalar`, plain and slow; the files of an instruction set say only how. Attention is
//! written once over `lanes`, norms and activations once as loops that are compiled for each set (`dispatch`). All sets
//! give the same bits, and the bits of a row never depend on how many rows a call has, on how the outputs are divided
//! among calls, or on threads.
//!
//! # How close to the machine
//!
//! One thread of an EPYC (Zen 5) with AVX-512 VNNI, each product measured in CPU time of its thread beside the ceiling in
//! the same process: for one row a plain read of the same memory, for 512 rows int8 dot products in registers. A plain
//! read has no prefetch, which is why one row can exceed it.
//!
//! | weights | one row, of the read | 512 rows, of the int8 peak |
//! |---------|---------------------:|---------------------------:|
//! | Q4_0    |                103 % |                 58 to 60 % |
//! | Q5_0    |                 87 % |                            |
//! | Q8_0    |                117 % |                       60 % |
//! | Q4_K    |                107 % |                 61 to 65 % |
//! | Q5_K    |                104 % |                 59 to 65 % |
//! | Q6_K    |                114 % |                 62 to 63 % |
//! | F16     |                123 % |                            |
//!
//! Attention of one layer with 8 key heads, measured alike: one row beside a plain read of the cache that it attends to,
//! 512 rows at position 4096 beside f32 products in registers. A cache of 8 bits is half the bytes and as many products,
//! so that these bound it where bytes bound one of 16.
//!
//! | key heads of, cache of         | one row at 8192, of the read | its time, F16 = 1 | 512 rows, of the f32 peak |
//! |--------------------------------|-----------------------------:|------------------:|--------------------------:|
//! | 64 elements for 4 heads, F16   |     AVX-512 72 %, AVX2 43 %  |                 1 |  AVX-512 68 %, AVX2 71 %  |
//! | 64 elements for 4 heads, F32   |             66 %,      62 %  |    2.3,       1.4 |          60 %,      68 %  |
//! | 64 elements for 4 heads, Q8_0  |             43 %,      26 %  |    0.9,       0.9 |          67 %,      69 %  |
//! | 128 elements for 2 heads, F16  |             77 %,      79 %  |                 1 |          71 %,      75 %  |
//! | 128 elements for 2 heads, F32  |             67 %,      59 %  |    2.3,       2.6 |          65 %,      72 %  |
//! | 128 elements for 2 heads, Q8_0 |             53 %,      49 %  |    0.8,       0.8 |          73 %,      74 %  |
//!
//! `cargo bench --bench kernels` measures the products again, in wall-clock time, so nothing else should run meanwhile.
//!
//! Slow are:
//! - products of many rows on AVX2 and AVX-VNNI, which unpack the weights again for every four rows: only AVX-512 has
//!   kernels that unpack a panel once for all rows;
//! - everything on aarch64, where products run the plain loops of `scalar` and the rest what the compiler makes of
//!   portable code.

mod attention;
mod block;
mod cells;
mod columns;
mod dispatch;
mod features;
mod form;
mod isa;
mod lanes;
mod pool;
mod product;
mod queries;
mod scalar;
mod step;
mod tiles;
pub mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub(crate) use attention::Attention;
pub use cells::BLOCK_LEN;
pub(crate) use cells::{Cells, CellsMut, n_cell_elements, n_cell_scales};
pub use columns::Columns;
pub use features::instruction_sets;
pub use form::{Form, Rows, quantize};
pub use isa::Isa;
pub(crate) use pool::Pool;
pub use product::{Scratch, Weights, product};
pub(crate) use queries::Queries;
pub use scalar::dequantize;
pub(crate) use tiles::{Cut, Tile};
