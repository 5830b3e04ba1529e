"""What is measured of each system: figures with intervals over speakers, by class, by group, and of calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmemo.comparison import tables
from mmemo.comparison.predictions import Answers, answered
from mmemo.comparison.resampling import Draws, interval
from mmemo.evaluation.bootstrap import Interval
from mmemo.evaluation.metrics import (
    brier_score,
    concordance,
    expected_calibration_error,
    negative_log_likelihood,
)

BINS = 15
"""Of equal width, of the highest score; as in `mmemo.evaluation.metrics.expected_calibration_error`."""
_MOST_GROUPS = 60
"""So many values of one column are told apart; a column with more, such as a thousand speakers, is left out."""


@dataclass(frozen=True)
class Bin:
    """One bin of the reliability diagram: how many clips, their mean highest score, and the share of them right."""

    clips: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Group:
    """One system on the clips of one group.

    Attributes:
        column, value: such as "gender" and "female".
        clips: how many.
        accuracy, uar: their intervals resample speakers, or clips where the group is of one speaker.
    """

    column: str
    value: str
    clips: int
    accuracy: Interval
    uar: Interval


@dataclass(frozen=True, eq=False)
class Measured:
    """One system's figures on N clips.

    Attributes:
        name: of the system.
        answered: share of the clips it had something to say of; the others count as wrong.
        accuracy, uar, weighted_f1, macro_f1: with 95% intervals.
        ece, nll, brier: the same for calibration: expected calibration error, negative log likelihood, Brier score.
        recalls: by label, with intervals; NaN for a label that does not occur.
        confusion: (K, K + 1) int64: row = true class, column = answer, the last one for no answer.
        reliability: the bins that hold any clip.
        groups: by gender, language, speaker …
        concordance: CCC by dimension, if the system tells any.
    """

    name: str
    answered: float
    accuracy: Interval
    uar: Interval
    weighted_f1: Interval
    macro_f1: Interval
    ece: Interval
    nll: Interval
    brier: Interval
    recalls: Mapping[str, Interval]
    confusion: np.ndarray
    reliability: tuple[Bin, ...]
    groups: tuple[Group, ...]
    concordance: Mapping[str, Interval]


FIGURES = ("accuracy", "uar", "weighted_f1", "macro_f1", "ece", "nll", "brier")
"""The figures of `Measured` that are one number with an interval, in the order of tables."""


def measure(answers: Answers, name: str, draws: Draws, *, by: tuple[str, ...] = ()) -> Measured:
    """Measure one system.

    Args:
        draws: of these clips, by their speakers.
        by: columns of ``answers.groups`` to tell apart.
    """
    scores, target, classes = answers.scores[name], answers.target, len(answers.labels)
    own = tables.cells(target, tables.said(scores), classes)
    drawn, table = draws.totals(own), own.sum(axis=0)
    recalls, drawn_recalls = tables.recalls(table), tables.recalls(drawn)
    counts = draws.totals(np.ones(len(answers)))
    loss = -np.log(np.clip(scores[np.arange(len(target)), target], 1e-12, None))
    squares = np.sum((scores - np.eye(classes)[target]) ** 2, axis=1)
    return Measured(
        name,
        float(answered(scores).mean()),
        interval(float(tables.accuracies(table)), tables.accuracies(drawn)),
        interval(float(tables.uars(table)), tables.uars(drawn)),
        interval(float(tables.weighted_f1s(table)), tables.weighted_f1s(drawn)),
        interval(float(tables.macro_f1s(table)), tables.macro_f1s(drawn)),
        interval(expected_calibration_error(target, scores, BINS), _drawn_ece(target, scores, draws, counts)),
        interval(negative_log_likelihood(target, scores), draws.totals(loss) / counts),
        interval(brier_score(target, scores), draws.totals(squares) / counts),
        {label: interval(recalls[k], drawn_recalls[:, k]) for k, label in enumerate(answers.labels)},
        table.astype(np.int64),
        reliability(target, scores),
        tuple(group for column in by for group in _groups(answers, own, column)),
        _concordance(answers, name, draws),
    )


def reliability(target: np.ndarray, scores: np.ndarray, bins: int = BINS) -> tuple[Bin, ...]:
    """Bins of the highest score that hold any clip, in rising order (DeGroot & Fienberg, 1983)."""
    sure, right = scores.max(axis=1), scores.argmax(axis=1) == target
    slot = np.minimum((sure * bins).astype(int), bins - 1)
    return tuple(
        Bin(int(here.sum()), float(sure[here].mean()), float(right[here].mean()))
        for here in (slot == number for number in range(bins))
        if here.any()
    )


def _drawn_ece(target: np.ndarray, scores: np.ndarray, draws: Draws, counts: np.ndarray) -> np.ndarray:
    sure, right = scores.max(axis=1), scores.argmax(axis=1) == target
    slot = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.zeros((len(target), BINS))
    gaps[np.arange(len(target)), slot] = sure - right
    return np.asarray(np.abs(draws.totals(gaps)).sum(axis=1) / counts)


def _groups(answers: Answers, own: np.ndarray, column: str) -> list[Group]:
    values = answers.groups[column]
    names = sorted(set(values.tolist()) - {""})
    if not 1 < len(names) <= _MOST_GROUPS:
        return []
    found = []
    for value in names:
        here = values == value
        part = own[here]
        inner = None if answers.clusters is None else answers.clusters[here]
        several = inner is not None and len(np.unique(inner)) > 1
        drawn = Draws(int(here.sum()), inner if several else None, 1000).totals(part)
        table = part.sum(axis=0)
        found.append(
            Group(
                column,
                value,
                int(here.sum()),
                interval(float(tables.accuracies(table)), tables.accuracies(drawn)),
                interval(float(tables.uars(table)), tables.uars(drawn)),
            )
        )
    return found


def _concordance(answers: Answers, name: str, draws: Draws) -> dict[str, Interval]:
    """CCC of each dimension by its sums, on the clips where it is annotated."""
    found = {}
    for what, told in answers.values.get(name, {}).items():
        true = answers.true_values.get(what, np.full(len(answers), np.nan))
        known = np.isfinite(true) & np.isfinite(told)
        if known.sum() < 2:
            continue
        a, b = np.where(known, true, 0), np.where(known, told, 0)
        sums = draws.totals(np.stack([known, a, b, a * a, b * b, a * b], axis=1).astype(float))
        n, a1, b1, a2, b2, ab = sums.T
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = a2 / n - (a1 / n) ** 2 + b2 / n - (b1 / n) ** 2 + (a1 / n - b1 / n) ** 2
            drawn = 2 * (ab / n - a1 * b1 / n**2) / spread
        found[what] = interval(concordance(true[known], told[known]), drawn)
    return found
