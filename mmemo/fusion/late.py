"""Late fusion: a weighted product of calibrated experts, one a modality; and the rules that learn nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Self

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.errors import ArgumentError, expected_one_of, require_extra
from mmemo.fusion.base import check_training, present, word_trust
from mmemo.labels import LabelSet

_WIDEST = 6.0
"""The largest logarithm of a ratio of two weights that `LateFusion.fit` tries: 400 to 1."""
_SHRINKAGE = 0.003
"""How strongly the weights of classes are drawn towards the weight of their modality."""


class LateFusion:
    """Weighted product of experts: ``log p = n ** agreement * sum(share_m * log p_m) + constant``.

    The sum goes over the n modalities present. ``share_m`` is the modality's weight divided by the weights of all that
    are present, so one modality alone gives just its own scores. Recognized words weigh less where the recognizer is
    unsure of them (`mmemo.fusion.base.word_trust`). A modality may have a weight for each class: the face may be
    trusted with happiness, the voice with anger. ``agreement`` is how far experts that agree strengthen each other: 0
    is their geometric mean, 1 the product of independent experts (Hinton, "Products of experts", ICANN 1999).

    Args:
        labels: classes of every expert, and of the fused scores.
        weights: a positive weight for each modality the head can take, or K of them, one a class.
        agreement: from 0 to 1.

    Raises:
        ArgumentError: if a weight is not positive or ``agreement`` lies outside 0 to 1.

    >>> import numpy as np
    >>> from mmemo.fusion.late import LateFusion, scores_only
    >>> from mmemo.labels import LabelSet
    >>> head = LateFusion(LabelSet("two", ("calm", "tense")), {"face": 3.0, "voice": 1.0}, agreement=0.0)
    >>> face, voice = (scores_only(np.log([scores])) for scores in ([0.9, 0.1], [0.5, 0.5]))
    >>> head.fuse({"face": face, "voice": voice}).round(2)
    array([[0.84, 0.16]])
    >>> head.shares({"face": face, "voice": voice})["face"]
    array([0.75])
    """

    kind = "late"

    def __init__(
        self, labels: LabelSet, weights: Mapping[str, float | Sequence[float]], agreement: float = 0.5
    ) -> None:
        arrays = {modality: _numbers(weight) for modality, weight in weights.items()}
        bad = {
            modality: weights[modality]
            for modality, weight in arrays.items()
            if not ((weight > 0) & (weight < np.inf)).all() or weight.shape not in ((), (len(labels),))
        }
        if bad or not weights:
            raise ArgumentError(
                f"LateFusion needs positive weights, one a modality or one a class, got {bad or dict(weights)}."
            )
        if not 0 <= agreement <= 1:
            raise ArgumentError(f"LateFusion: agreement goes from 0 to 1, got {agreement}.")
        self.labels = labels
        self.weights = dict(weights)
        self.agreement = agreement
        self._table = np.stack([np.broadcast_to(weight, len(labels)) for weight in arrays.values()])

    def _class_shares(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """(B, M, K): share of each modality in each class; 0 where it is absent."""
        trust = present(self, self.weights, encodings) * word_trust(self.weights, encodings)
        weights = trust[:, :, None] * self._table
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Share of each modality in each row, (B,) float64: the mean over the classes."""
        mean = self._class_shares(encodings).mean(axis=2)
        return {m: mean[:, column] for column, m in enumerate(self.weights) if m in encodings}

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64 of calibrated encodings; see `mmemo.fusion.base.FusionHead`."""
        return weighted_product(self.labels, self._class_shares(encodings), self.weights, encodings, self.agreement)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings and (no) arrays."""
        return {"kind": self.kind, "weights": self.weights, "agreement": self.agreement}, {}

    @classmethod
    def from_state(
        cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> Self:
        """Rebuild from what `state` gave."""
        del arrays
        return cls(labels, settings["weights"], settings["agreement"])

    @classmethod
    def fit(
        cls,
        labels: LabelSet,
        encodings: Mapping[str, Encoding],
        target: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        seed: int = 0,
        per_class: bool = False,
    ) -> Self:
        """Learn weights and agreement by the log loss over every subset of two or more modalities.

        Args:
            encodings: calibrated, of N samples; a sample counts for each subset of the modalities it has.
            target: (N,) int class indices.
            groups: not needed, as nothing is held out.
            seed: not needed, as nothing is random.
            per_class: whether to learn a weight for each class too, drawn towards the modality's own.

        Raises:
            ArgumentError: if there is one modality only, or no sample has two; see also `check_training`.
        """
        require_extra("Fitting a fusion head", "train", "scipy")
        from scipy.optimize import minimize  # takes longer to import than fusing does

        del seed
        encodings, target, _ = check_training(cls.__name__, labels, encodings, target, groups)
        modalities = sorted(encodings)
        subsets = [
            (target[rows], {modality: _scores(encodings[modality], rows) for modality in chosen})
            for size in range(2, len(modalities) + 1)
            for chosen in combinations(modalities, size)
            if len(rows := np.flatnonzero(np.all([encodings[modality].present for modality in chosen], axis=0)))
        ]
        if not subsets:
            raise ArgumentError(f"LateFusion.fit needs samples with two modalities at least, got {modalities} apart.")

        def build(parameters: np.ndarray) -> LateFusion:
            weights = np.exp(np.append(parameters[1 : len(modalities)], 0.0))
            weights = weights / weights.sum()
            table: dict[str, float | Sequence[float]] = {
                modality: float(weight) for modality, weight in zip(modalities, weights, strict=True)
            }
            if len(parameters) > len(modalities):
                by_class = np.exp(parameters[len(modalities) :].reshape(len(modalities), -1))
                table = {
                    modality: [float(weight * one) for one in row]
                    for (modality, weight), row in zip(table.items(), by_class, strict=True)
                }
            return cls(labels, table, float(parameters[0]))

        def loss(parameters: np.ndarray) -> float:
            head = build(parameters)
            total = 0.0
            for label, chosen in subsets:
                total -= float(np.mean(np.log(head.fuse(chosen)[np.arange(len(label)), label] + 1e-12)))
            return total / len(subsets) + _SHRINKAGE * float(np.sum(parameters[len(modalities) :] ** 2))

        start = np.append(0.5, np.zeros(len(modalities) - 1))
        bounds = [(0.0, 1.0)] + [(-_WIDEST, _WIDEST)] * (len(modalities) - 1)
        best = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
        if per_class:
            start = np.append(best, np.zeros(len(modalities) * len(labels)))
            bounds += [(-_WIDEST, _WIDEST)] * (len(start) - len(bounds))
            best = minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40}).x
        head = build(best)
        return cls(labels, head.weights, head.agreement)


