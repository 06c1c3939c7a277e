//! Comparing with an earlier report, so that a build can fail.

use crate::bench::{
    Format, Grid, Plan, Report, Section, Subject,
    gate::{Baseline, Gate, Regression, Verdict},
    threads,
};
use anyhow::Context;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    time::Duration,
};

/// What to compare with.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GateArgs {
    /// Keep the results as a baseline; more samples (`-r 10`) make it a better one
    #[arg(long, value_name = "FILE", help_heading = "Gate")]
    save: Option<PathBuf>,
    /// Compare with a baseline; exit 10 if a test is slower than allowed, beyond what chance explains. What the samples
    /// cannot tell passes, with a note
    #[arg(long, value_name = "FILE", help_heading = "Gate")]
    baseline: Option<PathBuf>,
    /// Throughput that a test may lose
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent, help_heading = "Gate")]
    max_regress: f64,
    /// Seconds to take more samples while they cannot tell
    #[arg(long, value_name = "SECONDS", default_value = "120", help_heading = "Gate")]
    budget: u32,
}

impl GateArgs {
    /// The gate for the tests of `plan`; `None` without a baseline.
    pub(super) fn open(&self, plan: &Plan, subject: &Subject) -> anyhow::Result<Option<Gate>> {
        let Some(path) = &self.baseline else { return Ok(None) };
        let baseline = Baseline::read(path)?;
        let tests = plan.tests();
        baseline.check(&tests, &subject.model_type, subject.model_size)?;
        let budget = Duration::from_secs(self.budget.into());
        Ok(Some(Gate::new(baseline, self.max_regress, budget, tests.len())))
    }

    /// Adds what the gate says to `report`.
    ///
    /// # Errors
    /// [`Regression`] if a test is slower than allowed.
    pub(super) fn close(&self, gate: Option<Gate>, report: &mut Report) -> Result<(), Regression> {
        let Some(gate) = gate else { return Ok(()) };
        let mut table = Grid::new(&["test", "threads", "baseline", "now", "change", "99 % interval", "verdict"]);
        let mut notes: Vec<String> =
            report.rows.first().and_then(|row| gate.baseline().doubts(row)).into_iter().collect();
        for row in &report.rows {
            let name = format!("{} with {}", row.test, threads(row.n_threads));
            let Some(comparison) = &row.baseline else {
                notes.push(format!("{name} is not in the baseline"));
                continue;
            };
            table.push(comparison.cells(row));
            notes.extend(comparison.note(&name, self.max_regress));
        }
        let path = self.baseline.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let title = format!("Compared with {path}; up to {:.1} % slower is allowed", 100.0 * self.max_regress);
        report.sections.push(Section { title, table, notes, ..Section::default() });
        let slower = report.rows.iter().filter_map(|row| Some((row, row.baseline.as_ref()?)));
        let slower = slower.filter(|(_, comparison)| comparison.verdict == Verdict::Slower);
        let lines: Vec<String> = slower
            .map(|(row, comparison)| format!("{} with {} {}", row.test, threads(row.n_threads), comparison.loss()))
            .collect();
        match lines.is_empty() {
            true => Ok(()),
            false => Err(Regression { lines, max_regress: self.max_regress }),
        }
    }

    /// Writes the files that are to be written.
    pub(super) fn write(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.save {
            let text = Format::Json.render(report).map_err(anyhow::Error::from_boxed)?;
            fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        let summary = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty());
        if let (Some(path), Some(_)) = (summary, &self.baseline) {
            let text = Format::Md.render(report).map_err(anyhow::Error::from_boxed)?;
            let file = OpenOptions::new().append(true).create(true).open(&path);
            file.and_then(|mut file| file.write_all(format!("## taper bench\n\n{text}\n").as_bytes()))
                .with_context(|| format!("cannot write the summary `{}`", path.display()))?;
        }
        Ok(())
    }
}

/// A share, given as `5%` or `5`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse().ok();
    let percent = number.filter(|percent: &f64| (0.0..100.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or_else(|| "expected a percentage such as 5%".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages() {
        assert_eq!(percent("5%"), Ok(0.05));
        assert_eq!(percent("2.5 %"), Ok(0.025));
        assert_eq!(percent("0"), Ok(0.0));
        assert!(["", "%", "-1%", "100%", "NaN", "inf"].iter().all(|text| percent(text).is_err()));
    }
}
