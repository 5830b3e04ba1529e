"""Runs and spans over time: gaps stay gaps, and nothing is drawn twice."""

from __future__ import annotations

import numpy as np
import pytest

from mmemo import EmotionResult
from mmemo.report.timeline import affect_runs, runs, scores_at, scores_between, spans, thin
from mmemo.result import ModalityScores, Segment


def test_what_has_no_evidence_is_a_gap(made: EmotionResult) -> None:
    first, second = runs(made.segments, "fused")
    assert (first.times[0], first.times[-1]) == (0.0, 4.0)
    assert (second.times[0], second.times[-1]) == (7.0, 9.0)
    assert scores_at([first, second], 5.5) is None
    (voice, _) = runs(made.segments, "voice")
    assert voice.times[0] == 2.5  # the window from 2 to 4 s owns what is nearest to its middle
    assert runs(made.segments, "text") == []


def test_affect_has_the_same_gaps(made: EmotionResult) -> None:
    first, second = affect_runs(made.segments)
    assert [run.times.tolist() for run in (first, second)] == [
        run.times.tolist() for run in runs(made.segments, "fused")
    ]
    affect = made.segments[3].affect
    assert affect is not None
    np.testing.assert_allclose(second.values, [[affect.valence, affect.arousal]] * 3)
    mood = {"positive": 0.5, "negative": 0.5}
    unknown = Segment(1.0, 3.0, mood, {"face": ModalityScores(mood, 1.0)})
    before, after = affect_runs([made.segments[0], unknown, made.segments[2]])
    assert (before.times[-1], after.times[0]) == (1.5, 2.5)


def test_between_the_middles_scores_go_straight(made: EmotionResult) -> None:
    fused = runs(made.segments, "fused")
    labels = list(made.scores)
    at_middle = scores_at(fused, 1.5)
    assert at_middle is not None
    assert at_middle[labels.index("happiness")] == pytest.approx((0.7 + 0.6) / 2)
    assert at_middle.sum() == pytest.approx(1)


def test_spans_join_windows_with_the_same_label(made: EmotionResult) -> None:
    joined = spans(made.segments, "fused")
    assert [(span.start, span.end, span.label) for span in joined] == [
        (0.0, 2.5, "happiness"),
        (2.5, 4.0, "surprise"),
        (7.0, 9.0, "anger"),
    ]
    assert joined[0].score == pytest.approx((1.5 * 0.7 + 1.0 * 0.6) / 2.5)


def test_scores_of_a_stretch_of_time(made: EmotionResult) -> None:
    scores = scores_between(made, 0.0, 1.0)
    assert scores == pytest.approx(dict(made.segments[0].scores))
    assert scores_between(made, 5.0, 6.0) is None


def test_a_long_run_is_thinned_to_means(made: EmotionResult) -> None:
    (run, _) = runs(made.segments, "fused")
    long = type(run)(np.arange(10_001.0), np.tile([0.25, 0.75], (10_001, 1)))
    (short,) = thin([long], 1200)
    assert 1000 < len(short.times) < 1300
    assert thin([run], 1200) == [run]
    assert (short.times[0], short.times[-1]) == (0.0, 10_000.0)
    assert (np.diff(short.times) > 0).all()
    np.testing.assert_allclose(short.values, np.tile([0.25, 0.75], (len(short.times), 1)))
