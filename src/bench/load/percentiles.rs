//! Percentiles of samples.

use serde::Serialize;

/// What half, nine in ten, and 99 in 100 of the samples do not exceed, interpolated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl Percentiles {
    /// Of samples in any order; `None` if there are none.
    ///
    /// Percentile `p` of `n` sorted samples is at index `p / 100 · (n − 1)`, linearly between its neighbours: definition 7 of
    /// Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996), which is numpy's default.
    pub fn of(mut samples: Vec<f64>) -> Option<Percentiles> {
        samples.sort_by(f64::total_cmp);
        let last = samples.len().checked_sub(1)?;
        let at = |fraction: f64| {
            let index = fraction * last as f64;
            let below = samples[index.floor() as usize];
            let above = samples[index.ceil() as usize];
            below + (above - below) * index.fract()
        };
        Some(Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99) })
    }
}

#[cfg(test)]
mod tests {
    use super::Percentiles;

    fn assert_near(samples: Vec<f64>, expected: [f64; 3]) {
        let Percentiles { p50, p90, p99 } = Percentiles::of(samples).unwrap();
        for (value, expected) in [p50, p90, p99].into_iter().zip(expected) {
            assert!((value - expected).abs() < 1e-9, "{value} instead of {expected}");
        }
    }

    #[test]
    fn they_are_those_of_numpy() {
        // numpy.percentile(samples, [50, 90, 99]) of numpy 2.4.
        assert_near(vec![12.5, 3.0, 7.25, 1.0, 9.5, 4.0, 8.0], [7.25, 10.7, 12.32]);
        assert_near((1..65).map(f64::from).collect(), [32.5, 57.7, 63.37]);
        assert_near(vec![5.0], [5.0, 5.0, 5.0]);
    }

    #[test]
    fn nothing_has_none() {
        assert_eq!(Percentiles::of(Vec::new()), None);
    }
}
