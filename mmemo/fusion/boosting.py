"""Boosted trees over the experts' log scores: fitted by scikit-learn, kept as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax
from mmemo.errors import ArgumentError
from mmemo.fusion.base import hold_out
from mmemo.fusion.stacked import StackingHead, training_features
from mmemo.labels import LabelSet

_NEVER = -30.0
"""Log score of a class that no training sample had."""
_HELD_OUT = 0.25
"""Share of the groups held out to choose the number of stages."""
_STAGES, _STAGES_ALONE = 120, 40
"""Most stages that are tried, and their number where no group can be held out."""
_ARRAYS = ("feature", "threshold", "left", "right", "value", "prior", "classes")


class BoostingFusion(StackingHead["BoostedTrees"]):
    """Gradient boosted trees over the experts' log scores, which model how the scores interact.

    They need more samples than a regression (`mmemo.fusion.stacked.StackedFusion`). For their features see
    `StackingHead`; a modality's share is how far the log scores move if its own are made equal for all classes. Fitting
    takes scikit-learn; the head holds plain arrays, so analyzing needs NumPy only.

    Args:
        labels: classes of every expert, and of the fused scores.
        modalities: all that the head can take.
        trees: over ``modalities x (2 K + 1)`` features.

    Raises:
        ArgumentError: if ``trees`` take another number of features.

    >>> import numpy as np
    >>> from mmemo.fusion.boosting import BoostingFusion
    >>> from mmemo.fusion.late import scores_only
    >>> from mmemo.labels import LabelSet
    >>> target = np.arange(40) % 2
    >>> encodings = {name: scores_only(np.eye(2)[target]) for name in ("face", "voice")}
    >>> head = BoostingFusion.fit(LabelSet("two", ("calm", "tense")), encodings, target)
    >>> bool((head.fuse(encodings).argmax(axis=1) == target).all())
    True
    """

    kind = "boosting"

    def __init__(self, labels: LabelSet, modalities: tuple[str, ...], trees: BoostedTrees) -> None:
        super().__init__(labels, modalities, trees, trees.features)

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        return cls(labels, tuple(settings["modalities"]), BoostedTrees.from_state(arrays))

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
        """Learn; the number of trees is chosen on groups held out.

        Arguments: `mmemo.fusion.base.FittableHead`.

        Raises:
            ArgumentError: see `check_training`.
        """
        modalities, features, target, groups = training_features(cls.__name__, labels, encodings, target, groups)
        return cls(labels, modalities, BoostedTrees.fit(features, target, len(labels), groups=groups, seed=seed))

    def _effect(self, features: np.ndarray, part: slice) -> np.ndarray:
        without = features.copy()
        without[:, part] = 0
        return np.asarray(self.learner.logits(features) - self.learner.logits(without))


class BoostedTrees:
    """Gradient boosting (Friedman, Annals of Statistics 29(5), 2001): ``logit_k = prior_k + sum over trees of leaf``.

    Args:
        features: D.
        feature: (S, K', M) int, the feature that each node of each tree compares, -1 in a leaf; S stages, a tree a
            class, K' classes that occurred in training (one tree if there were two).
        threshold: (S, K', M) float64; left if the feature is at most that.
        left: (S, K', M) int, the next node; ``right`` likewise.
        right: see ``left``.
        value: (S, K', M) float64, of a leaf, the learning rate included.
        prior: (K',) float64.
        classes: (C,) int, which of the K classes occurred in training.
        count: K.
    """

    def __init__(
        self,
        features: int,
        count: int,
        *,
        feature: np.ndarray,
        threshold: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        value: np.ndarray,
        prior: np.ndarray,
        classes: np.ndarray,
    ) -> None:
        self.features, self.count = features, count
        self.feature, self.threshold, self.left, self.right = feature, threshold, left, right
        self.value, self.prior, self.classes = value, prior, classes

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(N, K) float64 of features (N, D).

        Raises:
            ArgumentError: if D is another than in training.
        """
        if features.ndim != 2 or features.shape[1] != self.features:
            raise ArgumentError(
                f"These trees were fitted on {self.features} features, got an array of shape {features.shape}."
            )
        trees = self.feature.reshape(-1, self.feature.shape[-1])
        rows, columns = np.arange(len(features))[:, None], np.arange(len(trees))
        single = features.astype(np.float32)  # as scikit-learn compares them
        node = np.zeros((len(features), len(trees)), np.intp)
        while True:
            compared = trees[columns, node]
            inner = compared >= 0
            if not inner.any():
                break
            low = single[rows, np.maximum(compared, 0)] <= self.threshold.reshape(trees.shape)[columns, node]
            below = np.where(
                low, self.left.reshape(trees.shape)[columns, node], self.right.reshape(trees.shape)[columns, node]
            )
            node = np.where(inner, below, node)
        leaves = self.value.reshape(trees.shape)[columns, node].reshape(len(features), *self.feature.shape[:2])
        raw = self.prior + leaves.sum(axis=1)
        logits = np.full((len(features), self.count), _NEVER)
        logits[:, self.classes] = np.concatenate([-raw, raw], axis=1) / 2 if raw.shape[1] == 1 else raw
        return logits

    def state(self) -> dict[str, np.ndarray]:
        """The arrays."""
        return {"size": np.array([self.features, self.count]), **{name: getattr(self, name) for name in _ARRAYS}}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        features, count = (int(size) for size in arrays["size"])
        return cls(features, count, **{name: arrays[name] for name in _ARRAYS})

    @classmethod
    def fit(cls, features: np.ndarray, target: np.ndarray, count: int, *, groups: np.ndarray, seed: int = 0) -> Self:
        """Fit with the number of stages that has the least log loss on groups held out.

        Args:
            features: (N, D) float.
            target: (N,) int, of two classes or more.
            count: K.
            groups: (N,) the speaker of each sample; none is both fitted and held out.
            seed: of the draws of samples and features, and of the groups held out.
        """
        held_out = hold_out(groups, target, _HELD_OUT, seed)
        stages = _STAGES_ALONE
        if held_out.any() and len(np.unique(target[~held_out])) > 1:
            trial = _boosting(_STAGES, seed).fit(features[~held_out], target[~held_out])
            label = np.searchsorted(trial.classes_, target[held_out])
            losses = [_loss(raw, label) for raw in trial.staged_decision_function(features[held_out])]
            stages = 1 + int(np.argmin(losses))
        return cls._from_model(_boosting(stages, seed).fit(features, target), features.shape[1], count)

    @classmethod
    def _from_model(cls, model: Any, features: int, count: int) -> Self:
        """The arrays of a fitted ``GradientBoostingClassifier``."""
        trees = [[one.tree_ for one in stage] for stage in model.estimators_]
        most = max(tree.node_count for stage in trees for tree in stage)

        def table(values: list[list[np.ndarray]], kind: type, empty: float) -> np.ndarray:
            array = np.full((len(trees), len(trees[0]), most), empty, kind)
            for number, stage in enumerate(values):
                for column, one in enumerate(stage):
                    array[number, column, : len(one)] = one
            return array

        shares = np.clip(model.init_.class_prior_, 1e-12, 1 - 1e-12)
        two = len(model.classes_) == 2
        return cls(
            features,
            count,
            feature=table([[np.maximum(t.feature, -1) for t in stage] for stage in trees], np.int64, -1),
            threshold=table([[t.threshold for t in stage] for stage in trees], np.float64, 0),
            left=table([[np.maximum(t.children_left, 0) for t in stage] for stage in trees], np.int64, 0),
            right=table([[np.maximum(t.children_right, 0) for t in stage] for stage in trees], np.int64, 0),
            value=table([[model.learning_rate * t.value[:, 0, 0] for t in stage] for stage in trees], np.float64, 0),
            prior=np.log(shares[1:] / shares[:1]) if two else np.log(shares),
            classes=np.asarray(model.classes_, np.int64),
        )


def _boosting(stages: int, seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier  # fitting only: analyzing must not need scikit-learn

    return GradientBoostingClassifier(
        n_estimators=stages, learning_rate=0.1, max_depth=3, subsample=0.7, max_features="sqrt", random_state=seed
    )


def _loss(raw: np.ndarray, label: np.ndarray) -> float:
    raw = raw.reshape(len(label), -1)
    logits = np.concatenate([-raw, raw], axis=1) / 2 if raw.shape[1] == 1 else raw
    return float(-log_softmax(logits)[np.arange(len(label)), label].mean())
