"""The voice: the encoder of Whisper, fine-tuned to tell emotion, over the speech of one window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mmemo.checkpoint import checkpoint_kind, load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoder, Encoding
from mmemo.encoders.voice.network import HOP, VoiceArchitecture, VoiceNetwork
from mmemo.errors import ArgumentError, WeightsError
from mmemo.evidence import SAMPLE_RATE, Evidence, Seconds, VoiceEvidence
from mmemo.labels import LABEL_SETS, LabelSet
from mmemo.speech.level import normalize

KIND = "voice-encoder"
SHORTEST: Seconds = 0.3
"""A window with less speech than this has no voice."""
_MARGIN: Seconds = 0.05


class VoiceEncoder:
    """The encoder of the modality "voice".

    Attributes:
        modality: "voice".
        dim: D, the width of a token; 10 tokens a second.
        labels: the classes of the logits.
    """

    modality = "voice"

    def __init__(self, network: VoiceNetwork, labels: LabelSet, *, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.labels = labels
        self.dim = network.architecture.d_model

    @staticmethod
    def from_pretrained(name_or_path: str | Path, **settings: Any) -> Encoder:
        """A voice encoder from any speech checkpoint: ours, of Hugging Face (wav2vec 2.0, Whisper …), torchaudio.

        Args:
            name_or_path: a folder that `save` or a recipe wrote, a folder with a Hugging Face checkpoint, the name of
                one on the Hugging Face Hub, or "torchaudio:" and a bundle's name. Only the latter two make mmemo use
                the network.
            settings: ``device``; for a checkpoint of another project, what
                `mmemo.encoders.voice.backbone.load_speech_checkpoint` takes: what its classes mean, above all.

        Raises:
            UnknownModelError: if nothing of that name is found.
            WeightsError: if it is damaged, or no speech checkpoint.
            LabelError: if the meaning of its classes is not known.
            MissingExtraError: if transformers is needed and not installed.
        """
        if checkpoint_kind(name_or_path) == KIND:
            return VoiceEncoder.load(name_or_path, **settings)
        from mmemo.encoders.voice.backbone import SETTINGS, SpeechCheckpointEncoder, load_speech_checkpoint

        if (Path(name_or_path).expanduser() / SETTINGS).is_file():
            return SpeechCheckpointEncoder.load(Path(name_or_path).expanduser(), **settings)
        return load_speech_checkpoint(name_or_path, **settings)

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """The window's sound from its first to its last word, at level: (N,) float32, or None.

        None where less than 0.3 s is spoken.
        """
        return prepare(evidence.voice) if evidence.voice is not None else None

    @torch.inference_mode()
    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows of any lengths; their padding changes nothing.

        Raises:
            ArgumentError: if a window is not a waveform of at least one frame (20 ms).
        """
        if not batch:
            return Encoding(
                np.zeros((0, 0, self.dim), np.float32),
                np.zeros((0, 0), bool),
                np.zeros((0, len(self.labels)), np.float32),
            )
        for window in batch:
            if window.ndim != 1 or len(window) < HOP:
                raise ArgumentError(
                    f"VoiceEncoder: expected waveforms of shape (N,) with N >= {HOP}, got {window.shape}."
                )
        waveforms, lengths = pad(batch)
        tokens, mask, logits = self.network(waveforms.to(self.device), lengths.to(self.device))
        tokens, mask = _thin(tokens, mask, self.network.architecture.frames_per_token)
        return Encoding(tokens.cpu().numpy(), mask.cpu().numpy(), logits.float().cpu().numpy())

    def save(self, folder: str | Path, *, card: Mapping[str, Any] | None = None) -> Path:
        """Write the weights as float16; ``card`` holds what a reader of them must know (corpora, split, scores …)."""
        tensors = {
            name: tensor.detach().cpu().numpy().astype(np.float16) for name, tensor in self.network.state_dict().items()
        }
        config = {
            "kind": KIND,
            "architecture": asdict(self.network.architecture),
            "label_set": self.labels.name,
            "preprocessing": {
                "sample_rate": SAMPLE_RATE,
                "shortest_speech_seconds": SHORTEST,
                "margin_seconds": _MARGIN,
                "level": "mmemo.speech.level.normalize",
            },
            **(card or {}),
        }
        return save_checkpoint(folder, config, tensors)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> VoiceEncoder:
        """Read what `save` wrote.

        Raises:
            UnknownModelError: if ``folder`` holds no checkpoint.
            WeightsError: if it is damaged, of another kind, or its arrays don't fit its settings.
        """
        checkpoint = load_checkpoint(folder, KIND)
        config = checkpoint.config
        try:
            labels = LABEL_SETS[config["label_set"]]
            network = VoiceNetwork(VoiceArchitecture(**config["architecture"]), len(labels))
            tensors = {name: torch.from_numpy(array).float() for name, array in checkpoint.tensors.items()}
            network.load_state_dict(tensors)
        except (KeyError, TypeError, RuntimeError) as error:
            raise WeightsError(f"{folder}: settings and arrays don't make a voice encoder ({error}).") from None
        return cls(network, labels, device=device)


def prepare(voice: VoiceEvidence) -> np.ndarray | None:
    """What the network hears of one window, in training as in use: see `VoiceEncoder.prepare`."""
    speech = voice.speech
    if np.count_nonzero(speech) < SHORTEST * SAMPLE_RATE:
        return None
    # Silence before and after tells how a corpus was cut, not what was felt.
    where, margin = np.flatnonzero(speech), int(_MARGIN * SAMPLE_RATE)
    stretch = slice(max(0, where[0] - margin), where[-1] + 1 + margin)
    waveform = normalize(voice.waveform[stretch], speech[stretch])
    return waveform if waveform.any() else None


def pad(waveforms: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Waveforms of any lengths as (B, N) float32, zero beyond each length, and the lengths (B,) int64."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    padded = torch.zeros(len(waveforms), int(lengths.max()))
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    return padded, lengths


def _thin(tokens: Tensor, mask: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Average each run of ``frames`` valid frames into one token; a last, shorter run counts too."""
    batch, length, dim = tokens.shape
    missing = -length % frames
    valid = functional.pad(mask, (0, missing)).view(batch, -1, frames)
    grouped = functional.pad(tokens, (0, 0, 0, missing)).view(batch, -1, frames, dim)
    count = valid.sum(-1, keepdim=True)
    mean = (grouped * valid[..., None]).sum(2) / count.clamp(min=1)
    return mean, valid.any(-1)
