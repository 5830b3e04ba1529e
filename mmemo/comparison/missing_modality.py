"""How a system holds out when a modality is lost from some of the clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mmemo.comparison import tables
from mmemo.comparison.predictions import Answers, Removed
from mmemo.comparison.resampling import Draws, interval
from mmemo.evaluation.bootstrap import Interval

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the clips that lose a modality."""
ANY = "any modality"


@dataclass(frozen=True)
class Curve:
    """One system's figures as its evidence gets worse.

    Attributes:
        system: its name.
        what: "voice lost", "any modality lost", "noise in the voice" …
        unit: of the levels: "share of clips", "dB signal to noise" …
        levels: from the best to the worst.
        accuracy, uar: at each level, with 95% intervals over speakers.
    """

    system: str
    what: str
    unit: str
    levels: tuple[float, ...]
    accuracy: tuple[Interval, ...]
    uar: tuple[Interval, ...]


def losses(answers: Answers, draws: Draws, shares: Sequence[float] = SHARES) -> tuple[Curve, ...]:
    """Curves under the loss of each modality, and of any, from clips chosen at random.

    These are expected values over all ways to choose the clips, computed and not simulated: a clip is right with the
    share of the ways in which it is. ``any modality`` loses each one in its own share of the clips; a clip that loses
    all has no answer.
    """
    modalities = sorted({modality for of in answers.removed.values() for gone in of for modality in gone})
    curves = []
    for what in (*modalities, ANY):
        for name, of in answers.removed.items():
            if what == ANY:
                weights = [_independent(of, share) for share in shares]
            elif (what,) in of:
                weights = [{(): 1 - share, (what,): share} for share in shares]
            else:
                weights = [{(): 1.0} for _ in shares]  # it does not look at what is lost
            if any(not one for one in weights):
                continue
            found = [_expected(answers, name, one, draws) for one in weights]
            accuracy, uar = zip(*found, strict=True)
            curves.append(Curve(name, f"{what} lost", "share of clips", tuple(shares), accuracy, uar))
    return tuple(curves)


def _independent(of: Mapping[Removed, np.ndarray], share: float) -> dict[Removed, float]:
    """How likely each loss is if each modality is lost by itself; nothing where a loss is not known."""
    own = sorted({modality for gone in of for modality in gone})
    chances = {
        tuple(gone): share ** len(gone) * (1 - share) ** (len(own) - len(gone))
        for size in range(len(own) + 1)
        for gone in combinations(own, size)
    }
    return chances if all(not gone or gone in of for gone in chances) else {}


def _expected(answers: Answers, name: str, weights: Mapping[Removed, float], draws: Draws) -> tuple[Interval, Interval]:
    classes = len(answers.labels)
    own = np.zeros((len(answers), classes, classes + 1))
    for gone, weight in weights.items():
        scores = answers.removed[name][gone] if gone else answers.scores[name]
        own += weight * tables.cells(answers.target, tables.said(scores), classes)
    drawn, table = draws.totals(own), own.sum(axis=0)
    return (
        interval(float(tables.accuracies(table)), tables.accuracies(drawn)),
        interval(float(tables.uars(table)), tables.uars(drawn)),
    )
