//! Measuring: beside Python, and servers under load.

mod grid;
pub mod load;
pub mod python;

pub use grid::Grid;
