from __future__ import annotations

import pytest

from mmemo.evaluation.spotting import SpottingScore, overlap, spotting_score


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 2), (1, 3)) == pytest.approx(1 / 3)
    assert overlap((0, 1), (1, 2)) == 0
    assert overlap((0, 1), (0, 1)) == 1


def test_each_interval_counts_once() -> None:
    score = spotting_score([(0, 1), (5, 6)], [(0, 1.1), (0.1, 1), (8, 9)])
    assert score == SpottingScore(hits=1, false=2, missed=1)
    assert score.f1 == pytest.approx(2 / 5)
    assert (score.precision, score.recall) == pytest.approx((1 / 3, 1 / 2))


def test_half_an_overlap_is_a_hit_and_less_is_not() -> None:
    assert spotting_score([(0, 2)], [(0, 1)]).hits == 1
    assert spotting_score([(0, 2)], [(0, 0.9)]).hits == 0


def test_scores_add_up_and_nothing_is_zero() -> None:
    assert SpottingScore(1, 2, 3) + SpottingScore(1, 0, 0) == SpottingScore(2, 2, 3)
    assert spotting_score([], []).f1 == 0
