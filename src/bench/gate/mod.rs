//! Whether a benchmark is slower than an earlier one, beyond what chance explains.
//!
//! A machine is not as fast every day, and a shared one not every minute. So a test counts as slower only if two ratios
//! say so: that of its throughput, and that of its throughput over what the machine could do right beside each sample.
//! Both come with bootstrap intervals, and only an interval that lies wholly beyond the limit convicts.

mod baseline;
mod comparison;

pub use baseline::{Baseline, GateError};
pub use comparison::{Comparison, Series, Verdict, compare};

use super::{Measured, Test};
use std::time::Duration;

/// Tests are slower than allowed.
#[derive(Debug, thiserror::Error)]
#[error("slower than allowed, which is {:.1} %: {}", 100.0 * max_regress, lines.join("; "))]
pub struct Regression {
    /// Which test, and by how much.
    pub lines: Vec<String>,
    /// The share of the throughput that may be lost.
    pub max_regress: f64,
}

/// Decides test by test, and asks for more samples while it cannot.
pub struct Gate {
    baseline: Baseline,
    /// Share of the throughput that may be lost.
    max_regress: f64,
    /// Time left for samples beyond those of the plan.
    budget: Duration,
    /// Tests that may still want some of it.
    n_left: usize,
    under_way: Option<UnderWay>,
}

/// A test that may take more samples.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    test: Test,
    /// When it had its samples.
    since: Duration,
    /// Its share of the budget.
    share: Duration,
    /// Samples at which it is looked at again: to look after each would be to try one's luck.
    next_look: usize,
}

impl Gate {
    /// A gate for `n_tests` tests, which may take `budget` longer than planned.
    pub fn new(baseline: Baseline, max_regress: f64, budget: Duration, n_tests: usize) -> Gate {
        Gate { baseline, max_regress, budget, n_left: n_tests, under_way: None }
    }

    /// Whether more samples of `measured` are wanted at the time `now`.
    pub fn wants_more(&mut self, measured: &Measured, now: Duration) -> bool {
        let mut test = match self.under_way {
            Some(under_way) if under_way.test == measured.test => under_way,
            _ => {
                let share = self.budget / u32::try_from(self.n_left.max(1)).unwrap_or(u32::MAX);
                self.n_left = self.n_left.saturating_sub(1);
                UnderWay { test: measured.test, since: now, share, next_look: 0 }
            }
        };
        let (n, spent) = (measured.samples.len(), now.saturating_sub(test.since));
        let wanted = spent < test.share && (n < test.next_look || self.is_undecided(measured));
        if n >= test.next_look {
            test.next_look = n + n.div_ceil(4);
        }
        if !wanted {
            self.budget = self.budget.saturating_sub(spent);
        }
        self.under_way = Some(test);
        wanted
    }

    fn is_undecided(&self, measured: &Measured) -> bool {
        self.compare(measured).is_some_and(|comparison| comparison.verdict == Verdict::Undecided)
    }

    /// `measured` beside its baseline; `None` if that does not have it.
    pub fn compare(&self, measured: &Measured) -> Option<Comparison> {
        let base = self.baseline.series(&measured.test)?;
        Some(compare(&base, &Series::of(measured), self.max_regress))
    }

    /// The baseline.
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }
}
