"""Stacked fusion: a logistic regression over the experts' log scores."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.errors import ArgumentError
from mmemo.fusion.base import check_training, present
from mmemo.labels import LabelSet

_FLOOR = -12.0
"""Log scores are cut off here: an expert that is sure and wrong must not outvote all others."""


class Learner(Protocol):
    """Class scores of plain features, kept as plain arrays."""

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(N, K) float64 of features (N, D)."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """All its arrays."""
        ...


L = TypeVar("L", bound=Learner)


class StackingHead(Generic[L]):
    """The base of heads that learn from the experts' log scores of all classes.

    Features of a row are the experts' log scores, centered over the classes. An absent modality has zeros there, and an
    indicator. A modality has one set of features for rows where it is alone, and one for rows where others are there:
    alone it must decide, together with others it need not repeat them. The learner is trained on every subset of the
    modalities of each sample, so rows that lack some are nothing new to it.

    Args:
        labels: classes of every expert, and of the fused scores.
        modalities: all that the head can take.
        learner: over ``modalities x (2 K + 1)`` features.
        width: number of features that the learner was fitted on.

    Raises:
        ArgumentError: if that is another number.
    """

    kind: str

    def __init__(self, labels: LabelSet, modalities: tuple[str, ...], learner: L, width: int) -> None:
        expected = len(modalities) * (2 * len(labels) + 1)
        if width != expected:
            raise ArgumentError(
                f"{type(self).__name__} of {modalities} and {len(labels)} labels needs {expected} features, the "
                f"learner has {width}."
            )
        self.labels = labels
        self.modalities = modalities
        self.learner = learner

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64."""
        features, _ = self._features(encodings)
        return softmax(self.learner.logits(features))

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Share of each modality in each row, (B,) float64: how far it moves the log scores apart, against all."""
        features, presence = self._features(encodings)
        width = 2 * len(self.labels)
        spread = np.zeros(presence.shape)
        for column in range(len(self.modalities)):
            effect = self._effect(features, slice(column * width, (column + 1) * width))
            spread[:, column] = (effect.std(axis=1) + 1e-9) * presence[:, column]
        spread /= spread.sum(axis=1, keepdims=True)
        return {m: spread[:, column] for column, m in enumerate(self.modalities) if m in encodings}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings, and the arrays of the learner."""
        return {"kind": self.kind, "modalities": list(self.modalities)}, self.learner.state()

    def _effect(self, features: np.ndarray, part: slice) -> np.ndarray:
        """(B, K): what the features of one modality add to the log scores."""
        raise NotImplementedError

    def _features(self, encodings: Mapping[str, Encoding]) -> tuple[np.ndarray, np.ndarray]:
        presence = present(self, dict.fromkeys(self.modalities), encodings)
        return _features(self.modalities, len(self.labels), encodings, presence), presence


class StackedFusion(StackingHead[LinearProbe]):
    """Logistic regression over the experts' log scores: "when the voice scores fear or joy high, believe the face".

    For its features see `StackingHead`. Fitting takes scikit-learn; the head holds plain arrays, so analyzing needs
    NumPy only. Source: Wolpert, "Stacked generalization", Neural Networks 5(2), 1992.

    Args:
        labels: classes of every expert, and of the fused scores.
        modalities: all that the head can take.
        probe: a logistic regression over ``modalities x (2 K + 1)`` features.

    Raises:
        ArgumentError: if ``probe`` takes another number of features.

    >>> import numpy as np
    >>> from mmemo.fusion.late import scores_only
    >>> from mmemo.fusion.stacked import StackedFusion
    >>> from mmemo.labels import LabelSet
    >>> target = np.arange(40) % 2
    >>> encodings = {name: scores_only(np.eye(2)[target]) for name in ("face", "voice")}
    >>> head = StackedFusion.fit(LabelSet("two", ("calm", "tense")), encodings, target)
    >>> bool((head.fuse(encodings).argmax(axis=1) == target).all())
    True
    """

    kind = "stacked"

    def __init__(self, labels: LabelSet, modalities: tuple[str, ...], probe: LinearProbe) -> None:
        super().__init__(labels, modalities, probe, len(probe.mean))

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        return cls(labels, tuple(settings["modalities"]), LinearProbe.from_state(arrays))

    @classmethod
    def fit(
        cls,
        labels: LabelSet,
        encodings: Mapping[str, Encoding],
        target: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        seed: int = 0,
    ) -> Self:
        """Learn; the regularization is chosen on groups held out, and nothing is random.

        Arguments: `mmemo.fusion.base.FittableHead`.

        Raises:
            ArgumentError: see `check_training`.
        """
        del seed
        modalities, features, target, groups = training_features(cls.__name__, labels, encodings, target, groups)
        return cls(labels, modalities, LinearProbe.fit(features, target, len(labels), groups=groups))

    def _effect(self, features: np.ndarray, part: slice) -> np.ndarray:
        return np.asarray(features[:, part] / self.learner.scale[part] @ self.learner.weights[part])


def training_features(
    head: str, labels: LabelSet, encodings: Mapping[str, Encoding], target: np.ndarray, groups: np.ndarray | None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """Modalities, and features, targets and groups of every subset of the modalities of each sample.

    Raises:
        ArgumentError: see `check_training`.
    """
    encodings, target, groups = check_training(head, labels, encodings, target, groups)
    modalities = tuple(sorted(encodings))
    presence = np.stack([encodings[m].present for m in modalities], axis=1)
    features, rows = [], []
    for size in range(1, len(modalities) + 1):
        for chosen in combinations(range(len(modalities)), size):
            having = np.flatnonzero(presence[:, chosen].all(axis=1))
            subset = np.zeros((len(having), len(modalities)), bool)
            subset[:, chosen] = True
            some = {m: encodings[m].rows(having) for m in modalities}
            features.append(_features(modalities, len(labels), some, subset))
            rows.append(having)
    every = np.concatenate(rows)
    return modalities, np.concatenate(features), target[every], groups[every]


def _features(
    modalities: tuple[str, ...], classes: int, encodings: Mapping[str, Encoding], presence: np.ndarray
) -> np.ndarray:
    """(B, M (2 K + 1)): for each modality its scores where it is alone and where it is not; then the indicators."""
    alone = presence.sum(axis=1) == 1
    parts = []
    for column, modality in enumerate(modalities):
        scores = np.zeros((len(presence), classes))
        rows = presence[:, column]
        if modality in encodings and rows.any():
            scores[rows] = np.maximum(log_softmax(encodings[modality].logits[rows].astype(float)), _FLOOR)
            scores[rows] -= scores[rows].mean(axis=1, keepdims=True)
        parts += [scores * alone[:, None], scores * ~alone[:, None]]
    return np.concatenate([*parts, presence], axis=1)
