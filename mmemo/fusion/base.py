"""The contract of a fusion head: encodings of any subset of modalities in, fused scores out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.labels import LabelSet


class FusionHead(Protocol):
    """Fuses calibrated encodings. Any row of any modality may be absent; a row with nothing at all is an error.

    Attributes:
        kind: names the class in a saved model.
        labels: the classes of the fused scores.
    """

    kind: str
    labels: LabelSet

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64, each row summing to 1."""
        ...

    def shares(self, present: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """How much each modality counts in each row, (B,) in [0, 1] a modality, given which are present, (B,) bool."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings (JSON) and arrays, as `mmemo.model` saves them."""
        ...
