"""The smooth course: by hand for two windows, and what it keeps."""

from __future__ import annotations

import numpy as np
import pytest

from mmemo.errors import ArgumentError
from mmemo.report.smoothing import DWELL, smooth
from mmemo.result import EmotionResult, ModalityScores, Segment

LABELS = ("anger", "joy")


def windows(*joy: float, length: float = 1.0, hop: float = 1.0) -> list[Segment]:
    return [Segment(i * hop, i * hop + length, {"anger": 1 - share, "joy": share}, {}) for i, share in enumerate(joy)]


def test_two_windows_by_hand() -> None:
    first, second = np.array([0.3, 0.7]), np.array([0.6, 0.4])
    stay = np.exp(-1 / DWELL)
    moves = stay * np.eye(2) + (1 - stay) / 2
    joint = first[:, None] * moves * second[None]
    smoothed = smooth(windows(0.7, 0.4))
    assert smoothed[0].scores["joy"] == pytest.approx((joint.sum(axis=1) / joint.sum())[1])
    assert smoothed[1].scores["joy"] == pytest.approx((joint.sum(axis=0) / joint.sum())[1])


def test_a_flicker_goes_and_a_change_stays() -> None:
    flicker = smooth(windows(0.9, 0.9, 0.2, 0.9, 0.9))
    assert [one.label for one in flicker] == ["joy"] * 5
    change = smooth(windows(*[0.9] * 5, *[0.1] * 5))
    assert [one.label for one in change] == ["joy"] * 5 + ["anger"] * 5


def test_overlapping_windows_share_their_evidence() -> None:
    """Ten windows that overlap by nine tenths know hardly more than the one second that they have in common."""
    apart, overlapping = smooth(windows(*[0.6] * 10)), smooth(windows(*[0.6] * 10, hop=0.1))
    assert overlapping[5].scores["joy"] < 0.7 < 0.9 < apart[5].scores["joy"]


def test_nothing_is_carried_across_a_long_gap() -> None:
    before = [Segment(0.0, 1.0, {"anger": 0.0, "joy": 1.0}, {})]
    after = Segment(1000.0, 1001.0, {"anger": 0.7, "joy": 0.3}, {})
    assert smooth([*before, after])[1].scores["joy"] == pytest.approx(0.3)


def test_a_shorter_dwell_smooths_less() -> None:
    seen = [smooth(windows(0.9, 0.4, 0.9), dwell)[1].scores["joy"] for dwell in (0.01, 2.0, 50.0)]
    assert seen[0] == pytest.approx(0.4, abs=1e-3)
    assert seen == sorted(seen)


@pytest.mark.parametrize("dwell", [0, -1.0, float("nan"), float("inf")])
def test_a_dwell_that_is_none_is_refused(dwell: float) -> None:
    with pytest.raises(ArgumentError, match="dwell"):
        smooth(windows(0.9, 0.4), dwell)


def test_a_result_keeps_its_verdict_and_raw_modalities() -> None:
    face = ModalityScores({"anger": 0.8, "joy": 0.2}, 1.0, 1.0)
    segments = tuple(Segment(s.start, s.end, s.scores, {"face": face}) for s in windows(0.9, 0.2, 0.9))
    result = EmotionResult(
        None, duration=3.0, scores={"anger": 0.4, "joy": 0.6}, modalities={"face": face}, segments=segments
    )
    smoothed = result.smooth()
    assert smoothed.scores == result.scores
    assert [one.label for one in smoothed.segments] == ["joy"] * 3
    assert [one.modalities for one in smoothed.segments] == [one.modalities for one in result.segments]
    assert [one.label for one in result.segments] == ["joy", "anger", "joy"]
