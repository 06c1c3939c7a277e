//! Measures how fast a model runs, and states all that it takes to repeat it.
//!
//! [`Plan`] is the list of tests; [`Lab`] carries one out and takes its time; [`run()`] does so for all of them, with what
//! the machine can do measured beside each sample; [`stats`] makes numbers of samples, [`Report`] prints them in five
//! formats, [`plot()`] as a picture. [`gate`] compares them with an earlier report, [`python`] with the same work in Python,
//! and [`load`] asks a server from many sides at once.
//!
//! Nothing is allocated, formatted, drawn or read from the system while a sample is taken.

pub mod gate;
pub mod kernels;
pub mod load;
pub mod numpy;
pub mod python;
pub mod stats;

mod first_token;
mod format;
mod grid;
mod hash;
mod machine;
mod measure;
mod origin;
mod plan;
mod plot;
mod report;
mod row;
mod run;
mod traffic;

pub use first_token::{SHORT_PROMPT, first_token};
pub use format::Format;
pub use grid::Grid;
pub use hash::sha256;
pub use machine::Machine;
pub use measure::{Clock, Lab, Sample, Wall};
pub use origin::Origin;
pub use plan::{Plan, Test, Work};
pub use plot::{PlotError, plot};
pub use report::{Report, Section, threads};
pub use row::{Row, Subject};
pub use run::{BenchError, Ceilings, Loaded, Measured, Watch, run};
pub use traffic::Traffic;
