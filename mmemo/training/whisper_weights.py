"""A frozen teacher of speech features: the encoder of Whisper, from the CTranslate2 file of `faster_whisper`.

CTranslate2 itself gives the last layer only, and always computes 30 s; here any length and the inner values
can be had. Source: Radford et al., "Robust speech recognition via large-scale weak supervision", 2022
(weights MIT).
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from mmemo.errors import WeightsError

_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
HOP = 320
"""Samples between two frames: the encoder gives 50 a second."""


def read_ctranslate2(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a CTranslate2 ``model.bin`` (format version 6).

    Raises:
        WeightsError: if the file is of another version or holds types that are not read here.
    """
    data = Path(path).read_bytes()
    position = 0

    def take(code: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from("<" + code, data, position)
        position += struct.calcsize("<" + code)
        return int(value)

    def text() -> str:
        nonlocal position
        size = take("H")
        value = data[position : position + size - 1].decode()
        position += size
        return value

    version = take("I")
    if version != 6:
        raise WeightsError(f"{path}: CTranslate2 format {version}, expected 6.")
    text(), take("I")
    arrays = {}
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = take("B"), take("I")
        if kind not in _DTYPES:
            raise WeightsError(f"{path}: {name} is of type {kind}, expected one of {sorted(_DTYPES)}.")
        arrays[name] = np.frombuffer(data, _DTYPES[kind], size // np.dtype(_DTYPES[kind]).itemsize, position).reshape(
            shape
        )
        position += size
    return arrays


class WhisperTeacher(nn.Module):
    """The encoder of Whisper for waveforms of any length up to 30 s; never trained.

    Attributes:
        width: D, values a frame.
        positions: (1500, D) the sinusoids that are added before the first layer.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        arrays = {
            name.removeprefix("encoder/"): torch.from_numpy(np.array(array, np.float32))
            for name, array in read_ctranslate2(path).items()
            if name.startswith("encoder/") and array.dtype == np.float16
        }
        self.arrays = arrays
        self.width = arrays["conv1/weight"].shape[0]
        self.heads = self.width // 64
        self.depth = sum(name.endswith("self_attention/linear_0/weight") for name in arrays)
        self.positions = arrays["position_encodings/encodings"]
        bands = arrays["conv1/weight"].shape[1]
        self.filters = melscale_fbanks(201, 0.0, 8000.0, bands, 16_000, norm="slaney", mel_scale="slaney")

    def layer(self, index: int) -> dict[str, Tensor]:
        """Weights of one layer by the names that ``transformers.Wav2Vec2Model`` gives the same parts."""
        at = f"layer_{index}/"
        query, key, value = self.arrays[at + "self_attention/linear_0/weight"].chunk(3)
        query_bias, key_bias, value_bias = self.arrays[at + "self_attention/linear_0/bias"].chunk(3)
        return {
            "attention.q_proj.weight": query,
            "attention.q_proj.bias": query_bias,
            "attention.k_proj.weight": key,
            "attention.k_proj.bias": key_bias,
            "attention.v_proj.weight": value,
            "attention.v_proj.bias": value_bias,
            "attention.out_proj.weight": self.arrays[at + "self_attention/linear_1/weight"],
            "attention.out_proj.bias": self.arrays[at + "self_attention/linear_1/bias"],
            "layer_norm.weight": self.arrays[at + "self_attention/layer_norm/gamma"],
            "layer_norm.bias": self.arrays[at + "self_attention/layer_norm/beta"],
            "feed_forward.intermediate_dense.weight": self.arrays[at + "ffn/linear_0/weight"],
            "feed_forward.intermediate_dense.bias": self.arrays[at + "ffn/linear_0/bias"],
            "feed_forward.output_dense.weight": self.arrays[at + "ffn/linear_1/weight"],
            "feed_forward.output_dense.bias": self.arrays[at + "ffn/linear_1/bias"],
            "final_layer_norm.weight": self.arrays[at + "ffn/layer_norm/gamma"],
            "final_layer_norm.bias": self.arrays[at + "ffn/layer_norm/beta"],
        }

    @torch.no_grad()
    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What enters the first layer, before the positions, and what leaves the last, after its norm.

        Args:
            waveforms: (B, N) float32 at 16 kHz, N a multiple of 320, zero beyond each length.
            lengths: (B,) int64 samples.

        Returns:
            Two arrays (B, N / 320, D) float32. Frame t is centred on sample 320 t.
        """
        values = self.layers(waveforms, lengths)
        leaving = functional.layer_norm(
            values[-1], (self.width,), self.arrays["layer_norm/gamma"], self.arrays["layer_norm/beta"]
        )
        return values[0], leaving

    @torch.no_grad()
    def layers(self, waveforms: Tensor, lengths: Tensor) -> list[Tensor]:
        """What enters the first layer, before the positions, and what leaves each layer; arguments as of `forward`."""
        x = self._log_mel(waveforms)
        x = functional.gelu(functional.conv1d(x, self.arrays["conv1/weight"], self.arrays["conv1/bias"], padding=1))
        x = functional.gelu(
            functional.conv1d(x, self.arrays["conv2/weight"], self.arrays["conv2/bias"], stride=2, padding=1)
        )
        entering = x.transpose(1, 2)
        frames = entering.shape[1]
        hidden = entering + self.positions[:frames]
        values = [entering]
        valid = torch.arange(frames) * HOP < lengths[:, None]
        for index in range(self.depth):
            hidden = self._block(hidden, self.layer(index), valid[:, None, None])
            values.append(hidden)
        return values

    def _log_mel(self, waveforms: Tensor) -> Tensor:
        """(B, bands, N / 160): ten-decade window below each waveform's loudest value, as Whisper was trained."""
        spectrum = torch.stft(waveforms, 400, 160, window=torch.hann_window(400), return_complex=True)[..., :-1]
        mel = torch.einsum("bft,fm->bmt", spectrum.abs().square(), self.filters).clamp(min=1e-10).log10()
        return (mel.maximum(mel.amax((1, 2), keepdim=True) - 8) + 4) / 4

    def _block(self, x: Tensor, weights: dict[str, Tensor], valid: Tensor) -> Tensor:
        def linear(value: Tensor, name: str) -> Tensor:
            return functional.linear(value, weights[name + ".weight"], weights[name + ".bias"])

        def norm(value: Tensor, name: str) -> Tensor:
            return functional.layer_norm(value, (self.width,), weights[name + ".weight"], weights[name + ".bias"])

        batch, frames, _ = x.shape
        normed = norm(x, "layer_norm")
        query, key, value = (
            linear(normed, f"attention.{part}_proj").view(batch, frames, self.heads, -1).transpose(1, 2)
            for part in "qkv"
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=valid)
        x = x + linear(mixed.transpose(1, 2).reshape(batch, frames, -1), "attention.out_proj")
        inner = functional.gelu(linear(norm(x, "final_layer_norm"), "feed_forward.intermediate_dense"))
        return x + linear(inner, "feed_forward.output_dense")
