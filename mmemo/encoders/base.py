"""The contract of an encoder: evidence of one window in, tokens and class scores out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence
from mmemo.labels import LabelSet


@dataclass(frozen=True, eq=False)
class Encoding:
    """What an encoder says of a batch of B windows.

    Attributes:
        tokens: (B, T, D) float32. Rows beyond a window's own length are padding, and zero.
        mask: (B, T) bool, True = valid. A row that is all False is a window in which the modality is absent.
        logits: (B, K) float32, unnormalised log scores in the order of the encoder's labels.

    Raises:
        ArgumentError: if the shapes don't agree, or a valid value is not finite.
    """

    tokens: np.ndarray
    mask: np.ndarray
    logits: np.ndarray

    def __post_init__(self) -> None:
        if self.tokens.ndim != 3 or self.mask.shape != self.tokens.shape[:2] or self.mask.dtype != bool:
            raise ArgumentError(
                "Encoding: expected tokens (B, T, D) and a bool mask (B, T), "
                f"got {self.tokens.shape} and {self.mask.dtype} {self.mask.shape}."
            )
        if self.logits.ndim != 2 or len(self.logits) != len(self.tokens):
            raise ArgumentError(
                f"Encoding: expected logits (B, K) with B = {len(self.tokens)}, got {self.logits.shape}."
            )
        present = self.present
        if not np.isfinite(self.logits[present]).all() or not np.isfinite(self.tokens[present]).all():
            raise ArgumentError("Encoding: tokens and logits must be finite; a valid row holds NaN or infinity.")

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def present(self) -> np.ndarray:
        """(B,) bool: the windows in which the modality is there."""
        return np.asarray(self.mask.any(axis=1))


@runtime_checkable
class Encoder(Protocol):
    """One modality. A plain class of this shape is all that a new modality needs.

    Attributes:
        modality: "face", "voice", "text", or a new one: "gaze", "heart-rate".
        dim: D, the width of a token.
        labels: the classes of the logits.
    """

    modality: str
    dim: int
    labels: LabelSet

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """The model's input of one window, or None where the modality is absent."""
        ...

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows, which may differ in length."""
        ...
