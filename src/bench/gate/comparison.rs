//! One test beside its baseline.

use crate::bench::{
    Measured, Row, Work,
    report::rate,
    row::speeds,
    stats::{self, Interval},
};
use serde::Serialize;

/// Confidence of the intervals: a suite has many tests, and each is looked at again and again.
const CONFIDENCE: f64 = 0.99;

/// Samples of a test before anything is decided.
const MIN_SAMPLES: usize = 5;

/// Samples below which a baseline says nothing on how far samples scatter.
const MIN_BASE_SAMPLES: usize = 3;

/// Throughputs of one test with what the machine could do beside each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Tokens per second.
    pub speeds: Vec<f64>,
    /// The ceiling beside each; empty if it was not measured.
    pub ceilings: Vec<f64>,
}

/// What a comparison says of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not slower than is allowed.
    Pass,
    /// Slower than is allowed.
    Slower,
    /// The samples cannot tell.
    Undecided,
}

/// One test beside its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Median throughput of the baseline.
    pub base_ts: f64,
    /// Median throughput over that of the baseline.
    pub ratio: f64,
    /// Its 99 % interval; `None` if there are too few samples.
    pub interval: Option<Interval>,
    /// The ratio of the throughputs over the ceilings beside them, with its interval; `None` if they were not measured.
    pub to_ceiling: Option<(f64, Interval)>,
    /// What follows.
    pub verdict: Verdict,
}

impl Series {
    /// What was measured.
    pub fn of(measured: &Measured) -> Series {
        let ceilings = measured.ceilings.iter().map(|ceilings| match measured.test.work {
            Work::Prompt(_) => ceilings.int8_operations_per_sec,
            Work::Generation(_) => ceilings.read_bytes_per_sec,
        });
        Series { speeds: speeds(measured), ceilings: ceilings.collect() }
    }

    /// Each throughput over its ceiling; `None` if those were not measured.
    fn to_ceiling(&self) -> Option<Vec<f64>> {
        let all = self.ceilings.len() == self.speeds.len() && self.ceilings.iter().all(|&ceiling| ceiling > 0.0);
        all.then(|| self.speeds.iter().zip(&self.ceilings).map(|(speed, ceiling)| speed / ceiling).collect())
    }
}

/// Compares `new` with `base`; `max_regress` is the share of the throughput that may be lost. Samples unlike the others of
/// their series are left out: what disturbs one in many is not what a change to the program does.
pub fn compare(base: &Series, new: &Series, max_regress: f64) -> Comparison {
    let of = |base: &[f64], new: &[f64]| {
        let enough = base.len() >= MIN_BASE_SAMPLES && new.len() >= MIN_SAMPLES;
        let (base, new) = (usual(base), usual(new));
        let interval = enough.then(|| stats::ratio_interval(&base, &new, CONFIDENCE)).flatten();
        (stats::median(&new) / stats::median(&base), interval)
    };
    let (ratio, interval) = of(&base.speeds, &new.speeds);
    let to_ceiling = base.to_ceiling().zip(new.to_ceiling()).and_then(|(base, new)| match of(&base, &new) {
        (ratio, Some(interval)) => Some((ratio, interval)),
        (_, None) => None,
    });
    let least = 1.0 - max_regress;
    let of_interval = |interval: Interval| match interval {
        Interval { high, .. } if high < least => Verdict::Slower,
        Interval { low, .. } if low > least => Verdict::Pass,
        _ => Verdict::Undecided,
    };
    let verdicts = (interval.map(of_interval), to_ceiling.map(|(_, interval)| of_interval(interval)));
    let verdict = match verdicts {
        (Some(Verdict::Pass), _) | (_, Some(Verdict::Pass)) => Verdict::Pass,
        (Some(Verdict::Slower), None | Some(Verdict::Slower)) => Verdict::Slower,
        _ => Verdict::Undecided,
    };
    Comparison { base_ts: stats::median(&base.speeds), ratio, interval, to_ceiling, verdict }
}

