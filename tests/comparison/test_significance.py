from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmemo.comparison.predictions import Answers
from mmemo.comparison.resampling import Draws
from mmemo.comparison.significance import compare_pairs, holm, mcnemar, two_sided


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


def test_a_bootstrap_never_claims_more_than_its_draws_can_tell() -> None:
    assert two_sided(np.ones(999)) == pytest.approx(2 / 1000)
    assert two_sided(np.array([-1.0, 1.0])) == 1


def test_the_product_beats_each_part_and_a_system_does_not_beat_itself(answers: Answers) -> None:
    scores = {**answers.scores, "again": answers.scores["late"]}
    pairs = {
        (p.first, p.second): p
        for p in compare_pairs(replace(answers, scores=scores), Draws(240, answers.clusters, 2000))
    }
    assert len(pairs) == 6
    gained = pairs["face", "late"]
    right = {name: (one.argmax(axis=1) == answers.target) for name, one in scores.items()}
    assert gained.gain.value == pytest.approx(right["late"].mean() - right["face"].mean())
    assert gained.gain.low > 0
    assert gained.bootstrap_corrected < 0.05
    assert gained.mcnemar_corrected < 0.05
    assert gained.only_second == (right["late"] & ~right["face"]).sum()
    same = pairs["late", "again"]
    assert (same.gain.value, same.gain.low, same.gain.high) == (0, 0, 0)
    assert same.bootstrap == same.mcnemar == 1


def test_of_speakers_that_differ_the_interval_is_wider(answers: Answers) -> None:
    """A gain that all comes from one speaker is sure over clips, and not over speakers."""
    who = answers.groups["speaker"]
    right = np.eye(3)[answers.target] * 0.8 + 0.2 / 3
    wrong = np.eye(3)[(answers.target + 1) % 3] * 0.8 + 0.2 / 3
    scores = {"one": wrong, "two": np.where((who == "speaker 0")[:, None], right, wrong)}
    lucky = replace(answers, scores=scores, removed={})
    (over_speakers,) = compare_pairs(lucky, Draws(240, lucky.clusters, 1000))
    (over_clips,) = compare_pairs(lucky, Draws(240, None, 1000))
    assert over_clips.gain.low > 0
    assert over_speakers.gain.low == 0
    assert over_speakers.bootstrap > 0.3
    assert over_speakers.mcnemar < 0.001  # which is why its p must not be trusted alone
