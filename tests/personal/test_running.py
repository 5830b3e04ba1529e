"""The baseline that runs along: earlier windows only, of the same person, and none that overlap."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmemo import analyze
from mmemo.fusion.late import scores_only
from mmemo.personal.running import RunningBaseline
from mmemo.personal.statistics import margins
from mmemo.samples import make_clip

HABIT = np.array([0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def windows(count: int) -> np.ndarray:
    moods = np.arange(count) % 7
    return np.asarray(1.8 * margins(7)[moods] + HABIT)


def test_a_habit_is_learned_from_earlier_windows() -> None:
    scores = windows(70)
    spans = [(2.0 * i, 2.0 * i + 2) for i in range(70)]
    running = RunningBaseline()
    corrected = running.correct(scores_only(scores.astype(np.float32)), spans, ["anna"] * 70).logits
    assert running.in_use
    np.testing.assert_allclose(corrected[:2], scores[:2], atol=1e-6)  # nothing is known yet
    late = np.arange(35, 70)
    assert (corrected[late].argmax(axis=1) == late % 7).all()
    assert (scores[late].argmax(axis=1) == late % 7).mean() < 1


def test_batches_and_people_are_kept_apart() -> None:
    scores = scores_only(windows(40).astype(np.float32))
    spans = [(2.0 * i, 2.0 * i + 2) for i in range(40)]
    whole = RunningBaseline().correct(scores, spans, ["anna"] * 40).logits
    running = RunningBaseline()
    rows = np.arange(40)
    parts = [
        running.correct(scores.rows(rows[a:b]), spans[a:b], ["anna"] * (b - a)).logits for a, b in ((0, 16), (16, 40))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    others = running.correct(scores.rows(rows[:2]), spans[:2], ["ben"] * 2).logits
    np.testing.assert_array_equal(others, scores.logits[:2])


def test_overlapping_windows_count_once() -> None:
    scores = scores_only(windows(20).astype(np.float32))
    overlapping = [(float(i), i + 2.0) for i in range(20)]
    apart = [(2.0 * i, 2.0 * i + 2) for i in range(20)]
    one, two = (RunningBaseline().correct(scores, spans, [0] * 20).logits for spans in (overlapping, apart))
    assert np.abs(one - two).max() > 0.1


def test_a_clip_that_is_too_short_says_so(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "short.mp4", seconds=1.0)
    result = analyze(clip, modalities=("face",), baseline="auto")
    assert [note.code for note in result.notes if "earlier windows" in note.message] == ["baseline"]
    assert result.settings is not None
    assert result.settings.baseline == "auto"