/// The samples without those unlike the others.
fn usual(samples: &[f64]) -> Vec<f64> {
    let outliers = stats::outliers(samples);
    let kept = samples.iter().enumerate().filter(|(i, _)| !outliers.contains(i));
    kept.map(|(_, &sample)| sample).collect()
}

impl Comparison {
    /// What was lost, with its interval.
    pub fn loss(&self) -> String {
        let percent = |ratio: f64| 100.0 * (1.0 - ratio);
        let Some(interval) = self.interval else { return format!("lost {:.1} %", percent(self.ratio)) };
        format!("lost {:.1} % ({:.1} to {:.1})", percent(self.ratio), percent(interval.high), percent(interval.low))
    }

    /// A row of a table: test, threads, baseline, now, change, interval, verdict.
    pub fn cells(&self, row: &Row) -> Vec<String> {
        let change = |ratio: f64| format!("{:+.1} %", 100.0 * (ratio - 1.0));
        let interval = self.interval.map(|interval| format!("{} to {}", change(interval.low), change(interval.high)));
        let verdict = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Slower => "SLOWER",
            Verdict::Undecided => "undecided",
        };
        vec![
            row.test.clone(),
            row.n_threads.to_string(),
            rate(self.base_ts),
            rate(row.median_ts),
            change(self.ratio),
            interval.unwrap_or_default(),
            verdict.into(),
        ]
    }

    /// What the table does not explain.
    pub fn note(&self, name: &str, max_regress: f64) -> Option<String> {
        let least = 1.0 - max_regress;
        match self.verdict {
            Verdict::Undecided => Some(format!(
                "{name}: the samples cannot tell whether it is slower than allowed, so it passes; a quieter machine, \
                 more samples (`-r`) here and in the baseline, or a longer `--budget` can"
            )),
            Verdict::Pass if self.interval.is_none_or(|interval| interval.low <= least) => {
                let (ratio, _) = self.to_ceiling?;
                Some(format!(
                    "{name} passes because the machine itself is slower now: beside what it can do, the change is {:+.1} %",
                    100.0 * (ratio - 1.0)
                ))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEADY: [f64; 5] = [100.0, 101.0, 99.0, 100.5, 99.5];

    fn series(factor: f64, ceiling: f64) -> Series {
        Series { speeds: STEADY.map(|speed| speed * factor).to_vec(), ceilings: vec![ceiling; 5] }
    }

    #[test]
    fn a_loss_convicts_only_if_the_machine_is_as_fast_as_it_was() {
        let base = series(1.0, 30.0);
        let verdict = |new: &Series| compare(&base, new, 0.05).verdict;
        assert_eq!(verdict(&series(0.9, 30.0)), Verdict::Slower);
        assert_eq!(verdict(&series(0.9, 27.0)), Verdict::Pass);
        assert_eq!(verdict(&series(1.0, 33.0)), Verdict::Pass);
        assert_eq!(verdict(&series(0.97, 30.0)), Verdict::Pass);
        assert_eq!(verdict(&series(0.95, 30.0)), Verdict::Undecided);
        let bare = Series { ceilings: Vec::new(), ..series(0.9, 0.0) };
        assert_eq!(verdict(&bare), Verdict::Slower);
    }

    #[test]
    fn too_few_samples_decide_nothing() {
        let (base, slow) = (series(1.0, 30.0), series(0.5, 30.0));
        let first = |series: &Series, n| Series { speeds: series.speeds[..n].to_vec(), ceilings: Vec::new() };
        assert_eq!(compare(&first(&base, 2), &slow, 0.05).verdict, Verdict::Undecided);
        assert_eq!(compare(&base, &first(&slow, 4), 0.05).verdict, Verdict::Undecided);
        assert_eq!(compare(&first(&base, 3), &slow, 0.05).verdict, Verdict::Slower);
    }
}
