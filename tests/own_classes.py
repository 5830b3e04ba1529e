"""An encoder and a fusion head as a user writes them; tests copy this file to where a user's module would be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import softmax
from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence
from mmemo.fusion.base import present
from mmemo.labels import LabelSet


class Loudness:
    """Scores a voice by its level in decibels."""

    modality = "voice"
    dim = 1

    def __init__(self, labels: LabelSet, slope: float = 0.1) -> None:
        self.labels, self.slope = labels, slope

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        return None if evidence.voice is None else evidence.voice.waveform

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        level = np.array([20 * np.log10(np.sqrt(np.mean(np.square(one))) + 1e-6) for one in batch], np.float32)
        logits = self.slope * level[:, None] * np.linspace(-1, 1, len(self.labels), dtype=np.float32)
        return Encoding(level[:, None, None], np.ones((len(batch), 1), bool), logits.astype(np.float32))

    def save(self, folder: str | Path) -> Path:
        config = {"kind": "loudness", "labels": self.labels.to_config()}
        return save_checkpoint(folder, config, {"slope": np.array([self.slope])})

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> Loudness:
        checkpoint = load_checkpoint(folder, "loudness")
        return cls(LabelSet.from_config(checkpoint.config["labels"]), float(checkpoint.tensors["slope"][0]))


class First:
    """Fuses by taking the first modality that a row has."""

    kind = "first"

    def __init__(self, labels: LabelSet, order: Sequence[str]) -> None:
        if not order:
            raise ArgumentError("First needs a modality.")
        self.labels, self.order = labels, tuple(order)

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        presence = present(self, dict.fromkeys(self.order), encodings)
        first = np.arange(len(self.order)) == presence.argmax(axis=1)[:, None]
        return {m: first[:, column].astype(float) for column, m in enumerate(self.order) if m in encodings}

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        fused = np.zeros((len(next(iter(encodings.values()))), len(self.labels)))
        for modality, share in self.shares(encodings).items():
            rows = share > 0
            fused[rows] = softmax(encodings[modality].logits[rows].astype(float))
        return fused

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"kind": self.kind, "order": list(self.order)}, {}

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> First:
        return cls(labels, settings["order"])
