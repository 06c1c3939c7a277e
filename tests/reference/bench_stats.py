#!/usr/bin/env python3
"""The numbers that the unit tests of src/bench/stats.rs expect, from numpy and scipy.

usage: bench_stats.py        (needs numpy and scipy)
"""
import numpy as np
from scipy import stats

SAMPLES = np.array([102.1, 99.8, 101.4, 98.7, 100.9, 103.2, 97.5, 140.0, 100.1, 99.3])
NEW = np.array([91.2, 90.1, 89.7, 92.4, 90.8, 88.9, 91.0, 90.3])

print("mean", np.mean(SAMPLES), "median", np.median(SAMPLES), "standard deviation", np.std(SAMPLES, ddof=1))
print("percentiles 2.5, 25, 90", np.percentile(SAMPLES, [2.5, 25, 90]))


def interval(data, statistic, confidence):
    result = stats.bootstrap(data, statistic, method="percentile", confidence_level=confidence, vectorized=True,
                             n_resamples=400_000, batch=10_000, rng=np.random.default_rng(1))
    return result.confidence_interval


print("median, 95 %", interval((SAMPLES,), np.median, 0.95))
ratio = lambda base, new, axis: np.median(new, axis=axis) / np.median(base, axis=axis)
print("ratio of medians, 99 %", interval((SAMPLES, NEW), ratio, 0.99))

deviations = np.abs(SAMPLES - np.median(SAMPLES))
scores = 0.6745 * deviations / np.median(deviations)
print("modified z-scores", scores.round(3), "outliers", np.flatnonzero(scores > 3.5))
