from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmemo.comparison.missing_modality import losses
from mmemo.comparison.predictions import Answers
from mmemo.comparison.resampling import Draws


def accuracy(scores: np.ndarray, target: np.ndarray) -> float:
    return float((scores.argmax(axis=1) == target).mean())


def test_expected_losses_by_hand(answers: Answers) -> None:
    curves = {(c.system, c.what): c for c in losses(answers, Draws(len(answers), answers.clusters, 100))}
    face, voice, late = (accuracy(answers.scores[name], answers.target) for name in ("face", "voice", "late"))
    assert [one.value for one in curves["late", "face lost"].accuracy] == pytest.approx(
        [(1 - p) * late + p * voice for p in (0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    )
    assert curves["face", "face lost"].accuracy[-1].value == pytest.approx(0.5 * face)
    assert curves["voice", "face lost"].accuracy[-1].value == pytest.approx(voice)
    each = 0.25 * late + 0.25 * voice + 0.25 * face  # a quarter of the clips has nothing left, and is wrong
    assert curves["late", "any modality lost"].accuracy[-1].value == pytest.approx(each)
    assert curves["late", "voice lost"].accuracy[0].low < late < curves["late", "voice lost"].accuracy[0].high


def test_it_agrees_with_a_simulation(answers: Answers) -> None:
    rng = np.random.default_rng(0)
    lost = rng.random((400, len(answers), 1)) < 0.3
    drawn = [
        accuracy(np.where(one, answers.removed["late"]["voice",], answers.scores["late"]), answers.target)
        for one in lost
    ]
    curves = {(c.system, c.what): c for c in losses(answers, Draws(len(answers), None, 10), shares=(0.3,))}
    assert curves["late", "voice lost"].accuracy[0].value == pytest.approx(np.mean(drawn), abs=3e-3)


def test_without_all_subsets_there_is_no_curve_of_any_loss(answers: Answers) -> None:
    removed = {"late": {("face",): answers.scores["voice"]}}
    found = losses(replace(answers, removed=removed), Draws(len(answers), None, 10))
    assert {(curve.system, curve.what) for curve in found} == {("late", "face lost"), ("late", "any modality lost")}
    removed = {"late": {("face",): answers.scores["voice"], ("voice",): answers.scores["face"]}}
    found = losses(replace(answers, removed=removed), Draws(len(answers), None, 10))
    assert {curve.what for curve in found} == {"face lost", "voice lost"}
    assert losses(replace(answers, removed={}), Draws(len(answers), None, 10)) == ()
