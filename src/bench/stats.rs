//! What samples tell: where their middle is, how far they scatter, and how sure that is. Pure functions.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Resamples of a bootstrap.
const N_RESAMPLES: usize = 2_000;

/// Modified z-scores beyond this are outliers.
const OUTLIER: f64 = 3.5;

/// A range that holds the true value with some confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Where it begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

/// The mean; NaN without samples.
pub fn mean(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len() as f64
}

/// The median, the mean of the two in the middle where there are two; NaN without samples.
pub fn median(samples: &[f64]) -> f64 {
    median_of(&mut samples.to_vec())
}

fn median_of(samples: &mut [f64]) -> f64 {
    let half = samples.len() / 2;
    if samples.is_empty() {
        return f64::NAN;
    }
    let is_odd = samples.len() % 2 == 1;
    let (below, &mut middle, _) = samples.select_nth_unstable_by(half, f64::total_cmp);
    match is_odd {
        true => middle,
        false => (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + middle) / 2.0,
    }
}

/// The sample standard deviation (divided by n - 1); 0 of fewer than two samples.
pub fn standard_deviation(samples: &[f64]) -> f64 {
    if samples.len() < 2 {
        return 0.0;
    }
    let mean = mean(samples);
    let sum: f64 = samples.iter().map(|x| (x - mean).powi(2)).sum();
    (sum / (samples.len() - 1) as f64).sqrt()
}

/// The value below which a share `p` of the ascending `sorted` lies, interpolated linearly; NaN without samples.
pub fn percentile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = p.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// A bootstrap interval of the median, by percentiles; the same for the same samples. `None` of fewer than two samples.
///
/// Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
pub fn median_interval(samples: &[f64], confidence: f64) -> Option<Interval> {
    (samples.len() > 1).then(|| bootstrap(confidence, |draw| draw.median(samples)))
}

/// A bootstrap interval of the median of `new` divided by that of `base`, each resampled on its own. `None` if one of them
/// has fewer than two samples.
pub fn ratio_interval(base: &[f64], new: &[f64], confidence: f64) -> Option<Interval> {
    let enough = base.len() > 1 && new.len() > 1;
    enough.then(|| bootstrap(confidence, |draw| draw.median(new) / draw.median(base)))
}

/// Random samples of samples.
struct Draw {
    rng: ChaCha8Rng,
    resample: Vec<f64>,
}

impl Draw {
    /// The median of as many of `samples` as there are, drawn with repetition.
    fn median(&mut self, samples: &[f64]) -> f64 {
        let Draw { rng, resample } = self;
        resample.clear();
        resample.extend((0..samples.len()).map(|_| samples[rng.random_range(0..samples.len())]));
        median_of(resample)
    }
}

fn bootstrap(confidence: f64, mut statistic: impl FnMut(&mut Draw) -> f64) -> Interval {
    let mut draw = Draw { rng: ChaCha8Rng::seed_from_u64(0), resample: Vec::new() };
    let mut values: Vec<f64> = (0..N_RESAMPLES).map(|_| statistic(&mut draw)).collect();
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Interval { low: percentile(&values, tail), high: percentile(&values, 1.0 - tail) }
}

/// The places of samples that lie too far from the median to be of the same kind: modified z-scores above 3.5.
///
/// Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993.
pub fn outliers(samples: &[f64]) -> Vec<usize> {
    let middle = median(samples);
    let distances: Vec<f64> = samples.iter().map(|x| (x - middle).abs()).collect();
    // Divided by these, the deviation of a normal distribution is its standard deviation. Where more than half of the
    // samples are equal the median of the distances says nothing, and their mean stands in.
    let scale = match median(&distances) {
        0.0 => mean(&distances) * 1.253_314,
        mad => mad / 0.6745,
    };
    distances.iter().enumerate().filter(|(_, distance)| **distance > OUTLIER * scale).map(|(i, _)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: [f64; 10] = [102.1, 99.8, 101.4, 98.7, 100.9, 103.2, 97.5, 140.0, 100.1, 99.3];
    const NEW: [f64; 8] = [91.2, 90.1, 89.7, 92.4, 90.8, 88.9, 91.0, 90.3];

    fn assert_near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}");
    }

    // What is expected was computed by tests/reference/bench_stats.py.

    #[test]
    fn middle_and_scatter_are_those_of_numpy() {
        assert_near(mean(&SAMPLES), 104.3, 1e-9);
        assert_near(median(&SAMPLES), 100.5, 1e-9);
        assert_near(median(&SAMPLES[..9]), 100.9, 1e-9);
        assert_near(standard_deviation(&SAMPLES), 12.653501930734873, 1e-9);
        let mut sorted = SAMPLES;
        sorted.sort_by(f64::total_cmp);
        for (p, expected) in [(0.025, 97.77), (0.25, 99.425), (0.9, 106.88), (0.0, 97.5), (1.0, 140.0)] {
            assert_near(percentile(&sorted, p), expected, 1e-9);
        }
    }

    #[test]
    fn intervals_are_those_of_scipy() {
        let interval = median_interval(&SAMPLES, 0.95).expect("enough");
        assert_near(interval.low, 99.25, 0.2);
        assert_near(interval.high, 102.3, 0.2);
        let interval = ratio_interval(&SAMPLES, &NEW, 0.99).expect("enough");
        assert_near(interval.low, 0.8758, 0.002);
        assert_near(interval.high, 0.9200, 0.002);
    }

    #[test]
    fn the_interval_holds_the_true_median_as_often_as_it_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let n_held = (0..400).filter(|_| {
            let samples: Vec<f64> = (0..15).map(|_| rng.random::<f64>().powi(2)).collect();
            median_interval(&samples, 0.95).is_some_and(|interval| (interval.low..=interval.high).contains(&0.25))
        });
        // Percentile intervals of medians are somewhat wide; four standard deviations below 95 % is 90.6 %.
        assert!((363..=400).contains(&n_held.count()));
    }

    #[test]
    fn one_sample_has_no_interval_and_none_is_not_a_number() {
        assert_eq!(median_interval(&[1.0], 0.95), None);
        assert_eq!(ratio_interval(&[1.0, 2.0], &[1.0], 0.95), None);
        assert_eq!(standard_deviation(&[3.0]), 0.0);
        assert!(mean(&[]).is_nan() && median(&[]).is_nan() && percentile(&[], 0.5).is_nan());
        assert!(outliers(&[]).is_empty());
    }

    #[test]
    fn only_what_is_far_from_the_rest_is_an_outlier() {
        assert_eq!(outliers(&SAMPLES), [7]);
        assert_eq!(outliers(&NEW), [0; 0]);
        assert_eq!(outliers(&[5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 9.0]), [7]);
        assert_eq!(outliers(&[5.0; 6]), [0; 0]);
    }
}
