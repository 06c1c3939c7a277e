//! Kernels beside what the machine can do, and beside numpy.

use super::{
    super::{exit::Exit, interrupt, output::Output},
    Args,
};
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
pub(super) fn sections(args: &Args, output: &Output, report: &mut Report) -> anyhow::Result<Exit> {
    let isa = Isa::detect();
    let n_threads = &args.thread_counts();
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
        add(&mut section, isa.name(), case, &microscope.measure(case)?);
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
        report.sections.push(squares(isa, SQUARE, n_threads, &args.python)?);
        progress.finish_and_clear();
    }
    Ok(if interrupt::asked() { Exit::Interrupted } else { Exit::Done })
}

fn add(section: &mut Section, isa: &str, case: Case, speed: &Speed) {
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
        "kernel": dtype.name(), "isa": isa, "n_rows": n_rows, "n_threads": n_threads,
        "bytes_per_sec": speed.bytes_per_sec, "operations_per_sec": speed.operations_per_sec,
        "bound": bound, "ceiling_per_sec": speed.ceiling_per_sec, "fraction": speed.fraction(),
    }));
}

/// The product of square matrices of `size` rows in numpy and here.
fn squares(isa: Isa, size: usize, n_threads: usize, python: &Path) -> anyhow::Result<Section> {
    let mut section = Section {
        title: format!("{size} × {size} matrices multiplied on {}", threads(n_threads)),
        table: Grid::new(&["engine", "weights", "GOP/s", "of numpy"]),
        ..Section::default()
    };
    let numpy = numpy::square(python, size, n_threads, &interrupt::asked);
    let mut add = |engine: &str, weights: &str, operations_per_sec: f64, ratio: Option<f64>| {
        let ratio_text = ratio.map(|ratio| format!("{ratio:.2}×")).unwrap_or_default();
        let speed = format!("{:.0}", operations_per_sec / 1e9);
        section.table.push(vec![engine.into(), weights.into(), speed, ratio_text]);
        section.records.push(json!({
            "matrix_product": size, "isa": isa.name(), "engine": engine, "weights": weights, "n_threads": n_threads,
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
        let ours = square(isa, dtype, size, n_threads)?;
        add("taper", dtype.name(), ours, theirs.map(|theirs| ours / theirs));
    }
    section.notes.extend(numpy.err().map(|reason| format!("numpy was not measured: {reason}")));
    Ok(section)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn the_python_that_is_named_has_the_numpy() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let python = folder.path().join("my-python");
        fs::write(&python, "#!/bin/sh\necho '{\"seconds\": 0.5, \"version\": \"9.9\"}'\n").expect("written");
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("executable");
        let section = squares(Isa::detect(), 256, 1, &python).expect("measured");
        assert!(section.table.to_text().contains("numpy 9.9"), "{}", section.table.to_text());
        assert_eq!(section.records[0]["operations_per_sec"], 2.0 * 256f64.powi(3) / 0.5);
        assert!(section.records[1]["ratio_to_numpy"].as_f64() > Some(0.0));
        let without = squares(Isa::detect(), 256, 1, Path::new("/none/python3")).expect("measured");
        assert!(without.notes[0].contains("/none/python3") && without.records[0]["ratio_to_numpy"].is_null());
    }
}
