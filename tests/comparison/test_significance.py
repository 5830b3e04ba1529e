from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmemo.comparison.predictions import Predictions
from mmemo.comparison.significance import bootstrap_p_value, holm, mcnemar, run_paired_tests
from mmemo.evaluation.bootstrap import Resamples


def test_mcnemar_is_the_exact_binomial() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    assert mcnemar(0, 5) == pytest.approx(2 * 0.5**5)
    assert mcnemar(1, 8) == pytest.approx(2 * (1 + 9) * 0.5**9)


def test_holm_by_hand() -> None:
    # 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1 -> 0.04, 0.06, 0.06, 0.06: never falling.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_p_value_is_never_below_the_resolution_of_the_resamples() -> None:
    assert bootstrap_p_value(np.ones(999)) == pytest.approx(2 / 1000)
    assert bootstrap_p_value(np.array([-1.0, 1.0])) == 1


def test_the_product_beats_each_part_and_a_system_does_not_beat_itself(predictions: Predictions) -> None:
    scores = {**predictions.scores, "again": predictions.scores["late"]}
    pairs = {
        (p.first, p.second): p
        for p in run_paired_tests(replace(predictions, scores=scores), Resamples(240, predictions.speakers, 2000))
    }
    assert len(pairs) == 6
    test = pairs["face", "late"]
    right = {name: (one.argmax(axis=1) == predictions.target) for name, one in scores.items()}
    assert test.gain.value == pytest.approx(right["late"].mean() - right["face"].mean())
    assert test.gain.low > 0
    assert test.bootstrap_corrected < 0.05
    assert test.mcnemar_corrected < 0.05
    assert test.only_second == (right["late"] & ~right["face"]).sum()
    equal = pairs["late", "again"]
    assert (equal.gain.value, equal.gain.low, equal.gain.high) == (0, 0, 0)
    assert equal.bootstrap == equal.mcnemar == 1


def test_of_speakers_that_differ_the_interval_is_wider(predictions: Predictions) -> None:
    """A gain that all comes from one speaker is significant over clips, and not over speakers."""
    who = predictions.groups["speaker"]
    right = np.eye(3)[predictions.target] * 0.8 + 0.2 / 3
    wrong = np.eye(3)[(predictions.target + 1) % 3] * 0.8 + 0.2 / 3
    scores = {"one": wrong, "two": np.where((who == "speaker 0")[:, None], right, wrong)}
    lucky = replace(predictions, scores=scores, ablations={})
    (over_speakers,) = run_paired_tests(lucky, Resamples(240, lucky.speakers, 1000))
    (over_clips,) = run_paired_tests(lucky, Resamples(240, None, 1000))
    assert over_clips.gain.low > 0
    assert over_speakers.gain.low == 0
    assert over_speakers.bootstrap > 0.3
    assert over_speakers.mcnemar < 0.001  # which is why its p must not be trusted alone
