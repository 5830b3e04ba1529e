"""Late fusion: a weighted product of calibrated experts, one a modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.labels import LabelSet
from mmemo.probability import log_softmax, softmax


class LateFusion:
    """Fuses by ``log p = n ** agreement * sum(share_m * log p_m) + constant`` over the n modalities present.

    ``share_m`` is the modality's weight divided by the weights of all that are present, so one modality alone gives
    just its own scores. ``agreement`` says how far experts that agree strengthen each other: 0 is their geometric
    mean, 1 the product of independent experts (Hinton, "Products of experts", ICANN 1999).

    Args:
        labels: classes of every expert, and of the fused scores.
        weights: a positive weight for each modality the head can take.
        agreement: from 0 to 1.

    Raises:
        ArgumentError: if a weight is not positive or ``agreement`` lies outside 0 to 1.
    """

    kind = "late"

    def __init__(self, labels: LabelSet, weights: Mapping[str, float], agreement: float = 0.5) -> None:
        bad = {modality: weight for modality, weight in weights.items() if not 0 < weight < np.inf}
        if bad or not weights:
            raise ArgumentError(f"LateFusion needs positive weights, got {bad or dict(weights)}.")
        if not 0 <= agreement <= 1:
            raise ArgumentError(f"LateFusion: agreement goes from 0 to 1, got {agreement}.")
        self.labels = labels
        self.weights = dict(weights)
        self.agreement = agreement

    def shares(self, present: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Share of each modality in the fused scores of each row.

        Args:
            present: (B,) bool for each modality.

        Returns:
            (B,) float64 for each modality; a row sums to 1 over the modalities present in it.

        Raises:
            ArgumentError: for a modality the head has no weight for, or a row in which nothing is present.
        """
        for modality in present:
            if modality not in self.weights:
                raise ArgumentError(expected_one_of("Modality of this fusion head", self.weights, modality))
        weighed = {modality: self.weights[modality] * rows for modality, rows in present.items()}
        total = sum(weighed.values()) if weighed else np.zeros(0)
        if not weighed or not np.all(total > 0):
            raise ArgumentError("LateFusion: a row has no modality at all; leave such rows out before fusing.")
        return {modality: rows / total for modality, rows in weighed.items()}

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64 of calibrated encodings; see `mmemo.fusion.base.FusionHead`."""
        present = {modality: encoding.present for modality, encoding in encodings.items()}
        shares = self.shares(present)
        count = np.sum(list(present.values()), axis=0)
        pooled = np.zeros((len(count), len(self.labels)))
        for modality, encoding in encodings.items():
            rows = present[modality]
            pooled[rows] += shares[modality][rows, None] * log_softmax(encoding.logits[rows].astype(float))
        return softmax(pooled * (count**self.agreement)[:, None])

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings and (no) arrays."""
        return {"kind": self.kind, "weights": self.weights, "agreement": self.agreement}, {}

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any]) -> LateFusion:
        """Rebuild from what `state` gave."""
        return cls(labels, settings["weights"], settings["agreement"])

    @classmethod
    def fit(cls, labels: LabelSet, encodings: Mapping[str, Encoding], target: np.ndarray) -> LateFusion:
        """Learn weights and agreement by the log loss over every subset of two or more modalities.

        Args:
            encodings: calibrated, of N samples; a sample counts for each subset whose modalities it has.
            target: (N,) int class indices.

        Raises:
            ArgumentError: if there is one modality only, or no sample has two.
        """
        from scipy.optimize import minimize  # takes longer to import than fusing does

        modalities = sorted(encodings)
        subsets = [
            (rows, {modality: _of(encodings[modality], rows) for modality in chosen})
            for size in range(2, len(modalities) + 1)
            for chosen in combinations(modalities, size)
            if len(rows := np.flatnonzero(np.all([encodings[modality].present for modality in chosen], axis=0)))
        ]
        if not subsets:
            raise ArgumentError(f"LateFusion.fit needs samples with two modalities at least, got {modalities} apart.")

        def build(parameters: Sequence[float]) -> LateFusion:
            weights = np.exp(np.append(parameters[:-1], 0.0))
            weights = weights / weights.sum()
            return cls(
                labels,
                {modality: float(weight) for modality, weight in zip(modalities, weights, strict=True)},
                float(1 / (1 + np.exp(-parameters[-1]))),
            )

        def loss(parameters: Sequence[float]) -> float:
            head = build(parameters)
            total = 0.0
            for rows, chosen in subsets:
                right = head.fuse(chosen)[np.arange(len(rows)), target[rows]]
                total -= float(np.mean(np.log(right + 1e-12)))
            return total / len(subsets)

        found = minimize(loss, np.zeros(len(modalities)), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-6})
        return build(found.x)


def _of(encoding: Encoding, rows: np.ndarray) -> Encoding:
    """Some rows, without their tokens: late fusion looks at the logits only."""
    return scores_only(encoding.logits[rows], encoding.present[rows])


def scores_only(logits: np.ndarray, present: np.ndarray | None = None) -> Encoding:
    """Logits (N, K) as an encoding without tokens to speak of: one of width 1.

    Args:
        present: (N,) bool; all by default.
    """
    mask = np.ones(len(logits), bool) if present is None else present
    return Encoding(np.zeros((len(logits), 1, 1), np.float32), mask[:, None], logits)
