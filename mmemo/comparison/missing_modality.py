"""Robustness to missing modalities: metrics when a modality is missing from a share of the clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mmemo.comparison.predictions import Modalities, Predictions, predicted_classes
from mmemo.evaluation.bootstrap import Interval, Resamples, percentile_interval
from mmemo.evaluation.metrics import ConfusionMatrix, sample_confusions

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the clips from which a modality is missing."""
ANY = "any modality"


@dataclass(frozen=True)
class RobustnessCurve:
    """One system's metrics as its evidence gets worse.

    Attributes:
        system: its name.
        condition: "voice missing", "any modality missing", "noise in the sound" …
        unit: of the levels: "share of clips", "dB signal to noise" …
        levels: from the best to the worst.
        accuracy, uar: at each level, with 95% intervals over speakers.
    """

    system: str
    condition: str
    unit: str
    levels: tuple[float, ...]
    accuracy: tuple[Interval, ...]
    uar: tuple[Interval, ...]


def curve_of(
    system: str,
    condition: str,
    unit: str,
    levels: Sequence[float],
    confusions: Sequence[np.ndarray],
    resamples: Resamples,
) -> RobustnessCurve:
    """The curve of a system from its confusions (N, K, K + 1) of each sample at each level."""
    matrices = [(ConfusionMatrix(single.sum(axis=0)), ConfusionMatrix(resamples.sums(single))) for single in confusions]
    return RobustnessCurve(
        system,
        condition,
        unit,
        tuple(levels),
        tuple(percentile_interval(float(one.accuracy), many.accuracy) for one, many in matrices),
        tuple(percentile_interval(float(one.uar), many.uar) for one, many in matrices),
    )


def missing_modality_curves(
    predictions: Predictions, resamples: Resamples, shares: Sequence[float] = SHARES
) -> tuple[RobustnessCurve, ...]:
    """Curves as each modality, and any, is missing from clips chosen at random.

    These are expected values over all ways to choose the clips, computed and not simulated: a clip counts as right with
    the share of the ways in which it is. Under ``any modality`` each one is missing from its own share of the clips; a
    clip without any has no prediction.
    """
    modalities = sorted({modality for of in predictions.ablations.values() for missing in of for modality in missing})
    curves = []
    for which in (*modalities, ANY):
        for system, of in predictions.ablations.items():
            if which == ANY:
                weights = [_independent(of, share) for share in shares]
            elif (which,) in of:
                weights = [{(): 1 - share, (which,): share} for share in shares]
            else:
                weights = [{(): 1.0} for _ in shares]  # it does not use the missing modality
            if any(not one for one in weights):
                continue
            confusions = [_expected_confusions(predictions, system, one) for one in weights]
            curves.append(curve_of(system, f"{which} missing", "share of clips", shares, confusions, resamples))
    return tuple(curves)


def _independent(of: Mapping[Modalities, np.ndarray], share: float) -> dict[Modalities, float]:
    """Probability of each ablation if modalities are missing independently; nothing where one has no scores."""
    own = sorted({modality for missing in of for modality in missing})
    probabilities = {
        tuple(missing): share ** len(missing) * (1 - share) ** (len(own) - len(missing))
        for size in range(len(own) + 1)
        for missing in combinations(own, size)
    }
    return probabilities if all(not missing or missing in of for missing in probabilities) else {}


def _expected_confusions(predictions: Predictions, system: str, weights: Mapping[Modalities, float]) -> np.ndarray:
    classes = len(predictions.labels)
    expected = np.zeros((len(predictions), classes, classes + 1))
    for missing, weight in weights.items():
        scores = predictions.ablations[system][missing] if missing else predictions.scores[system]
        expected += weight * sample_confusions(predictions.target, predicted_classes(scores), classes)
    return expected
