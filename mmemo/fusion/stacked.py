"""Stacked fusion: a logistic regression, or boosted trees, over the experts' log scores."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Literal, Self

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.fusion.base import check_training, present
from mmemo.fusion.boosting import BoostedTrees
from mmemo.labels import LabelSet
from mmemo.softmax import log_softmax, softmax

_FLOOR = -12.0
"""Log scores below this say no more: an expert that is sure and wrong must not outvote all others."""


class StackedFusion:
    """Learns from what each expert says of every class: "when the voice hears fear or joy, believe the face".

    Features of a row are the experts' log scores, centred over the classes. An absent modality has zeros there, and an
    indicator. A modality has one set of weights for rows where it is alone, and one for rows where others are there:
    alone it must decide, together with others it need not repeat what they say. It is trained on every subset of the
    modalities of each sample, so that rows which lack some are nothing new. Source: Wolpert, "Stacked generalization",
    Neural Networks 5(2), 1992.

    Fitting takes scikit-learn; what is kept are plain arrays, so analyzing needs NumPy only.

    Args:
        labels: classes of every expert, and of the fused scores.
        modalities: all that the head can take.
        probe: a logistic regression or boosted trees over ``modalities x (2 K + 1)`` features.

    Raises:
        ArgumentError: if ``probe`` takes another number of features.
    """

    kind = "stacked"

    def __init__(self, labels: LabelSet, modalities: tuple[str, ...], probe: LinearProbe | BoostedTrees) -> None:
        width = len(modalities) * (2 * len(labels) + 1)
        known = len(probe.mean) if isinstance(probe, LinearProbe) else probe.features
        if known != width:
            raise ArgumentError(
                f"StackedFusion of {modalities} and {len(labels)} labels needs {width} features, the probe has {known}."
            )
        self.labels = labels
        self.modalities = modalities
        self.probe = probe

    def _features(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        return _features(self.modalities, len(self.labels), encodings, self._present(encodings))

    def _present(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        return present(self, dict.fromkeys(self.modalities), encodings)

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64."""
        return softmax(self.probe.logits(self._features(encodings)))

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Share of each modality: how far its terms move the log scores apart, against all modalities' terms.

        Of trees: how far the log scores move if what the modality says is made equal for all classes.
        """
        there = self._present(encodings)
        features = self._features(encodings)
        width = 2 * len(self.labels)
        moved = np.zeros(there.shape)
        for column in range(len(self.modalities)):
            part = slice(column * width, (column + 1) * width)
            if isinstance(self.probe, LinearProbe):
                terms = features[:, part] / self.probe.scale[part] @ self.probe.weights[part]
            else:
                silent = features.copy()
                silent[:, part] = 0
                terms = self.probe.logits(features) - self.probe.logits(silent)
            moved[:, column] = (terms.std(axis=1) + 1e-9) * there[:, column]
        moved /= moved.sum(axis=1, keepdims=True)
        return {m: moved[:, column] for column, m in enumerate(self.modalities) if m in encodings}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings, and the arrays of the regression or the trees."""
        learner = "regression" if isinstance(self.probe, LinearProbe) else "boosting"
        return {"kind": self.kind, "modalities": list(self.modalities), "learner": learner}, self.probe.state()

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        kind = BoostedTrees if settings.get("learner") == "boosting" else LinearProbe
        return cls(labels, tuple(settings["modalities"]), kind.from_state(arrays))

    @classmethod
    def fit(
        cls,
        labels: LabelSet,
        encodings: Mapping[str, Encoding],
        target: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        seed: int = 0,
        learner: Literal["regression", "boosting"] = "regression",
    ) -> Self:
        """Learn; regularisation, or the number of trees, is chosen on groups held out.

        Arguments: `mmemo.fusion.base.FittableHead`.

        Args:
            learner: "regression", or "boosting" for gradient boosted trees, which see how experts' scores interact and
                need more samples for it.

        Raises:
            ArgumentError: if ``learner`` is another; see also `check_training`.
        """
        if learner not in ("regression", "boosting"):
            raise ArgumentError(expected_one_of("Learner of StackedFusion", ("regression", "boosting"), learner))
        encodings, target, groups = check_training(cls.__name__, labels, encodings, target, groups)
        modalities = tuple(sorted(encodings))
        there = np.stack([encodings[m].present for m in modalities], axis=1)
        features, rows = [], []
        for size in range(1, len(modalities) + 1):
            for chosen in combinations(range(len(modalities)), size):
                having = np.flatnonzero(there[:, chosen].all(axis=1))
                shown = np.zeros((len(having), len(modalities)), bool)
                shown[:, chosen] = True
                some = {m: encodings[m].rows(having) for m in modalities}
                features.append(_features(modalities, len(labels), some, shown))
                rows.append(having)
        every = np.concatenate(rows)
        given = np.concatenate(features), target[every], len(labels)
        if learner == "boosting":
            return cls(labels, modalities, BoostedTrees.fit(*given, groups=groups[every], seed=seed))
        return cls(labels, modalities, LinearProbe.fit(*given, groups=groups[every]))


def _features(
    modalities: tuple[str, ...], classes: int, encodings: Mapping[str, Encoding], there: np.ndarray
) -> np.ndarray:
    """(B, M (2 K + 1)): for each modality its scores where it is alone and where it is not; then the indicators."""
    alone = there.sum(axis=1) == 1
    parts = []
    for column, modality in enumerate(modalities):
        scores = np.zeros((len(there), classes))
        rows = there[:, column]
        if modality in encodings and rows.any():
            scores[rows] = np.maximum(log_softmax(encodings[modality].logits[rows].astype(float)), _FLOOR)
            scores[rows] -= scores[rows].mean(axis=1, keepdims=True)
        parts += [scores * alone[:, None], scores * ~alone[:, None]]
    return np.concatenate([*parts, there], axis=1)