def _numbers(weight: float | Sequence[float]) -> np.ndarray:
    """A weight as float64; NaN for what is no number, or larger than any."""
    try:
        return np.asarray(weight, float)
    except (OverflowError, TypeError, ValueError):
        return np.array(np.nan)


class RuleFusion:
    """Mean or maximum of the scores of the modalities present, without learning: the baselines of a learned head.

    They are the sum and the max rule of Kittler et al., "On combining classifiers", IEEE TPAMI 20(3), 1998.

    Args:
        labels: classes of every expert, and of the fused scores.
        modalities: all that the head can take.
        rule: "mean" or "max"; it is the head's ``kind`` too.

    Raises:
        ArgumentError: for another rule.

    >>> import numpy as np
    >>> from mmemo.fusion.late import RuleFusion, scores_only
    >>> from mmemo.labels import LabelSet
    >>> head = RuleFusion(LabelSet("two", ("calm", "tense")), ("face", "voice"))
    >>> face, voice = (scores_only(np.log([scores])) for scores in ([0.9, 0.1], [0.5, 0.5]))
    >>> head.fuse({"face": face, "voice": voice}).round(2)
    array([[0.7, 0.3]])
    """

    def __init__(self, labels: LabelSet, modalities: Iterable[str], rule: str = "mean") -> None:
        if rule not in ("mean", "max"):
            raise ArgumentError(expected_one_of("Rule of RuleFusion", ("mean", "max"), rule))
        self.labels = labels
        self.modalities = dict.fromkeys(modalities, 1.0)
        self.kind = rule

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Equal shares of the modalities present, (B,) float64."""
        presence = present(self, self.modalities, encodings)
        equal = presence / presence.sum(axis=1, keepdims=True)
        return {m: equal[:, column] for column, m in enumerate(self.modalities) if m in encodings}

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64."""
        presence = present(self, self.modalities, encodings)
        scores = np.zeros((*presence.shape, len(self.labels)))
        for column, modality in enumerate(self.modalities):
            if modality in encodings:
                rows = presence[:, column]
                scores[rows, column] = softmax(encodings[modality].logits[rows].astype(float))
        pooled = scores.sum(axis=1) if self.kind == "mean" else scores.max(axis=1)
        return np.asarray(pooled / pooled.sum(axis=1, keepdims=True))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings and (no) arrays."""
        return {"kind": self.kind, "modalities": list(self.modalities)}, {}

    @classmethod
    def from_state(
        cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> Self:
        """Rebuild from what `state` gave."""
        del arrays
        return cls(labels, settings["modalities"], settings["kind"])

    @classmethod
    def fit(
        cls,
        labels: LabelSet,
        encodings: Mapping[str, Encoding],
        target: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        seed: int = 0,
        rule: str = "mean",
    ) -> Self:
        """A head for the modalities of the encodings: there is nothing to learn.

        Args:
            rule: "mean" or "max". The others: `mmemo.fusion.base.FittableHead`.
        """
        del seed
        check_training(cls.__name__, labels, encodings, target, groups)
        return cls(labels, sorted(encodings), rule)


def _scores(encoding: Encoding, rows: np.ndarray) -> Encoding:
    """Some rows, without their tokens: late fusion reads the logits only."""
    return scores_only(encoding.logits[rows], encoding.present[rows])


def scores_only(logits: np.ndarray, present: np.ndarray | None = None) -> Encoding:
    """Logits (N, K) as an encoding with one empty token of width 1.

    Args:
        present: (N,) bool; all by default.
    """
    mask = np.ones(len(logits), bool) if present is None else present
    return Encoding(np.zeros((len(logits), 1, 1), np.float32), mask[:, None], logits)


def weighted_product(
    labels: LabelSet,
    shares: np.ndarray,
    modalities: Iterable[str],
    encodings: Mapping[str, Encoding],
    agreement: float,
) -> np.ndarray:
    """Scores (B, K) float64 of a product of experts.

    Recognized words count in ``n ** agreement`` only as far as they are trusted.

    Args:
        shares: (B, M, K), or (B, M, 1) where they are the same in all classes.
        modalities: M of them, in the order of ``shares``.
    """
    modalities = tuple(modalities)
    pooled, count = np.zeros((len(shares), len(labels))), np.zeros(len(shares))
    trust = word_trust(dict.fromkeys(modalities), encodings)
    for column, modality in enumerate(modalities):
        if modality in encodings:
            rows = encodings[modality].present
            count += rows * trust[:, column]
            pooled[rows] += shares[rows, column] * log_softmax(encodings[modality].logits[rows].astype(float))
    return softmax(pooled * (np.maximum(count, 1) ** agreement)[:, None])
