"""A linear probe: class scores from a few fixed features, fitted by scikit-learn, kept and used as plain arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from mmemo.errors import ArgumentError
from mmemo.softmax import log_softmax

STRENGTHS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
"""Values of C, the inverse strength of regularisation, that `LinearProbe.fit` chooses from."""
_NEVER = -30.0
"""Log score of a class that no training sample had."""
_FOLDS = 4


class LinearProbe:
    """Multinomial logistic regression on standardised features.

    Args:
        mean: (D,) of the training samples.
        scale: (D,) standard deviations of the training samples.
        weights: (D, K).
        bias: (K,).
    """

    def __init__(self, mean: np.ndarray, scale: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> None:
        self.mean, self.scale, self.weights, self.bias = mean, scale, weights, bias

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(N, K) float64 of features (N, D).

        Raises:
            ArgumentError: if D is another than in training.
        """
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ArgumentError(
                f"This probe was fitted on {len(self.mean)} features, got an array of shape {features.shape}."
            )
        return np.asarray((features - self.mean) / self.scale @ self.weights + self.bias)

    def state(self) -> dict[str, np.ndarray]:
        """The arrays, float32."""
        return {name: np.asarray(getattr(self, name), np.float32) for name in ("mean", "scale", "weights", "bias")}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        return cls(*(arrays[name].astype(np.float64) for name in ("mean", "scale", "weights", "bias")))

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        target: np.ndarray,
        classes: int,
        *,
        groups: np.ndarray | None = None,
        strengths: Sequence[float] = STRENGTHS,
    ) -> Self:
        """Fit with the regularisation that is best on groups held out in turn; see `cross_fit`."""
        if len(strengths) == 1:
            groups = np.zeros(len(target))  # nothing to choose, so nobody need be held out
        return cls.cross_fit(features, target, classes, groups=groups, strengths=strengths)[0]

    @classmethod
    def cross_fit(
        cls,
        features: np.ndarray,
        target: np.ndarray,
        classes: int,
        *,
        groups: np.ndarray | None = None,
        strengths: Sequence[float] = STRENGTHS,
    ) -> tuple[Self, np.ndarray]:
        """Fit with the regularisation that has the least log loss on groups held out in turn.

        The features are rotated onto their principal axes first. That changes nothing in a regression with a quadratic
        penalty, and is much faster where there are more features than samples.

        Args:
            features: (N, D) float.
            target: (N,) int.
            classes: K; a class no sample has gets a very low score.
            groups: (N,) who each sample is of; nobody is fitted and held out at once.
            strengths: values of C.

        Returns:
            The probe, and (N, K) log scores of each sample by a probe that was not fitted on its group: what a fusion
            head should learn from. With one group only, nothing can be held out, and they are the probe's own.
        """
        # Constant features stay constant: a scale of nearly zero would blow their noise up.
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
        standard = (features - mean) / scale
        _, values, axes = np.linalg.svd(standard, full_matrices=False)
        axes = axes[values > 1e-6 * max(values[0], 1e-12)]
        rotated = standard @ axes.T
        held_out = np.full((len(strengths), len(target), classes), np.nan)
        for fitted, held in rounds(target, groups):
            found = _models(rotated[fitted], target[fitted], classes, strengths)
            for place, (weights, bias) in enumerate(found):
                held_out[place, held] = rotated[held] @ weights + bias
        scored = np.isfinite(held_out[0, :, 0])
        best = 0
        if scored.any():
            chances = log_softmax(held_out[:, scored])
            best = int(np.argmax(chances[:, np.arange(scored.sum()), target[scored]].mean(axis=1)))
        weights, bias = next(_models(rotated, target, classes, [strengths[best]]))
        probe = cls(mean, scale, axes.T @ weights, bias)
        return probe, np.where(scored[:, None], held_out[best], probe.logits(features))


def rounds(
    target: np.ndarray, groups: np.ndarray | None, folds: int = _FOLDS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices to fit on and to hold out, in turn, so that no group is in both and classes are spread.

    Rounds whose fitted samples would all be of one class are left out.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # fitting only: analyzing must not need scikit-learn

    names = np.arange(len(target)) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = min(folds, len(np.unique(names)))
    if count < 2:
        return
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    for fitted, held in splitter.split(np.zeros(len(target)), target, names):
        if len(np.unique(target[fitted])) > 1:
            yield fitted, held


def _models(
    features: np.ndarray, target: np.ndarray, classes: int, strengths: Sequence[float]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights (D, K) and bias (K,) for each strength, each begun from the one before."""
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(max_iter=300, tol=1e-3, warm_start=True)
    for strength in strengths:
        model.C = strength
        model.fit(features, target)
        weights, bias = np.zeros((features.shape[1], classes)), np.full(classes, _NEVER)
        if len(model.classes_) == 2:
            weights[:, model.classes_] = np.stack([-model.coef_[0], model.coef_[0]], axis=1) / 2
            bias[model.classes_] = np.array([-1, 1]) * model.intercept_[0] / 2
        else:
            weights[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
        yield weights, bias
