"""The contract of an encoder: evidence of one window in, tokens and class scores out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence
from mmemo.labels import LabelSet

QUALITIES = ("coverage", "trust")
"""Columns of `Encoding.quality`."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """What an encoder says of a batch of B windows.

    Attributes:
        tokens: (B, T, D) float32. Rows beyond a window's own length are padding, and zero.
        mask: (B, T) bool, True = valid. A row that is all False is a window in which the modality is absent.
        logits: (B, K) float32, unnormalised log scores in the order of the encoder's labels.
        quality: (B, 2) float32 in [0, 1]: the share of the window with evidence, and how far that can be trusted
            (`mmemo.encoders.modality`). An encoder leaves it out; the model fills it in. None counts as all 1.
        affect: (B, 3) float32, valence, arousal and dominance from -1 to 1, of an encoder that tells them; else None.

    Raises:
        ArgumentError: if the shapes don't agree, or a valid value is not finite.
    """

    tokens: np.ndarray
    mask: np.ndarray
    logits: np.ndarray
    quality: np.ndarray | None = None
    affect: np.ndarray | None = None

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
        if self.quality is not None and (
            self.quality.shape != (len(self.tokens), len(QUALITIES))
            or not ((self.quality[present] >= 0) & (self.quality[present] <= 1)).all()
        ):
            raise ArgumentError(
                f"Encoding: expected quality (B, {len(QUALITIES)}) within 0 to 1 for {QUALITIES}, "
                f"got {self.quality.shape}."
            )
        if self.affect is not None and (
            self.affect.shape != (len(self.tokens), 3) or not np.isfinite(self.affect[present]).all()
        ):
            raise ArgumentError(
                f"Encoding: expected affect (B, 3) of finite numbers with B = {len(self.tokens)}, "
                f"got {self.affect.shape}."
            )

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def present(self) -> np.ndarray:
        """(B,) bool: the windows in which the modality is there."""
        return np.asarray(self.mask.any(axis=1))

    def rows(self, chosen: np.ndarray) -> Encoding:
        """Some rows, by their indices or by a (B,) bool."""
        quality = None if self.quality is None else self.quality[chosen]
        affect = None if self.affect is None else self.affect[chosen]
        return Encoding(self.tokens[chosen], self.mask[chosen], self.logits[chosen], quality, affect)

    def only(self, kept: np.ndarray) -> Encoding:
        """The same with the modality absent from all rows but those where ``kept`` (B,) bool is True."""
        return replace(self, mask=self.mask & kept[:, None])

    def calibrated(self, temperature: float) -> Encoding:
        """The same with logits divided by a temperature; see `mmemo.evaluation.calibration.fit_temperature`."""
        return replace(self, logits=(self.logits / temperature).astype(np.float32))


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
