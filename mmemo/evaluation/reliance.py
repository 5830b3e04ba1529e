"""Modality reliance of a fusion head, which shows a head that has collapsed onto one modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.evaluation.metrics import accuracy
from mmemo.fusion.base import FusionHead

_LITTLE = 0.05


@dataclass(frozen=True)
class Reliance:
    """Weight of each modality in a fusion head, and accuracy without and with only it, on samples that have all.

    Attributes:
        samples: number of samples that have all modalities.
        shares: mean share of each modality in the fused scores.
        score: accuracy with all.
        without: accuracy with one modality removed; empty for a head of one modality.
        alone: accuracy with one modality only.

    >>> without, alone = {"face": 0.3, "voice": 0.8}, {"face": 0.8, "voice": 0.3}
    >>> Reliance(100, {"face": 0.98, "voice": 0.02}, 0.8, without, alone).ignored
    ('voice',)
    """

    samples: int
    shares: dict[str, float]
    score: float
    without: dict[str, float]
    alone: dict[str, float]

    @property
    def ignored(self) -> tuple[str, ...]:
        """Modalities with a share below 5% whose removal costs nothing: the head has collapsed onto the others."""
        return tuple(
            modality
            for modality, share in self.shares.items()
            if share < _LITTLE and self.without.get(modality, -1.0) >= self.score
        )

    def __str__(self) -> str:
        parts = [
            f"{modality}: share {self.shares[modality]:.2f}, "
            f"without it {self.without.get(modality, float('nan')):.3f}, alone {self.alone[modality]:.3f}"
            for modality in self.shares
        ]
        warning = f" Collapsed: it ignores {', '.join(self.ignored)}." if self.ignored else ""
        return f"accuracy {self.score:.3f} of {self.samples} samples; " + "; ".join(parts) + "." + warning


def reliance(head: FusionHead, encodings: Mapping[str, Encoding], target: np.ndarray) -> Reliance:
    """Measure the `Reliance` of a head on held-out samples.

    Args:
        head: a fitted fusion head.
        encodings: calibrated, of N samples.
        target: (N,) int class indices.

    >>> from mmemo.fusion.late import LateFusion, scores_only
    >>> from mmemo.labels import EKMAN7
    >>> rng, target = np.random.default_rng(0), np.arange(7)
    >>> logits = {"face": 5.0 * np.eye(7), "voice": rng.normal(size=(7, 7))}
    >>> head = LateFusion(EKMAN7, {"face": 1.0, "voice": 0.1})
    >>> measured = reliance(head, {name: scores_only(one) for name, one in logits.items()}, target)
    >>> measured.score, measured.alone["face"]
    (1.0, 1.0)
    """
    rows = np.flatnonzero(np.all([encoding.present for encoding in encodings.values()], axis=0))
    kept = {modality: encoding.rows(rows) for modality, encoding in encodings.items()}
    right = target[rows]

    def score(modalities: list[str]) -> float:
        return accuracy(right, head.fuse({m: kept[m] for m in modalities}).argmax(axis=1))

    names = list(kept)
    return Reliance(
        len(rows),
        {modality: float(share.mean()) for modality, share in head.shares(kept).items()},
        score(names),
        {m: score([other for other in names if other != m]) for m in names} if len(names) > 1 else {},
        {m: score([m]) for m in names},
    )
