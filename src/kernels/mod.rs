//! The arithmetic on stored weights: products of quantized matrices, attention, and the vector operations around them.
//!
//! What a product computes stands in `scalar`, plain and slow; the files of an instruction set say only how: `x86_64` has
//! them for AVX2, AVX-VNNI and AVX-512, `aarch64` one text for NEON, dot products and products of matrices. Attention is
//! written once over `lanes`, norms and activations once as loops that are compiled for each set (`dispatch`). All sets
//! give the same bits, and the bits of a row never depend on how many rows a call has, on how the outputs are divided
//! among calls, or on threads.
//!
//! # How close to the machine
//!
//! One thread of an EPYC (Zen 5) with AVX-512 VNNI, each product beside the ceiling in the same process: for one row a plain
//! read of the same memory, for 512 rows int8 dot products in registers; 8 and 32 rows as the time that they take over that
//! of one. A plain read has no prefetch, which is why one row can exceed it.
//!
//! | weights | one row, of the read | 8 rows, of one | 32 rows, of one | 512 rows, of the int8 peak |
//! |---------|---------------------:|---------------:|----------------:|---------------------------:|
//! | Q4_0    |                 95 % |            2.4 |             6.1 |                       66 % |
//! | Q5_0    |                 79 % |            1.8 |             4.4 |                       66 % |
//! | Q8_0    |                107 % |            1.6 |             3.9 |                       64 % |
//! | Q4_K    |                 96 % |            1.9 |             5.6 |                 68 to 69 % |
//! | Q5_K    |                 88 % |            1.6 |             4.4 |                 67 to 68 % |
//! | Q6_K    |                108 % |            1.8 |             4.8 |                 64 to 65 % |
//! | F16     |                109 % |            2.0 |             6.7 |                            |
//!
//! Two threads together reach 93 to 103 % of what two read, and 62 to 69 % of the int8 peak. At this peak, 32 rows of Q4_K
//! would take 3.5 times as long as one row takes to be read. What the multipliers also do, scaling the sums of groups and
//! adding minima, is a fifth of their work with many rows of Q4_K and Q6_K.
//!
//! On the same machine with the sets of 256 bits, 512 rows against the dot products that these have, three instructions
//! for each with AVX2. Where 16 bits hold the sums of several products, AVX2 needs fewer and exceeds them:
//!
//! | weights | AVX-VNNI | AVX2  |
//! |---------|---------:|------:|
//! | Q4_0    |     65 % | 115 % |
//! | Q5_0    |     65 % | 110 % |
//! | Q8_0    |     66 % |  72 % |
//! | Q4_K    |     68 % | 128 % |
//! | Q5_K    |     67 % | 121 % |
//! | Q6_K    |     58 % |  93 % |
//!
//! One thread of an EPYC of Zen 3, which has AVX2 only, from its second cache: nanoseconds for 256 weights of an output and
//! each row.
//!
//! | weights | one row | 3 rows | 8 rows | 16 rows | 64 rows |
//! |---------|--------:|-------:|-------:|--------:|--------:|
//! | Q4_0    |    10.3 |    5.9 |    3.9 |     3.3 |     2.9 |
//! | Q5_0    |    15.1 |    7.1 |    4.3 |     3.5 |     3.0 |
//! | Q8_0    |    12.1 |    9.6 |    5.6 |     4.8 |     4.2 |
//! | Q4_K    |     6.8 |    5.5 |    3.2 |     2.7 |     2.4 |
//! | Q6_K    |    10.6 |    8.5 |    4.7 |     3.8 |     3.1 |
//!
//! Plain floats reach about 70 % of the fused multiply-adds of AVX2, and 55 to 65 % of those of AVX-512.
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
//! Kernels for aarch64 have not been measured on a machine. What the compiler makes of them, in instructions per 256
//! weights of an output: with one row all, with many rows those of a row in a tile of four, of which the dot products
//! are 16 with `dotprod` and 8 with `i8mm`; each panel is unpacked by 110 to 140 more, whatever the number of rows.
//!
//! | weights | one row | many, `dotprod` | many, `i8mm` |
//! |---------|--------:|----------------:|-------------:|
//! | Q4_0    |     122 |              32 |           26 |
//! | Q8_0    |     100 |              32 |           26 |
//! | Q4_K    |     101 |              31 |           22 |
//! | Q6_K    |     161 |              32 |           24 |
//!
//! Slow are:
//! - products of one row on AVX2, which compute longer than memory takes: one thread of an EPYC of Zen 3 reaches 68 % of
//!   the read with Q8_0, 61 % with Q4_K, 58 % with Q6_K and about half with Q4_0;
//! - products of plain floats with many rows on aarch64, which convert the weights again for every two rows;
//! - products of two rows on aarch64, whose loops for superblocks keep some of their vectors in memory;
//! - everything on other processors, where products run the plain loops of `scalar` and the rest what the compiler makes
//!   of portable code.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod attention;
mod block;
mod ceilings;
mod cells;
mod columns;
mod dispatch;
mod features;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod floats;
mod form;
mod isa;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod kind;
mod lanes;
mod pool;
mod product;
mod queries;
mod scalar;
mod step;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod streams;
mod tiles;
pub mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub(crate) use attention::Attention;
pub use ceilings::Probe;
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
