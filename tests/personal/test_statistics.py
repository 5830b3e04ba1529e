"""Log scores in few numbers: variety tells several moods from one, and what is taken off is shrunk."""

from __future__ import annotations

import numpy as np
import pytest

from mmemo.errors import ArgumentError
from mmemo.fusion.late import scores_only
from mmemo.personal.statistics import ScoreStatistics, centered, correction, margins

HABIT = np.array([-0.8, 3.0, -0.7, -0.9, 0.3, -0.7, -0.2])


def clips(moods: list[int], habit: np.ndarray = HABIT, seed: int = 0) -> np.ndarray:
    """Log scores of clips of one person, whose own label stands 3 above the others."""
    rng = np.random.default_rng(seed)
    return centered(1.5 * margins(7)[moods] + habit + rng.normal(0, 0.5, (len(moods), 7)))


def right(
    scores: np.ndarray, moods: list[int], strength: float | None = None, baseline: np.ndarray | None = None
) -> float:
    statistics = ScoreStatistics.of(scores if baseline is None else baseline)
    corrected = correction(statistics, statistics.mixed if strength is None else strength)(scores_only(scores))
    return float((corrected.logits.argmax(axis=1) == moods).mean())


def test_several_moods_are_told_from_one() -> None:
    mixed, one = [0, 1, 2, 3, 4, 5, 6] * 3, [3] * 20
    assert ScoreStatistics.of(clips(mixed, HABIT / 2)).mixed > 0.9
    assert ScoreStatistics.of(clips(one)).mixed < 0.05
    assert ScoreStatistics.of(clips(mixed)[:1]).mixed == 0
    varied = [ScoreStatistics.of(clips(mixed, HABIT / 2)[:n]).mixed for n in (2, 4, 20)]
    assert varied == sorted(varied)


def test_a_habit_is_taken_off_and_a_mood_is_not() -> None:
    moods = [0, 1, 2, 3, 4, 5, 6] * 6
    scores = clips(moods, HABIT * 0.8)
    before = float((scores.argmax(axis=1) == moods).mean())
    assert right(scores, moods) > before + 0.2
    angry = clips([3] * 20, HABIT * 0.2)
    assert (angry.argmax(axis=1) == 3).all()
    assert right(angry, [3] * 20) == 1.0
    assert right(angry, [3] * 20, strength=1.0) < 0.9  # what an unchecked mean would do


def test_few_clips_count_less() -> None:
    scores = clips([0, 1, 2, 3, 4, 5, 6] * 3)
    few, many = (correction(ScoreStatistics.of(scores[:n]), 1.0) for n in (3, 21))
    np.testing.assert_allclose(few.offset, scores[:3].mean(axis=0) * 3 / 6)
    np.testing.assert_allclose(many.offset, scores.mean(axis=0) * 21 / 24)
    none = correction(ScoreStatistics.of(scores), 0.0)
    np.testing.assert_array_equal(none.offset, 0)
    np.testing.assert_array_equal(none.scale, 1)


def test_scores_that_vary_little_are_stretched() -> None:
    scores = clips([0, 1, 2, 3, 4, 5, 6] * 3, np.zeros(7))
    scores[:, 2] *= 0.2
    scale = correction(ScoreStatistics.of(scores), 1.0).scale
    assert scale.argmax() == 2
    assert scale[2] > 1.2


def test_a_person_is_shrunk_towards_the_place() -> None:
    own = ScoreStatistics.of(clips([0, 1, 2, 3], HABIT))
    place = np.full(7, 0.0)
    place[1] = 1.4
    near = correction(own, 0.0, place)
    np.testing.assert_array_equal(near.offset, place)
    between = correction(own, 1.0, place).offset
    np.testing.assert_allclose(between, place + 4 / 7 * (np.array(own.mean) - place))


def test_marked_neutral_clips_count_without_variety() -> None:
    neutral = clips([0] * 5)
    own = ScoreStatistics.of(np.zeros((0, 7)), neutral)
    assert (own.clips, own.neutral) == (0, 5)
    offset = correction(own, 0.0, neutral=0).offset
    assert np.corrcoef(offset, HABIT)[0, 1] > 0.9
    np.testing.assert_array_equal(correction(own, 0.0).offset, 0)  # a model without the label


def test_statistics_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArgumentError, match="for each label"):
        ScoreStatistics(3, (0.0, 1.0), (1.0,), 0.5, 0.0)
    with pytest.raises(ArgumentError, match="known to be neutral"):
        ScoreStatistics(3, (0.0, 1.0), (1.0, 1.0), 0.5, 0.0, neutral=3)
    with pytest.raises(ArgumentError, match="finite"):
        ScoreStatistics(3, (0.0, float("nan")), (1.0, 1.0), 0.5, 0.0)
