"""Clips that are put together have the labels that they should have."""

from __future__ import annotations

import numpy as np
import pytest

from mmemo.labels import EKMAN7
from mmemo.training.put_together import ExpertSamples, Shown, put_together

CLASSES = len(EKMAN7)


def samples(count: int, corpora: int = 1, sharp: float = 3.0) -> ExpertSamples:
    target = np.arange(count) % CLASSES
    corpus = np.arange(count) // CLASSES % corpora
    logits = sharp * np.eye(CLASSES)[target]
    return ExpertSamples(logits, np.full(CLASSES, 1 / CLASSES), target, corpus, np.ones(count))


def test_each_modality_shows_the_label_as_often_as_it_should() -> None:
    own = {"face": samples(70), "voice": samples(70), "text": samples(70)}
    shown = {"face": Shown(), "voice": Shown(silent=0.4), "text": Shown(unrelated=1.0)}
    target = np.resize(np.arange(CLASSES), 7000)
    rows = put_together(EKMAN7, own, shown, target, 0)
    drawn = {name: one.target[rows[name]] for name, one in own.items()}
    emotional = target != EKMAN7.index("neutral")
    np.testing.assert_array_equal(drawn["face"], target)
    assert np.mean(drawn["voice"][emotional] == 0) == pytest.approx(0.4, abs=0.02)
    assert np.mean(drawn["text"] == target) == pytest.approx(1 / CLASSES, abs=0.02)


def test_corpora_are_drawn_equally_often() -> None:
    many = samples(700)
    few = samples(7)
    both = ExpertSamples(
        np.concatenate([many.logits, few.logits]),
        many.prior,
        np.concatenate([many.target, few.target]),
        np.array(["many"] * 700 + ["few"] * 7),
        np.ones(707),
    )
    rows = both.draw(np.resize(np.arange(CLASSES), 3500), np.random.default_rng(0))
    assert np.mean(both.corpus[rows] == "few") == pytest.approx(0.5, abs=0.03)


def test_short_evidence_has_an_exponent() -> None:
    """Log scores that are twice too sure where a quarter is covered: .25 ** .5 brings them back."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, CLASSES, 6000)
    logits = 1.5 * (rng.normal(0, 1, (6000, CLASSES)) + 1.5 * np.eye(CLASSES)[target])
    coverage = np.where(np.arange(6000) % 2, 0.25, 1.0)
    sure = np.where(coverage < 1, 2.0, 1.0)[:, None] * logits
    own = ExpertSamples(sure, np.full(CLASSES, 1 / CLASSES), target, np.full(6000, "one"), coverage)
    temperature = own.temperature()
    assert temperature == pytest.approx(1.0, abs=0.06)
    assert own.coverage_exponent(temperature) == pytest.approx(0.5, abs=0.06)
    assert samples(70).coverage_exponent(1.0) == 0.0
