"""Every figure against scikit-learn or a formula of its own, and every interval against the plain bootstrap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss, recall_score

from mmemo.comparison import tables
from mmemo.comparison.measures import measure, reliability
from mmemo.comparison.predictions import Answers, together
from mmemo.comparison.resampling import Draws
from mmemo.errors import ArgumentError
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.metrics import brier_score, concordance, expected_calibration_error, uar


def test_figures_agree_with_scikit_learn_also_where_there_is_no_answer(answers: Answers) -> None:
    scores = answers.scores["face"].copy()
    scores[::10] = 1 / 3
    found = tables.said(scores)
    assert (found == 3).sum() == 24
    table = tables.cells(answers.target, found, 3).sum(axis=0)
    own = {"labels": [0, 1, 2], "zero_division": 0.0}
    np.testing.assert_allclose(
        tables.recalls(table), recall_score(answers.target, found, average=None, labels=[0, 1, 2])
    )
    np.testing.assert_allclose(tables.f1s(table), f1_score(answers.target, found, average=None, **own))
    assert tables.accuracies(table) == pytest.approx(accuracy_score(answers.target, found))
    assert tables.macro_f1s(table) == pytest.approx(f1_score(answers.target, found, average="macro", **own))
    assert tables.weighted_f1s(table) == pytest.approx(f1_score(answers.target, found, average="weighted", **own))


def test_losses_of_calibration_agree_with_scikit_learn(answers: Answers) -> None:
    measured = measure(answers, "late", Draws(len(answers), answers.clusters, 200))
    scores = answers.scores["late"]
    assert measured.nll.value == pytest.approx(log_loss(answers.target, scores))
    one_hot = np.eye(3)[answers.target]
    each = sum(brier_score_loss(one_hot[:, k], scores[:, k]) for k in range(3))
    assert measured.brier.value == pytest.approx(each)
    assert brier_score(answers.target, one_hot) == 0
    assert measured.ece.value == pytest.approx(expected_calibration_error(answers.target, scores))
    bins = reliability(answers.target, scores)
    assert sum(one.clips for one in bins) == len(answers)
    gaps = sum(one.clips * abs(one.accuracy - one.confidence) for one in bins) / len(answers)
    assert gaps == pytest.approx(measured.ece.value)


@pytest.mark.parametrize("clustered", [True, False])
def test_intervals_are_those_of_the_plain_bootstrap(answers: Answers, clustered: bool) -> None:
    groups = answers.clusters if clustered else None
    drawn = Draws(len(answers), groups, 300, seed=4)
    measured = measure(answers, "voice", drawn)
    found = answers.scores["voice"].argmax(axis=1)
    target, scores = answers.target, answers.scores["voice"]
    same = {
        "accuracy": lambda rows: float((found[rows] == target[rows]).mean()),
        "uar": lambda rows: uar(target[rows], found[rows], 3),
        "ece": lambda rows: expected_calibration_error(target[rows], scores[rows]),
        "brier": lambda rows: brier_score(target[rows], scores[rows]),
    }
    for name, metric in same.items():
        expected = bootstrap(metric, len(answers), groups=groups, draws=300, seed=4)
        figure = getattr(measured, name)
        assert (figure.value, figure.low, figure.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_no_answer_counts_as_wrong_and_is_told(answers: Answers) -> None:
    scores = answers.scores["face"].copy()
    right = scores.argmax(axis=1) == answers.target
    scores[:60] = 1 / 3
    deaf = replace(answers, scores={"face": scores}, removed={})
    measured = measure(deaf, "face", Draws(len(deaf), None, 50))
    assert measured.answered == pytest.approx(0.75)
    assert measured.accuracy.value == pytest.approx(right[60:].sum() / 240)
    assert measured.confusion[:, 3].sum() == 60


def test_groups_are_measured_on_their_own_clips(answers: Answers) -> None:
    measured = measure(answers, "late", Draws(len(answers), answers.clusters, 50), by=("gender", "speaker"))
    found = {(group.column, group.value): group for group in measured.groups}
    female = answers.groups["gender"] == "female"
    right = answers.scores["late"].argmax(axis=1) == answers.target
    assert found["gender", "female"].accuracy.value == pytest.approx(right[female].mean())
    assert found["gender", "female"].clips == female.sum()
    assert len([column for column, _ in found if column == "speaker"]) == 8


def test_a_class_that_does_not_occur_has_no_recall(answers: Answers) -> None:
    two = answers.rows(answers.target < 2)
    measured = measure(two, "late", Draws(len(two), two.clusters, 50))
    assert np.isnan(measured.recalls["c"].value)
    assert measured.uar.value == pytest.approx((measured.recalls["a"].value + measured.recalls["b"].value) / 2)


def test_concordance_by_hand_and_its_interval() -> None:
    true, said = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.5, 2.5, 2.5, 4.5])
    covariance = np.mean(true * said) - true.mean() * said.mean()
    expected = 2 * covariance / (true.var() + said.var() + (true.mean() - said.mean()) ** 2)
    assert concordance(true, said) == pytest.approx(expected)
    assert concordance(true, true) == pytest.approx(1)
    assert concordance(true, -true) < 0
    assert np.isnan(concordance(np.ones(3), np.ones(3)))
    rng = np.random.default_rng(0)
    truth = rng.normal(size=100)
    guess = truth + rng.normal(0, 0.5, 100)
    truth[:5] = np.nan
    given = Answers(
        ("a", "b"),
        np.arange(100).astype(str),
        np.zeros(100, np.int64),
        {"face": np.tile([0.6, 0.4], (100, 1))},
        true_values={"valence": truth},
        values={"face": {"valence": guess}},
    )
    figure = measure(given, "face", Draws(100, None, 300, seed=1)).concordance["valence"]
    assert figure.value == pytest.approx(concordance(truth[5:], guess[5:]))
    assert figure.low < figure.value < figure.high

    def by_rows(rows: np.ndarray) -> float:
        kept = rows[rows >= 5]
        return concordance(truth[kept], guess[kept])

    plain = bootstrap(by_rows, 100, draws=300, seed=1)
    assert (figure.low, figure.high) == pytest.approx((plain.low, plain.high))


def test_bad_answers_are_refused_by_name(answers: Answers) -> None:
    whole = answers.scores["late"]
    for scores, says in (
        ({"late": whole[:5]}, "must be"),
        ({"late": whole * 2}, "sum to 1"),
        ({"late": np.where(whole == whole.max(), np.nan, whole)}, "without NaN"),
        ({}, "clips and systems"),
    ):
        with pytest.raises(ArgumentError, match=says):
            replace(answers, scores=scores, removed={})
    with pytest.raises(ArgumentError, match="ids repeat"):
        replace(answers, ids=np.zeros(len(answers)).astype(str))
    with pytest.raises(ArgumentError, match="target from 0 to 2"):
        replace(answers, target=answers.target + 1)
    with pytest.raises(ArgumentError, match=r"Did you mean 'late'"):
        answers.only(["lat"])


def test_sources_are_joined_on_the_clips_that_all_have(answers: Answers) -> None:
    shuffled = answers.rows(np.random.default_rng(0).permutation(200)).called("other {}".format)
    joined = together([answers, shuffled])
    assert len(joined) == 200
    np.testing.assert_allclose(joined.scores["late"], joined.scores["other late"])
    assert any("200 that all have" in note for note in joined.notes)
    with pytest.raises(ArgumentError, match="there twice"):
        together([answers, answers])
    with pytest.raises(ArgumentError, match="different labels"):
        together([answers, replace(shuffled, labels=("x", "y", "z"))])
    with pytest.raises(ArgumentError, match="no clip in common"):
        together([answers, replace(shuffled, ids=np.array([f"x{name}" for name in shuffled.ids]))])
    with pytest.raises(ArgumentError, match="disagree on the labels"):
        together([answers, replace(shuffled, target=(shuffled.target + 1) % 3)])
