"""The default voice encoder: the encoder of Whisper, fine-tuned for emotion, over the speech of one window."""

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
from mmemo.encoders.base import Encoder, Encoding, pad_tokens
from mmemo.encoders.voice.network import HOP, VoiceArchitecture, VoiceNetwork
from mmemo.encoders.voice.waveform import MARGIN, SHORTEST, pad, prepare
from mmemo.errors import ArgumentError, LabelError, WeightsError
from mmemo.evidence import SAMPLE_RATE, Evidence
from mmemo.labels import LabelSet

KIND = "voice-encoder"


class VoiceEncoder:
    """Encoder of the modality "voice" (see `mmemo.encoders.base.Encoder`) with 10 tokens a second.

    Args:
        network: in float32, with as many classes as there are labels.
        labels: its classes, in the order of its logits.
        device: of torch: "cpu", "cuda", "mps" …
        card: whatever else belongs into the ``config.json`` of the weights: corpora, split, scores.

    Raises:
        ArgumentError: if labels and network differ in the number of classes.

    >>> import numpy as np
    >>> from mmemo.encoders.voice.encoder import VoiceEncoder
    >>> from mmemo.encoders.voice.network import VoiceArchitecture, VoiceNetwork
    >>> from mmemo.labels import EKMAN7
    >>> tiny = VoiceArchitecture(d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32)
    >>> encoder = VoiceEncoder(VoiceNetwork(tiny, len(EKMAN7)), EKMAN7)
    >>> encoder.encode([np.zeros(16_000, np.float32)]).tokens.shape  # 1 s
    (1, 10, 16)
    """

    modality = "voice"

    def __init__(
        self, network: VoiceNetwork, labels: LabelSet, *, device: str = "cpu", card: Mapping[str, Any] | None = None
    ) -> None:
        if network.classifier.out_features != len(labels):
            raise ArgumentError(
                f"VoiceEncoder: the network has {network.classifier.out_features} classes, "
                f"{labels.name} has {len(labels)} labels."
            )
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.labels, self.card = labels, dict(card or {})
        self.dim = network.architecture.d_model

    @staticmethod
    def from_pretrained(name_or_path: str | Path, **settings: Any) -> Encoder:
        """A voice encoder from any speech checkpoint: of mmemo, of Hugging Face (wav2vec 2.0, Whisper …), torchaudio.

        Args:
            name_or_path: a folder that `save` or a recipe wrote, a folder with a Hugging Face checkpoint, the name of
                one on the Hugging Face Hub, or "torchaudio:" and a bundle's name. Only the latter two make mmemo use
                the network.
            settings: ``device``; for a checkpoint of another project, what
                `mmemo.encoders.voice.backbone.load_speech_backbone` takes: the meaning of its classes, above all.

        Raises:
            UnknownModelError: if there is nothing of that name.
            WeightsError: if it is damaged, or no speech checkpoint.
            LabelError: if the meaning of its classes is not known.
            MissingExtraError: if transformers is needed and not installed.
        """
        if checkpoint_kind(name_or_path) == KIND:
            return VoiceEncoder.load(name_or_path, **settings)
        from mmemo.encoders.external import SETTINGS
        from mmemo.encoders.voice.backbone import SpeechBackboneEncoder, load_speech_backbone

        if (Path(name_or_path).expanduser() / SETTINGS).is_file():
            return SpeechBackboneEncoder.load(Path(name_or_path).expanduser(), **settings)
        return load_speech_backbone(name_or_path, **settings)

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """(N,) float32 mono at 16 kHz, see `mmemo.encoders.voice.waveform.prepare`; None under 0.3 s of speech."""
        return prepare(evidence.voice) if evidence.voice is not None else None

    @torch.inference_mode()
    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows of any lengths; the result of each does not depend on the others.

        Raises:
            ArgumentError: if a window is not a waveform of at least one frame (20 ms).
        """
        if not batch:
            return Encoding(*pad_tokens([], self.dim), np.zeros((0, len(self.labels)), np.float32))
        for window in batch:
            if window.ndim != 1 or len(window) < HOP:
                raise ArgumentError(
                    f"VoiceEncoder: expected waveforms of shape (N,) with N >= {HOP}, got {window.shape}."
                )
        waveforms, lengths = pad(batch)
        tokens, mask, logits = self.network(waveforms.to(self.device), lengths.to(self.device))
        tokens, mask = _thin(tokens, mask, self.network.architecture.frames_per_token)
        return Encoding(tokens.cpu().numpy(), mask.cpu().numpy(), logits.float().cpu().numpy())

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors`` (float16) into ``folder``."""
        tensors = {
            name: tensor.detach().cpu().numpy().astype(np.float16) for name, tensor in self.network.state_dict().items()
        }
        config = {
            **{name: value for name, value in self.card.items() if name != "label_set"},  # the former key of "labels"
            "kind": KIND,
            "architecture": asdict(self.network.architecture),
            "labels": self.labels.to_config(),
            "preprocessing": {
                "sample_rate": SAMPLE_RATE,
                "shortest_speech_seconds": SHORTEST,
                "margin_seconds": MARGIN,
                "level": "mmemo.speech.level.normalize",
            },
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
            labels = LabelSet.from_config(config.get("labels", config.get("label_set")))
            network = VoiceNetwork(VoiceArchitecture(**config["architecture"]), len(labels))
            tensors = {name: torch.from_numpy(array).float() for name, array in checkpoint.tensors.items()}
            network.load_state_dict(tensors)
        except (KeyError, TypeError, RuntimeError, LabelError) as error:
            raise WeightsError(f"{folder}: settings and arrays don't make a voice encoder ({error}).") from None
        return cls(network, labels, device=device, card=config)


def _thin(tokens: Tensor, mask: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Tokens and mask with each run of ``frames`` valid frames averaged into one; the last run may be shorter."""
    batch, length, dim = tokens.shape
    missing = -length % frames
    valid = functional.pad(mask, (0, missing)).view(batch, -1, frames)
    grouped = functional.pad(tokens, (0, 0, 0, missing)).view(batch, -1, frames, dim)
    count = valid.sum(-1, keepdim=True)
    mean = (grouped * valid[..., None]).sum(2) / count.clamp(min=1)
    return mean, valid.any(-1)
