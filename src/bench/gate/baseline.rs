//! An earlier report to compare with.

use super::Series;
use crate::bench::{Row, Test, Work};
use serde::Deserialize;
use std::path::Path;

/// An earlier report.
#[derive(Clone, Debug)]
pub struct Baseline {
    tests: Vec<BaseTest>,
}

/// What the gate reads of a test in an earlier report.
#[derive(Clone, Debug, Deserialize)]
struct BaseTest {
    cpu_info: String,
    isa: Option<String>,
    model_type: String,
    model_size: usize,
    n_prompt: usize,
    n_gen: usize,
    n_depth: usize,
    n_batch: usize,
    n_threads: usize,
    samples_ts: Vec<f64>,
    #[serde(default)]
    read_bytes_per_sec: Vec<f64>,
    #[serde(default)]
    int8_operations_per_sec: Vec<f64>,
}

/// Why there is nothing to compare with.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The file cannot be read.
    #[error("cannot read the baseline `{path}`")]
    Io {
        /// The file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is not a report.
    #[error("`{path}` is not a baseline: {reason}\nhint: `taper bench --save {path}` writes one")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// None of the tests is in the baseline.
    #[error("the baseline has none of these tests\nhint: measure with the flags that it was made with")]
    NothingInCommon,
    /// The baseline is of another model.
    #[error("the baseline is of a model of `{found}`, this one is of `{expected}`")]
    OtherModel {
        /// Type and size in the baseline.
        found: String,
        /// Type and size now.
        expected: String,
    },
}

impl Baseline {
    /// Reads what `--save` or `-o json` has written.
    ///
    /// # Errors
    /// [`GateError`] if the file cannot be read or is something else.
    pub fn read(path: &Path) -> Result<Baseline, GateError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| GateError::Io { path: name.clone(), source })?;
        Baseline::parse(&text).map_err(|reason| GateError::Malformed { path: name, reason })
    }

    fn parse(text: &str) -> Result<Baseline, String> {
        let records: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        // Records of other kinds than tests may stand beside them.
        let is_test = |record: &serde_json::Value| record.get("samples_ts").is_some();
        let tests = records.into_iter().filter(is_test).map(serde_json::from_value::<BaseTest>);
        let tests = tests.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let is_number = |test: &BaseTest| {
            !test.samples_ts.is_empty() && test.samples_ts.iter().all(|speed| speed.is_finite() && *speed > 0.0)
        };
        match tests.iter().all(is_number) && !tests.is_empty() {
            true => Ok(Baseline { tests }),
            false => Err("expected an array of tests with samples above 0".into()),
        }
    }

    /// The samples of `test`; `None` if the baseline does not have it.
    pub fn series(&self, test: &Test) -> Option<Series> {
        let found = self.tests.iter().find(|base| base.test() == *test)?;
        let ceilings = match test.work {
            Work::Prompt(_) => &found.int8_operations_per_sec,
            Work::Generation(_) => &found.read_bytes_per_sec,
        };
        Some(Series { speeds: found.samples_ts.clone(), ceilings: ceilings.clone() })
    }

    /// Whether the baseline can be compared with these tests of a model, before anything is measured.
    ///
    /// # Errors
    /// [`GateError::NothingInCommon`] or [`GateError::OtherModel`].
    pub fn check(&self, tests: &[Test], model_type: &str, model_size: usize) -> Result<(), GateError> {
        let Some(base) = tests.iter().find_map(|test| self.tests.iter().find(|base| base.test() == *test)) else {
            return Err(GateError::NothingInCommon);
        };
        if (base.model_type.as_str(), base.model_size) != (model_type, model_size) {
            let named = |name: &str, size: usize| format!("{name}, {size} bytes");
            let (found, expected) = (named(&base.model_type, base.model_size), named(model_type, model_size));
            return Err(GateError::OtherModel { found, expected });
        }
        Ok(())
    }

    /// What makes the comparison with `row` doubtful.
    pub fn doubts(&self, row: &Row) -> Option<String> {
        let base = self.tests.first()?;
        if base.cpu_info != row.origin.machine.cpu_info {
            return Some(format!("the baseline was measured on another machine, `{}`", base.cpu_info));
        }
        (base.isa.as_deref() != row.isa).then(|| {
            let (then, now) = (base.isa.as_deref().unwrap_or("none"), row.isa.unwrap_or("none"));
            format!("the baseline was measured with another instruction set, {then} instead of {now}")
        })
    }
}

impl BaseTest {
    fn test(&self) -> Test {
        let work = if self.n_prompt > 0 { Work::Prompt(self.n_prompt) } else { Work::Generation(self.n_gen) };
        Test { work, n_depth: self.n_depth, n_batch: self.n_batch, n_threads: self.n_threads }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_that_makes_no_sense_is_refused() {
        for text in ["", "{}", "[]", "[{\"samples_ts\": []}]", "[{\"test\": 1}]"] {
            assert!(Baseline::parse(text).is_err(), "{text}");
        }
        let record = |samples: &str| {
            format!(
                "[{{\"section\": 1}}, {{\"cpu_info\": \"x\", \"isa\": null, \"model_type\": \"llama\", \"model_size\": 7, \
                 \"n_prompt\": 0, \"n_gen\": 8, \"n_depth\": 0, \"n_batch\": 1, \"n_threads\": 2, \
                 \"samples_ts\": {samples}}}]"
            )
        };
        assert!(Baseline::parse(&record("[1.0, 0.0]")).is_err());
        assert!(Baseline::parse(&record("[1.0, -3]")).is_err());
        let baseline = Baseline::parse(&record("[1.0, 2.0]")).expect("well formed");
        let test = Test { work: Work::Generation(8), n_depth: 0, n_batch: 1, n_threads: 2 };
        assert_eq!(baseline.series(&test), Some(Series { speeds: vec![1.0, 2.0], ceilings: Vec::new() }));
        let other = Test { n_depth: 1, ..test };
        assert!(baseline.series(&other).is_none());
        assert!(baseline.check(&[test], "llama", 7).is_ok());
        assert!(matches!(baseline.check(&[test], "llama", 8), Err(GateError::OtherModel { .. })));
        assert!(matches!(baseline.check(&[other], "llama", 7), Err(GateError::NothingInCommon)));
    }
}
