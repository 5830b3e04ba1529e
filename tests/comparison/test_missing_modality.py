from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmemo.comparison.missing_modality import missing_modality_curves
from mmemo.comparison.predictions import Predictions
from mmemo.evaluation.bootstrap import Resamples


def accuracy(scores: np.ndarray, target: np.ndarray) -> float:
    return float((scores.argmax(axis=1) == target).mean())


def test_expected_accuracy_by_hand(predictions: Predictions) -> None:
    curves = {
        (c.system, c.condition): c
        for c in missing_modality_curves(predictions, Resamples(len(predictions), predictions.speakers, 100))
    }
    face, voice, late = (accuracy(predictions.scores[name], predictions.target) for name in ("face", "voice", "late"))
    assert [one.value for one in curves["late", "face missing"].accuracy] == pytest.approx(
        [(1 - p) * late + p * voice for p in (0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    )
    assert curves["face", "face missing"].accuracy[-1].value == pytest.approx(0.5 * face)
    assert curves["voice", "face missing"].accuracy[-1].value == pytest.approx(voice)
    each = 0.25 * late + 0.25 * voice + 0.25 * face  # a quarter of the clips has nothing left, and is wrong
    assert curves["late", "any modality missing"].accuracy[-1].value == pytest.approx(each)
    assert curves["late", "voice missing"].accuracy[0].low < late < curves["late", "voice missing"].accuracy[0].high


def test_it_agrees_with_a_simulation(predictions: Predictions) -> None:
    rng = np.random.default_rng(0)
    missing = rng.random((400, len(predictions), 1)) < 0.3
    simulated = [
        accuracy(np.where(one, predictions.ablations["late"]["voice",], predictions.scores["late"]), predictions.target)
        for one in missing
    ]
    curves = {
        (c.system, c.condition): c
        for c in missing_modality_curves(predictions, Resamples(len(predictions), None, 10), shares=(0.3,))
    }
    assert curves["late", "voice missing"].accuracy[0].value == pytest.approx(np.mean(simulated), abs=3e-3)


def test_any_modality_has_no_curve_without_all_ablations(predictions: Predictions) -> None:
    ablations = {"late": {("face",): predictions.scores["voice"]}}
    curves = missing_modality_curves(replace(predictions, ablations=ablations), Resamples(len(predictions), None, 10))
    assert {(curve.system, curve.condition) for curve in curves} == {
        ("late", "face missing"),
        ("late", "any modality missing"),
    }
    ablations = {"late": {("face",): predictions.scores["voice"], ("voice",): predictions.scores["face"]}}
    curves = missing_modality_curves(replace(predictions, ablations=ablations), Resamples(len(predictions), None, 10))
    assert {curve.condition for curve in curves} == {"face missing", "voice missing"}
    assert missing_modality_curves(replace(predictions, ablations={}), Resamples(len(predictions), None, 10)) == ()
