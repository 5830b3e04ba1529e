"""Bootstrap intervals against the formula of the mean's standard error, and over groups."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mmemo.evaluation.bootstrap import Interval, Resamples, bootstrap, percentile_interval


def test_interval_of_a_mean_agrees_with_the_normal_formula() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    interval = bootstrap(lambda rows: float(values[rows].mean()), len(values), draws=4000)
    low, high = stats.norm.interval(0.95, values.mean(), values.std() / np.sqrt(len(values)))
    assert interval.value == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.02)


def test_groups_are_drawn_whole() -> None:
    groups = np.repeat(["a", "b", "c"], [2, 3, 4])
    sizes = {"a": 2, "b": 3, "c": 4}
    seen = []

    def metric(rows: np.ndarray) -> float:
        names, counts = np.unique(groups[rows], return_counts=True)
        seen.append(all(count % sizes[name] == 0 for name, count in zip(names, counts, strict=True)))
        return 0.0

    bootstrap(metric, len(groups), groups=groups, draws=50)
    assert all(seen)
    assert len(seen) == 51


def test_an_interval_over_groups_is_wider_where_samples_of_a_group_agree() -> None:
    means = np.random.default_rng(2).normal(0, 1, 20)
    groups = np.repeat(np.arange(20), 30)
    values = means[groups]
    over_samples = bootstrap(lambda rows: float(values[rows].mean()), len(values))
    over_groups = bootstrap(lambda rows: float(values[rows].mean()), len(values), groups=groups)
    # The standard error over 20 people is sqrt(30) times that over 600 samples.
    ratio = (over_groups.high - over_groups.low) / (over_samples.high - over_samples.low)
    assert ratio == pytest.approx(np.sqrt(30), rel=0.2)


def test_confidence_widens_and_the_seed_repeats() -> None:
    values = np.random.default_rng(3).random(100)

    def metric(rows: np.ndarray) -> float:
        return float(values[rows].mean())

    narrow, wide = bootstrap(metric, 100, confidence=0.5), bootstrap(metric, 100, confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert bootstrap(metric, 100) == bootstrap(metric, 100)
    assert bootstrap(metric, 100, seed=1) != bootstrap(metric, 100)


def test_reads_as_value_and_limits() -> None:
    assert str(Interval(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"


@pytest.mark.parametrize("grouped", [True, False])
def test_sums_of_resamples_give_the_intervals_of_the_plain_bootstrap(grouped: bool) -> None:
    rng = np.random.default_rng(4)
    values, groups = rng.normal(size=60), rng.integers(0, 7, 60) if grouped else None
    resamples = Resamples(60, groups, draws=300, seed=5)
    means = resamples.sums(values) / resamples.sums(np.ones(60))
    expected = bootstrap(lambda rows: float(values[rows].mean()), 60, groups=groups, draws=300, seed=5)
    interval = percentile_interval(float(values.mean()), means)
    assert (interval.value, interval.low, interval.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_resamples_without_a_value_are_left_out() -> None:
    assert percentile_interval(0.5, np.array([np.nan, 0.25, 0.75]), confidence=1.0) == Interval(0.5, 0.25, 0.75)
    nothing = percentile_interval(float("nan"), np.full(3, np.nan))
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
