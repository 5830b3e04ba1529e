"""What a fusion head relies on: the report that shows a head which has collapsed onto one modality."""

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
    """How much each modality counts, and what is lost without it, on samples that have all modalities.

    Attributes:
        samples: how many have all.
        shares: mean share of each modality.
        score: accuracy with all.
        without: accuracy with one modality removed; empty for a head of one modality.
        alone: accuracy with one modality only.
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
    """Measure `Reliance` on held-out samples.

    Args:
        encodings: calibrated, of N samples.
        target: (N,) int class indices.
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
