"""Linear probe: logistic regression on fixed features, fitted by scikit-learn, stored and used as plain arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from mmemo.encoders.softmax import log_softmax
from mmemo.errors import ArgumentError

STRENGTHS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
"""Values of C, the inverse strength of regularization, that `LinearProbe.fit` chooses from."""
_NEVER = -30.0
"""Log score of a class that no training sample had."""
_FOLDS = 4


class LinearProbe:
    """Multinomial logistic regression on standardized features.

    Args:
        mean: (D,) of the training samples.
        scale: (D,) standard deviations of the training samples.
        weights: (D, K).
        bias: (K,).

    >>> import numpy as np
    >>> from mmemo.encoders.linear_probe import LinearProbe
    >>> features = np.array([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.1, 0.0]])
    >>> probe = LinearProbe.fit(features, np.array([0, 0, 1, 1]), classes=2, strengths=[1.0])
    >>> probe.logits(features).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """

    def __init__(self, mean: np.ndarray, scale: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> None:
        self.mean, self.scale, self.weights, self.bias = mean, scale, weights, bias

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits (N, K) float64 from features (N, D).

        Raises:
            ArgumentError: for another D than in training.
        """
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ArgumentError(
                f"This probe was fitted on {len(self.mean)} features, got an array of shape {features.shape}."
            )
        return np.asarray((features - self.mean) / self.scale @ self.weights + self.bias)

    def state(self) -> dict[str, np.ndarray]:
        """The arrays by name, float32."""
        return {name: np.asarray(getattr(self, name), np.float32) for name in ("mean", "scale", "weights", "bias")}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """A probe from the arrays of `state`."""
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
        """A probe with the regularization that is best on groups held out in turn; see `cross_fit`."""
        if len(strengths) == 1:
            groups = np.zeros(len(target))  # nothing to choose, so nothing to hold out
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
        """A probe with the regularization of the least log loss on groups held out in turn, and its held-out scores.

        The features are rotated onto their principal axes first. That changes nothing in a regression with a quadratic
        penalty, and is much faster where there are more features than samples.

        Args:
            features: (N, D) float.
            target: (N,) int.
            classes: K; a class without samples gets a very low score.
            groups: (N,) speaker or subject of each sample; no group is fitted on and held out at once.
            strengths: values of C.

        Returns:
            The probe, and (N, K) log scores of each sample from a probe that was not fitted on its group: input to fit
            a fusion head. With one group only, nothing can be held out, and they are the probe's own.
        """
        # Constant features stay constant: a scale of nearly zero would amplify their noise.
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
        standard = (features - mean) / scale
        _, values, axes = np.linalg.svd(standard, full_matrices=False)
        axes = axes[values > 1e-6 * max(values[0], 1e-12)]
        rotated = standard @ axes.T
        held_out = np.full((len(strengths), len(target), classes), np.nan)
        for fitted, held in stratified_folds(target, groups):
            models = _models(rotated[fitted], target[fitted], classes, strengths)
            for place, (weights, bias) in enumerate(models):
                held_out[place, held] = rotated[held] @ weights + bias
        scored = np.isfinite(held_out[0, :, 0])
        best = 0
        if scored.any():
            log_scores = log_softmax(held_out[:, scored])
            best = int(np.argmax(log_scores[:, np.arange(scored.sum()), target[scored]].mean(axis=1)))
        weights, bias = next(_models(rotated, target, classes, [strengths[best]]))
        probe = cls(mean, scale, axes.T @ weights, bias)
        return probe, np.where(scored[:, None], held_out[best], probe.logits(features))


def stratified_folds(
    target: np.ndarray, groups: np.ndarray | None, folds: int = _FOLDS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Folds of indices to fit on and to hold out: no group is in both, and classes are stratified.

    Folds whose fitted samples would all be of one class are left out.
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
    """Weights (D, K) and bias (K,) for each strength, each warm-started from the one before."""
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
