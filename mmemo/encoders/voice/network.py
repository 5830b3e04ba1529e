"""Network of the voice encoder: the encoder of Whisper at any length, pooled over time into class scores.

The parts have the names and shapes of ``transformers.WhisperEncoder``, which loads the same arrays; here they run
without the four seconds that its import takes, and over the actual sound instead of 30 s padded with silence.
Source: Radford et al., "Robust speech recognition via large-scale weak supervision", 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from mmemo.encoders.torch_network import Signature
from mmemo.encoders.voice.architecture import HOP, VoiceArchitecture

_WINDOW, _STEP = 400, 160
_LEAST = 1e-7
"""The smallest share of a class: its logarithm is finite."""


class LogMel(nn.Module):
    """Log mel spectrum of Whisper: 100 values a second in each band, clipped eight decades below its peak."""

    filters: Tensor
    waves: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        bins = _WINDOW // 2 + 1
        filters = melscale_fbanks(bins, 0.0, 8000.0, bands, 16_000, norm="slaney", mel_scale="slaney")
        # The Fourier transform as a convolution with cosines and sines, which ONNX has too.
        angles = 2 * math.pi / _WINDOW * torch.outer(torch.arange(bins).double(), torch.arange(_WINDOW).double())
        waves = torch.cat([angles.cos(), angles.sin()]) * torch.hann_window(_WINDOW).double()
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)
        self.register_buffer("waves", waves.float()[:, None], persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(B, bands, 2 T + 1) of waveforms (B, N), zero beyond each length; T = ceil(N / 320).

        Waveforms are followed by silence, so a short one in a batch has the spectrum that it has alone.
        """
        half = _WINDOW // 2
        # One frame more than 2 T: the second convolution looks one ahead.
        sound = functional.pad(waveforms.float(), (half, -waveforms.shape[1] % HOP + half))
        real, imaginary = functional.conv1d(sound[:, None], self.waves, stride=_STEP).chunk(2, dim=1)
        mel = (self.filters @ (real.square() + imaginary.square())).clamp(min=1e-10).log10()
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
    """Whisper's encoder, mean and standard deviation over time of each of its layers, and linear layers on these.

    Speech has scores of its own, and so have vocal bursts (laughs, cries, screams, sighs): a window's are their mean,
    weighted by the probability that its voice is a burst.
    """

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
        self.burst_classifier = nn.Linear(size, classes)
        self.burst_detector, self.arousal = nn.Linear(size, 1), nn.Linear(size, 1)
        for layer, offset in ((self.burst_detector, -10.0), (self.arousal, 0.0)):  # until it is trained: all is speech
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, offset)

    def layers(self, waveforms: Tensor, lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        """Input of the first layer and output of each, (B, T, D), and the mask (B, T), True = valid.

        Args:
            waveforms: (B, N) float32 at 16 kHz, zero beyond each length.
            lengths: (B,) int64 samples.
        """
        mask = frames_mask(lengths)
        return self.encoder(self.spectrum(waveforms), None if mask.all() else mask), mask

    def tokens(self, layers: Sequence[Tensor]) -> Tensor:
        """Mean of all layers (B, T, D), each normalized first."""
        width = (self.architecture.d_model,)
        return torch.stack([functional.layer_norm(layer.float(), width) for layer in layers]).mean(0)

    def standardized(self, layers: Sequence[Tensor], windows: Tensor) -> Tensor:
        """`statistics` of all layers over each window, with the mean 0 and deviation 1 of the training sounds."""
        return (statistics(layers, windows) - self.centre) / self.spread

    def classify_speech(self, layers: Sequence[Tensor], windows: Tensor) -> Tensor:
        """Logits (B, W, K), or (B, K), of windows that hold speech; see `statistics`."""
        logits: Tensor = self.classifier(self.dropout(self.standardized(layers, windows)))
        return logits

    def forward(self, waveforms: Tensor, valid: Tensor, windows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Tokens (B, T, D), and of each window the log scores (B, W, K), the probability of a burst and the arousal.

        Args:
            waveforms: (B, N) float32 at 16 kHz, zero beyond each length.
            valid: (B, T) bool, True for the frames with sound.
            windows: (B, W, T) bool, the frames of each of W windows of a waveform.

        Returns:
            The probability that a window's voice is a vocal burst, 0 to 1, and its arousal, -1 to 1, are (B, W).
        """
        layers = self.encoder(self.spectrum(waveforms), valid)
        features = self.standardized(layers, windows)
        burst = self.burst_detector(features).sigmoid()
        speech = (1 - burst) * self.classifier(features).softmax(-1)
        scores = speech + burst * self.burst_classifier(features).softmax(-1)
        return self.tokens(layers), scores.clamp(min=_LEAST).log(), burst[..., 0], self.arousal(features)[..., 0].tanh()

    def signature(self) -> Signature:
        """Its inputs and outputs."""
        waveforms, valid = torch.randn(2, 10 * HOP), torch.ones(2, 10, dtype=torch.bool)
        axes = {
            "waveforms": {0: "sounds", 1: "samples"},
            "valid": {0: "sounds", 1: "frames"},
            "windows": {0: "sounds", 1: "windows", 2: "frames"},
            "tokens": {0: "sounds", 1: "frames"},
            "logits": {0: "sounds", 1: "windows"},
            "vocal_burst": {0: "sounds", 1: "windows"},
            "arousal": {0: "sounds", 1: "windows"},
        }
        inputs = {"waveforms": waveforms, "valid": valid, "windows": valid[:, None].repeat(1, 3, 1)}
        return Signature(inputs, ("tokens", "logits", "vocal_burst", "arousal"), axes)


def statistics(layers: Sequence[Tensor], windows: Tensor) -> Tensor:
    """Mean and standard deviation over the frames of each window of each of L layers, layer by layer.

    Args:
        layers: (B, T, D) each.
        windows: (B, W, T) bool, the frames of each window; or (B, T), one window each.

    Returns:
        (B, W, L 2 D), or (B, L 2 D).
    """
    if windows.ndim == 2:
        return statistics(layers, windows[:, None])[:, 0]
    weights = windows.float()
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1)
    parts = []
    for layer in layers:
        middle = layer.float().mean(1, keepdim=True)  # taken off first, as the squares of large values lose digits
        values = layer.float() - middle
        mean = weights @ values
        variance = (weights @ values.square() - mean.square()).clamp(min=0)
        parts += [mean + middle, (variance + 1e-5).sqrt()]
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
