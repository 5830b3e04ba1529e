"""Gated fusion: a weighted product of experts whose weights depend on how good each one's evidence is."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Self

import numpy as np

from mmemo.encoders.base import QUALITIES, Encoding
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.errors import ArgumentError, require_extra
from mmemo.fusion.base import check_training, present, word_trust
from mmemo.fusion.late import weighted_product
from mmemo.labels import LabelSet

FEATURES = (*QUALITIES, "certainty")
"""Inputs of a gate: coverage and trust of `Encoding.quality`, and how far the expert's scores are from equal."""
_SHRINKAGE = 0.003
_ABSENT = -1e9


class GatedFusion:
    """Product of experts whose weights depend on the quality of each row's evidence.

    ``log p = n ** agreement * sum(share_m * log p_m) + constant``, and ``share = softmax over the modalities present of
    (bias_m + slopes_m . (coverage, trust, certainty))``: a blurred face, a noisy voice or doubtful words count less, as
    far as the training data show that they deserve less. Trust is the quality of the crops, the signal-to-noise ratio
    or the confidence of the words; certainty is 1 minus the entropy of the expert's scores over its greatest possible
    value. Recognized words weigh less besides, by their confidence (`mmemo.fusion.base.word_trust`): corpora whose
    words are given can't teach that. One modality alone gives just its own scores. Mixtures of experts with such a
    gate: Jacobs et al., "Adaptive mixtures of local experts", Neural Computation 3(1), 1991.

    Args:
        labels: classes of every expert, and of the fused scores.
        biases: of each modality.
        slopes: (3,) for each modality, in the order of `FEATURES`.
        agreement: from 0 to 1, see `mmemo.fusion.late.LateFusion`.

    Raises:
        ArgumentError: if a modality has no slopes, or ``agreement`` lies outside 0 to 1.

    >>> import numpy as np
    >>> from mmemo.encoders.base import Encoding
    >>> from mmemo.fusion.gated import GatedFusion
    >>> from mmemo.labels import LabelSet
    >>> trust = np.array([0.0, 4.0, 0.0])
    >>> head = GatedFusion(
    ...     LabelSet("two", ("calm", "tense")), {"face": 0.0, "voice": 0.0}, {"face": trust, "voice": trust}, 0.5
    ... )
    >>> tokens, mask, logits = np.zeros((1, 1, 1), np.float32), np.ones((1, 1), bool), np.zeros((1, 2), np.float32)
    >>> sharp, noisy = (Encoding(tokens, mask, logits, np.array([[1.0, trust]], np.float32)) for trust in (0.9, 0.2))
    >>> head.shares({"face": sharp, "voice": noisy})["face"].round(2)
    array([0.94])
    """

    kind = "gated"

    def __init__(
        self, labels: LabelSet, biases: Mapping[str, float], slopes: Mapping[str, np.ndarray], agreement: float
    ) -> None:
        for modality in biases:
            if modality not in slopes or np.shape(slopes[modality]) != (len(FEATURES),):
                raise ArgumentError(f"GatedFusion needs slopes for {FEATURES} of {modality}, got {slopes}.")
        if not 0 <= agreement <= 1:
            raise ArgumentError(f"GatedFusion: agreement goes from 0 to 1, got {agreement}.")
        self.labels = labels
        self.biases = dict(biases)
        self.slopes = {modality: np.asarray(slopes[modality], float) for modality in biases}
        self.agreement = agreement

    def _shares(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """(B, M) float64."""
        presence = present(self, self.biases, encodings)
        gate = np.full(presence.shape, _ABSENT)
        for column, modality in enumerate(self.biases):
            rows = presence[:, column]
            if rows.any():
                features = _features(encodings[modality].rows(rows))
                gate[rows, column] = self.biases[modality] + features @ self.slopes[modality]
        return softmax(gate + np.log(word_trust(self.biases, encodings)))

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Share of each modality in each row, (B,) float64: the output of its gate."""
        shares = self._shares(encodings)
        return {m: shares[:, column] for column, m in enumerate(self.biases) if m in encodings}

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64."""
        return weighted_product(
            self.labels, self._shares(encodings)[:, :, None], self.biases, encodings, self.agreement
        )

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings, and the slopes as arrays."""
        return {"kind": self.kind, "biases": self.biases, "agreement": self.agreement}, self.slopes

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        return cls(labels, settings["biases"], arrays, settings["agreement"])

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
        """Learn by the log loss over every subset of two or more modalities; slopes are drawn towards zero.

        Only evidence of differing quality can teach the worth of quality. Arguments: `FittableHead`.

        Raises:
            ArgumentError: if no sample has two modalities; see also `check_training`.
        """
        require_extra("Fitting a fusion head", "fit", "scipy")
        from scipy.optimize import minimize  # takes longer to import than fusing does

        del seed
        encodings, target, _ = check_training(cls.__name__, labels, encodings, target, groups)
        modalities = sorted(encodings)
        subsets = []
        for size in range(2, len(modalities) + 1):
            for chosen in combinations(modalities, size):
                rows = np.flatnonzero(np.all([encodings[m].present for m in chosen], axis=0))
                if len(rows):
                    subsets.append((target[rows], {m: encodings[m].rows(rows) for m in chosen}))
        if not subsets:
            raise ArgumentError(f"GatedFusion.fit needs samples with two modalities at least, got {modalities} apart.")

        def build(parameters: np.ndarray) -> GatedFusion:
            table = parameters[1:].reshape(len(modalities), 1 + len(FEATURES))
            return cls(
                labels,
                {m: float(row[0]) for m, row in zip(modalities, table, strict=True)},
                {m: row[1:] for m, row in zip(modalities, table, strict=True)},
                float(1 / (1 + np.exp(-parameters[0]))),
            )

        def loss(parameters: np.ndarray) -> float:
            head = build(parameters)
            total = 0.0
            for label, chosen in subsets:
                total -= float(np.mean(np.log(head.fuse(chosen)[np.arange(len(label)), label] + 1e-12)))
            return total / len(subsets) + _SHRINKAGE * float(np.mean(parameters[1:] ** 2))

        start = np.zeros(1 + len(modalities) * (1 + len(FEATURES)))
        best = build(minimize(loss, start, method="L-BFGS-B", options={"maxiter": 60}).x)
        return cls(labels, best.biases, best.slopes, best.agreement)


def _features(encoding: Encoding) -> np.ndarray:
    """(B, 3): coverage, trust and certainty of rows that are present."""
    log_scores = log_softmax(encoding.logits.astype(float))
    entropy = -np.sum(np.exp(log_scores) * log_scores, axis=1)
    certainty = 1 - entropy / np.log(log_scores.shape[1])
    quality = np.ones((len(encoding), len(QUALITIES))) if encoding.quality is None else encoding.quality
    return np.concatenate([quality, certainty[:, None]], axis=1)
