"""Image preprocessing of ONNX classifiers, whose files don't hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from mmemo.errors import ArgumentError


@dataclass(frozen=True)
class Preprocessing:
    """The image preprocessing of an ONNX file.

    Attributes:
        size: side in pixels.
        channels: 3 for RGB, 1 for luma.
        layout: "NCHW" or "NHWC".
        scale: the value of white: 1, or 255 for files that take unscaled pixels.
        mean: subtracted from each channel after scaling; ``std`` divides after that. One value, or one a channel.
        output: "logits" or "probabilities".
    """

    size: int
    channels: int = 3
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    output: Literal["logits", "probabilities"] = "logits"

    def __post_init__(self) -> None:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ArgumentError(f"Preprocessing: expected 1 or {self.channels} values of {name}, got {values}.")
        if self.channels not in (1, 3) or self.size < 1 or self.layout not in ("NCHW", "NHWC"):
            raise ArgumentError(
                "Preprocessing: expected 1 or 3 channels, a size of 1 or more and the layout NCHW or NHWC, got "
                f"{self.channels}, {self.size} and {self.layout!r}."
            )

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        """Crops (N, S, S, 3) uint8 RGB to (N, C, size, size) float32, whatever ``layout`` is."""
        images = np.empty((len(crops), self.channels, self.size, self.size), np.float32)
        for row, crop in enumerate(crops):
            method = cv2.INTER_AREA if crop.shape[0] > self.size else cv2.INTER_LINEAR
            picture = crop if self.channels == 3 else cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None]
            resized = cv2.resize(picture, (self.size, self.size), interpolation=method)
            images[row] = resized.reshape(self.size, self.size, self.channels).transpose(2, 0, 1)
        mean, std = (np.array(values, np.float32)[:, None, None] for values in (self.mean, self.std))
        normalized: np.ndarray = (images * np.float32(self.scale / 255) - mean) / std
        return normalized
