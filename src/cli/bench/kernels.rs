//! Kernels beside what the machine can do, and beside numpy.

use super::super::{exit::Exit, interrupt, output::Output};
use crate::{
    bench::{
        Grid, Report, Section,
        kernels::{Bound, Case, Microscope, Speed, WEIGHT_BYTES, square},
        numpy, threads,
    },
    kernels::Isa,
    tensor::Dtype,
};
use serde_json::json;
use std::path::Path;

/// Rows that kernels are measured with: a token, and a prompt.
const N_ROWS: [usize; 2] = [1, 512];

/// The size of the matrices that numpy multiplies as well.
const SQUARE: usize = 4096;

/// Types of weights that are held against numpy's floats.
const SQUARE_TYPES: [Dtype; 3] = [Dtype::F32, Dtype::Q8_0, Dtype::Q4_K];

/// Measures and puts two sections into `report`, as far as they get.
pub(super) fn sections(n_threads: &[usize], output: &Output, report: &mut Report) -> anyhow::Result<Exit> {
    let isa = Isa::detect();
    let all = Dtype::all().flat_map(|dtype| N_ROWS.map(|n_rows| (dtype, n_rows)));
    let cases: Vec<Case> = all
        .flat_map(|(dtype, n_rows)| n_threads.iter().map(move |&n_threads| Case { dtype, n_rows, n_threads }))
        .collect();
    let progress = output.progress("kernels", cases.len());
    let mut microscope = Microscope::new(isa, WEIGHT_BYTES);
    let mut section = Section {
        title: format!("Kernels of {}, medians of 5", isa.name()),
        table: Grid::new(&["weights", "rows", "threads", "GB/s", "GOP/s", "of ceiling", "ceiling"]),
        ..Section::default()
    };
    for case in cases {
        if interrupt::asked() {
            break;
        }
        add(&mut section, case, &microscope.measure(case)?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    drop(microscope);
    report.sections.push(section);
    for &n_threads in n_threads {
        if interrupt::asked() {
            return Ok(Exit::Interrupted);
        }
        let progress = output.progress("matrix products", 0);
        report.sections.push(squares(isa, n_threads)?);
        progress.finish_and_clear();
    }
    Ok(if interrupt::asked() { Exit::Interrupted } else { Exit::Done })
}

fn add(section: &mut Section, case: Case, speed: &Speed) {
    let Case { dtype, n_rows, n_threads } = case;
    let (bound, ceiling) = match speed.bound {
        Bound::Memory => ("memory", format!("{:.1} GB/s read", speed.ceiling_per_sec / 1e9)),
        Bound::Int8 => ("int8", format!("{:.0} GOP/s int8", speed.ceiling_per_sec / 1e9)),
    };
    section.table.push(vec![
        dtype.to_string(),
        n_rows.to_string(),
        n_threads.to_string(),
        format!("{:.1}", speed.bytes_per_sec / 1e9),
        format!("{:.0}", speed.operations_per_sec / 1e9),
        format!("{:.1} %", 100.0 * speed.fraction()),
        ceiling,
    ]);
    section.records.push(json!({
        "kernel": dtype.name(), "n_rows": n_rows, "n_threads": n_threads,
        "bytes_per_sec": speed.bytes_per_sec, "operations_per_sec": speed.operations_per_sec,
        "bound": bound, "ceiling_per_sec": speed.ceiling_per_sec, "fraction": speed.fraction(),
    }));
}

/// A square matrix product in numpy and here.
fn squares(isa: Isa, n_threads: usize) -> anyhow::Result<Section> {
    let mut section = Section {
        title: format!("{SQUARE} × {SQUARE} matrices multiplied on {}", threads(n_threads)),
        table: Grid::new(&["engine", "weights", "GOP/s", "of numpy"]),
        ..Section::default()
    };
    let numpy = numpy::square(Path::new("python3"), SQUARE, n_threads, &interrupt::asked);
    let mut add = |engine: &str, weights: &str, operations_per_sec: f64, ratio: Option<f64>| {
        let ratio_text = ratio.map(|ratio| format!("{ratio:.2}×")).unwrap_or_default();
        let speed = format!("{:.0}", operations_per_sec / 1e9);
        section.table.push(vec![engine.into(), weights.into(), speed, ratio_text]);
        section.records.push(json!({
            "matrix_product": SQUARE, "engine": engine, "weights": weights, "n_threads": n_threads,
            "operations_per_sec": operations_per_sec, "ratio_to_numpy": ratio,
        }));
    };
    let theirs = match &numpy {
        Ok(numpy) => {
            add(&format!("numpy {}", numpy.version), "F32", numpy.operations_per_sec, None);
            Some(numpy.operations_per_sec)
        }
        Err(_) => None,
    };
    for dtype in SQUARE_TYPES {
        let ours = square(isa, dtype, SQUARE, n_threads)?;
        add("taper", dtype.name(), ours, theirs.map(|theirs| ours / theirs));
    }
    section.notes.extend(numpy.err().map(|reason| format!("numpy was not measured: {reason}")));
    Ok(section)
}
