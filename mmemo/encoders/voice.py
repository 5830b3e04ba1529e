"""The voice: a small wav2vec 2.0 over the waveform of one window.

The network is a ``transformers.Wav2Vec2Model`` with a head; here the same weights run through torchaudio's
wav2vec 2.0, because importing the former takes four seconds and the latter a tenth of one. ``transformers``
loads the saved folder as it is. Source: Baevski et al., "wav2vec 2.0: a framework for self-supervised
learning of speech representations", NeurIPS 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.models import wav2vec2_model

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError, WeightsError
from mmemo.evidence import SAMPLE_RATE, Evidence, Seconds, VoiceEvidence
from mmemo.labels import LABEL_SETS, LabelSet
from mmemo.speech.level import normalize

KIND = "mmemo.encoders.voice"
SHORTEST: Seconds = 0.3
"""A window with less speech than this has no voice."""
_MARGIN: Seconds = 0.05


@dataclass(frozen=True)
class VoiceArchitecture:
    """The shape of the network, by the names of ``transformers.Wav2Vec2Config``.

    The convolutions turn 16 kHz into 50 frames a second. The first one looks at 25 ms every 5 ms, as a
    spectrum does; the usual seven layers spend most of their time at thousands of frames a second.
    """

    conv_dim: tuple[int, ...] = (320, 320, 384, 384)
    conv_kernel: tuple[int, ...] = (400, 3, 3, 3)
    conv_stride: tuple[int, ...] = (80, 2, 1, 2)
    hidden_size: int = 384
    num_hidden_layers: int = 4
    num_attention_heads: int = 6
    intermediate_size: int = 1536
    num_conv_pos_embeddings: int = 256
    num_conv_pos_embedding_groups: int = 48
    frames_per_token: int = 5

    def frames(self, samples: Tensor) -> Tensor:
        """Number of frames of each waveform; both of shape (B,) int64."""
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            samples = torch.div(samples - kernel, stride, rounding_mode="floor") + 1
        return samples.clamp(min=0)

    @property
    def receptive_field(self) -> int:
        """Samples that one frame sees."""
        field, step = 1, 1
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            field, step = field + (kernel - 1) * step, step * stride
        return field

    def transformers_config(self) -> dict[str, Any]:
        """What ``transformers.Wav2Vec2Config`` needs to build the same network."""
        shape = {name: value for name, value in asdict(self).items() if name != "frames_per_token"}
        return {
            "model_type": "wav2vec2",
            "architectures": ["Wav2Vec2Model"],
            **shape,
            "num_feat_extract_layers": len(self.conv_dim),
            "feat_extract_norm": "layer",
            "conv_bias": True,
            "do_stable_layer_norm": True,
            "mask_time_prob": 0.0,
            "mask_feature_prob": 0.0,
        }


class VoiceNetwork(nn.Module):
    """wav2vec 2.0, a learned mixture of its layers, mean and deviation over time, and one linear layer."""

    def __init__(
        self,
        architecture: VoiceArchitecture,
        classes: int,
        *,
        dropout: float = 0.0,
        head_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        a = self.architecture = architecture
        self.wav2vec2 = wav2vec2_model(
            extractor_mode="layer_norm",
            extractor_conv_layer_config=list(zip(a.conv_dim, a.conv_kernel, a.conv_stride, strict=True)),
            extractor_conv_bias=True,
            encoder_embed_dim=a.hidden_size,
            encoder_projection_dropout=0.0,
            encoder_pos_conv_kernel=a.num_conv_pos_embeddings,
            encoder_pos_conv_groups=a.num_conv_pos_embedding_groups,
            encoder_num_layers=a.num_hidden_layers,
            encoder_num_heads=a.num_attention_heads,
            encoder_attention_dropout=0.0,
            encoder_ff_interm_features=a.intermediate_size,
            encoder_ff_interm_dropout=0.0,
            encoder_dropout=dropout,
            encoder_layer_norm_first=True,
            encoder_layer_drop=0.0,
            aux_num_out=None,
        )
        self.mixture = nn.Parameter(torch.zeros(a.num_hidden_layers))
        self.norm = nn.LayerNorm(2 * a.hidden_size)
        self.dropout = nn.Dropout(head_dropout)
        self.classifier = nn.Linear(2 * a.hidden_size, classes)

    def layers(self, waveforms: Tensor, lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        """Outputs of the layers, each (B, T, D), and the mask (B, T), True = valid.

        Args:
            waveforms: (B, N) float32, zero beyond each length.
            lengths: (B,) int64 samples.
        """
        hidden, _ = self.wav2vec2.extract_features(waveforms, lengths)
        frames = self.architecture.frames(lengths)
        mask = torch.arange(hidden[0].shape[1], device=frames.device) < frames[:, None]
        last: Tensor = self.wav2vec2.encoder.transformer.layer_norm(hidden[-1])
        return [*hidden[:-1], last], mask

    def tokens(self, layers: Sequence[Tensor]) -> Tensor:
        """The learned mixture of the layers, (B, T, D), each layer brought to one scale first."""
        weights = functional.softmax(self.mixture.float(), dim=0)
        scaled = [functional.layer_norm(layer.float(), layer.shape[-1:]) for layer in layers]
        return torch.stack(scaled, dim=-1) @ weights

    def classify(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, K) from the masked mean and standard deviation of the tokens over time."""
        valid = mask[..., None].float()
        count = valid.sum(1).clamp(min=1)
        mean = (tokens * valid).sum(1) / count
        variance = ((tokens - mean[:, None]).square() * valid).sum(1) / count
        pooled = torch.cat([mean, (variance + 1e-5).sqrt()], dim=-1)
        logits: Tensor = self.classifier(self.dropout(self.norm(pooled)))
        return logits

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, T, D), mask (B, T), logits (B, K) of waveforms (B, N) with lengths (B,)."""
        layers, mask = self.layers(waveforms, lengths)
        tokens = self.tokens(layers)
        return tokens, mask, self.classify(tokens, mask)


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
        self.dim = network.architecture.hidden_size

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """The window's sound from its first to its last word, at level: (N,) float32, or None.

        None where less than 0.3 s is spoken.
        """
        return prepare(evidence.voice) if evidence.voice is not None else None

    @torch.inference_mode()
    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows of any lengths; their padding changes nothing.

        Raises:
            ArgumentError: if a window is not a waveform of at least one frame (75 ms).
        """
        if not batch:
            return Encoding(
                np.zeros((0, 0, self.dim), np.float32),
                np.zeros((0, 0), bool),
                np.zeros((0, len(self.labels)), np.float32),
            )
        shortest = self.network.architecture.receptive_field
        for window in batch:
            if window.ndim != 1 or len(window) < shortest:
                raise ArgumentError(
                    f"VoiceEncoder: expected waveforms of shape (N,) with N >= {shortest}, got {window.shape}."
                )
        waveforms, lengths = pad(batch)
        tokens, mask, logits = self.network(waveforms.to(self.device), lengths.to(self.device))
        tokens, mask = _thin(tokens, mask, self.network.architecture.frames_per_token)
        return Encoding(tokens.cpu().numpy(), mask.cpu().numpy(), logits.float().cpu().numpy())

    def save(self, folder: str | Path, *, card: Mapping[str, Any] | None = None) -> Path:
        """Write the weights as float16; ``card`` holds what a reader of them must know (corpora, split, scores …)."""
        tensors = {
            _transformers_name(name): tensor.detach().cpu().numpy().astype(np.float16)
            for name, tensor in self.network.state_dict().items()
        }
        architecture = self.network.architecture
        config = {
            **architecture.transformers_config(),
            "kind": KIND,
            "frames_per_token": architecture.frames_per_token,
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
            fields: dict[str, Any] = {name: config[name] for name in asdict(VoiceArchitecture())}
            # JSON knows no tuples.
            fields = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
            architecture = VoiceArchitecture(**fields)
            network = VoiceNetwork(architecture, len(labels))
            tensors = {_own_name(name): torch.from_numpy(array).float() for name, array in checkpoint.tensors.items()}
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


def _transformers_name(name: str) -> str:
    """Torchaudio keeps the projection inside the encoder, transformers beside it; all other names agree."""
    return name.replace("wav2vec2.encoder.transformer.", "wav2vec2.encoder.").replace(
        "wav2vec2.encoder.feature_projection.", "wav2vec2.feature_projection."
    )


def _own_name(name: str) -> str:
    return name.replace("wav2vec2.encoder.", "wav2vec2.encoder.transformer.").replace(
        "wav2vec2.feature_projection.", "wav2vec2.encoder.feature_projection."
    )
