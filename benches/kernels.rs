//! How fast the kernels are, beside what the machine can do at that moment; `taper bench --kernels` measures some of this.
//!
//! `cargo bench --bench kernels [-- FILTER...]`, a filter being a part of a line's name such as `Q4_K` or `512 rows`.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use taper::{
    bench::kernels::{Bound, Case, Microscope, WEIGHT_BYTES},
    kernels::Isa,
    tensor::Dtype,
};

fn main() -> std::io::Result<()> {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    // `Q4_K` is not meant to be a part of the name of another type.
    let types: Vec<Dtype> = Dtype::all().filter(|dtype| filters.iter().any(|filter| filter == dtype.name())).collect();
    let isa = Isa::detect();
    println!("{}, medians of 5, ceilings beside", isa.name());
    let mut microscope = Microscope::new(isa, WEIGHT_BYTES);
    for dtype in Dtype::all().filter(|dtype| types.is_empty() || types.contains(dtype)) {
        let mut one_row_per_sec = [f64::NAN; 2];
        for n_rows in [1, 2, 4, 8, 16, 32, 64, 512] {
            for (n_threads, one_row_per_sec) in [1, 2].into_iter().zip(&mut one_row_per_sec) {
                let name = format!("{dtype:<5}{n_rows:>4} rows {n_threads} threads");
                if !filters.iter().all(|filter| name.contains(filter.as_str())) {
                    continue;
                }
                let speed = microscope.measure(Case { dtype, n_rows, n_threads })?;
                let bound = match speed.bound {
                    Bound::Memory => "read",
                    Bound::Int8 => "int8",
                };
                if n_rows == 1 {
                    *one_row_per_sec = speed.bytes_per_sec;
                }
                println!(
                    "{name}: {:6.2} GB/s, {:6.3} TOP/s, {:5.1} % of {:.3e} {bound}, {:5.2} x one row",
                    speed.bytes_per_sec / 1e9,
                    speed.operations_per_sec / 1e12,
                    100.0 * speed.fraction(),
                    speed.ceiling_per_sec,
                    *one_row_per_sec / speed.bytes_per_sec
                );
            }
        }
    }
    Ok(())
}
