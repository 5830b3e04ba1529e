"""Network of the voice encoder: the encoder of Whisper at any length, pooled over time into class scores.

The parts have the names and shapes of ``transformers.WhisperEncoder``, which loads the same arrays; here they run
without the four seconds that its import takes, and over the actual sound instead of 30 s padded with silence.
Source: Radford et al., "Robust speech recognition via large-scale weak supervision", 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

HOP = 320
"""Samples between two frames: 50 a second at 16 kHz. Frame t is centered on sample 320 t."""
_WINDOW, _STEP = 400, 160


@dataclass(frozen=True)
class VoiceArchitecture:
    """Shape of a `VoiceNetwork`, with the names of ``transformers.WhisperConfig``; the defaults are Whisper tiny's.

    Attributes:
        frames_per_token: frames of 20 ms that are averaged into one token of the encoder.
    """

    num_mel_bins: int = 80
    d_model: int = 384
    encoder_layers: int = 4
    encoder_attention_heads: int = 6
    encoder_ffn_dim: int = 1536
    frames_per_token: int = 5


class LogMel(nn.Module):
    """Log mel spectrum of Whisper: 100 values a second in each band, clipped eight decades below its peak."""

    filters: Tensor
    window: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        filters = melscale_fbanks(_WINDOW // 2 + 1, 0.0, 8000.0, bands, 16_000, norm="slaney", mel_scale="slaney")
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(B, bands, 2 T + 1) of waveforms (B, N), zero beyond each length; T = ceil(N / 320).

        Waveforms are followed by silence, so a short one in a batch has the spectrum that it has alone.
        """
        half = _WINDOW // 2
        sound = functional.pad(waveforms.float(), (half, -waveforms.shape[1] % HOP + half))
        # One frame more than 2 T: the second convolution looks one ahead.
        spectrum = torch.stft(sound, _WINDOW, _STEP, window=self.window, center=False, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        mel = (self.filters.T @ power).clamp(min=1e-10).log10()
        return (mel.maximum(mel.amax((1, 2), keepdim=True) - 8) + 4) / 4


class Attention(nn.Module):
    """Multi-head self-attention of frames."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) to the same; ``mask`` (B, 1, 1, T) is True for frames to attend to, None for all."""
        batch, frames, width = x.shape
        query, key, value = (
            projection(x).view(batch, frames, self.heads, -1).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, frames, width))
        return out


class Layer(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, architecture: VoiceArchitecture, dropout: float) -> None:
        super().__init__()
        width = architecture.d_model
        self.self_attn = Attention(width, architecture.encoder_attention_heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, architecture.encoder_ffn_dim)
        self.fc2 = nn.Linear(architecture.encoder_ffn_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) to the same."""
        x = x + self.dropout(self.self_attn(self.self_attn_layer_norm(x), mask))
        out: Tensor = x + self.dropout(self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x)))))
        return out


class WhisperEncoder(nn.Module):
    """The encoder of Whisper: mel spectrum in, the input of the first layer and the output of each layer out."""

    def __init__(self, architecture: VoiceArchitecture, dropout: float = 0.0) -> None:
        super().__init__()
        self.architecture = architecture
        width = architecture.d_model
        self.conv1 = nn.Conv1d(architecture.num_mel_bins, width, 3)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2)
        self.layers = nn.ModuleList(Layer(architecture, dropout) for _ in range(architecture.encoder_layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, mel: Tensor, mask: Tensor | None) -> list[Tensor]:
        """1 + layers arrays (B, T, D) from a spectrum (B, bands, 2 T + 1); the last one is normed.

        Args:
            mask: (B, T) bool, True = valid; None where all is valid.
        """
        x = functional.gelu(self.conv1(functional.pad(mel, (1, 0))))
        x = functional.gelu(self.conv2(functional.pad(x, (1, 0)))).transpose(1, 2)
        values = [x + sinusoids(x.shape[1], x.shape[2], x.device)]
        attended = None if mask is None else mask[:, None, None]
        for layer in self.layers:
            values.append(layer(values[-1], attended))
        return [*values[:-1], self.layer_norm(values[-1])]


class VoiceNetwork(nn.Module):
    """Whisper's encoder, mean and standard deviation over time of each of its layers, and one linear layer."""

    centre: Tensor
    spread: Tensor

    def __init__(
        self, architecture: VoiceArchitecture, classes: int, *, dropout: float = 0.0, head_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.spectrum = LogMel(architecture.num_mel_bins)
        self.encoder = WhisperEncoder(architecture, dropout)
        size = (architecture.encoder_layers + 1) * 2 * architecture.d_model
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))
        self.dropout = nn.Dropout(head_dropout)
        self.classifier = nn.Linear(size, classes)

    def layers(self, waveforms: Tensor, lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        """Input of the first layer and output of each, (B, T, D), and the mask (B, T), True = valid.

        Args:
            waveforms: (B, N) float32 at 16 kHz, zero beyond each length.
            lengths: (B,) int64 samples.
        """
        mask = frames_mask(lengths)
        return self.encoder(self.spectrum(waveforms), None if mask.all() else mask), mask

    @staticmethod
    def tokens(layers: Sequence[Tensor]) -> Tensor:
        """Mean of all layers (B, T, D), each normalized first."""
        return torch.stack([functional.layer_norm(layer.float(), layer.shape[-1:]) for layer in layers]).mean(0)

    def classify(self, layers: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Logits (B, K) from the statistics of all layers."""
        logits: Tensor = self.classifier(self.dropout((statistics(layers, mask) - self.centre) / self.spread))
        return logits

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, T, D), mask (B, T), logits (B, K) of waveforms (B, N) with lengths (B,)."""
        layers, mask = self.layers(waveforms, lengths)
        return self.tokens(layers), mask, self.classify(layers, mask)


def statistics(layers: Sequence[Tensor], mask: Tensor) -> Tensor:
    """(B, L 2 D): mean and standard deviation over the valid frames of each of L layers (B, T, D), layer by layer."""
    valid = mask[..., None].float()
    count = valid.sum(1).clamp(min=1)
    parts = []
    for layer in layers:
        values = layer.float()
        mean = (values * valid).sum(1) / count
        variance = ((values - mean[:, None]).square() * valid).sum(1) / count
        parts += [mean, (variance + 1e-5).sqrt()]
    return torch.cat(parts, dim=-1)


def frames_mask(lengths: Tensor) -> Tensor:
    """(B, T) bool, True for the frames with sound, from lengths (B,) in samples."""
    frames = torch.div(lengths + HOP - 1, HOP, rounding_mode="floor")
    return torch.arange(int(frames.max()), device=lengths.device) < frames[:, None]


def sinusoids(frames: int, width: int, device: torch.device) -> Tensor:
    """Whisper's position embeddings (frames, width): sines and cosines; it was trained on 1500 frames."""
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2, device=device))
    angles = torch.arange(frames, device=device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
