"""Networks of encoders in torch, which need the extra ``train``; exported ones run without (`mmemo.onnx_network`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mmemo.errors import ArgumentError
from mmemo.onnx_network import check_device


class TorchNetwork:
    """A torch network as a function of arrays, with no gradients: what `mmemo.onnx_network.OnnxNetwork` is for ONNX.

    Args:
        module: put into evaluation mode and moved to the device.
        device: "auto", "cpu", "cuda", "mps".
    """

    def __init__(self, module: nn.Module, device: str = "cpu") -> None:
        self.device = torch_device(device)
        self.module = module.eval().to(self.device)

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """The outputs, fractions in float32; those that are None are left out."""
        with torch.inference_mode():
            outputs = self.module(*(torch.from_numpy(one).to(self.device) for one in inputs))
        return [(one.float() if one.is_floating_point() else one).cpu().numpy() for one in outputs if one is not None]


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a network, for its export.

    Attributes:
        inputs: an example of each input, by name and in order.
        outputs: names, in order.
        axes: of each input and output the axes of variable length, by number, and their names.
    """

    inputs: Mapping[str, torch.Tensor]
    outputs: tuple[str, ...]
    axes: Mapping[str, Mapping[int, str]]


def torch_device(device: str) -> torch.device:
    """A device of torch; "auto" is CUDA or MPS where there is one.

    Raises:
        ArgumentError: if there is no such device, or torch does not know it.
    """
    check_device(device)
    there = ["cpu"]
    if torch.cuda.is_available():
        there.append("cuda")
    if torch.backends.mps.is_available():
        there.append("mps")
    if device == "auto":
        return torch.device(there[-1])
    kind, _, number = device.partition(":")
    if kind not in there or (kind == "cuda" and number and int(number) >= torch.cuda.device_count()):
        raise ArgumentError(f'Device {device!r}: torch has {", ".join(there)} only here. Use device="cpu".')
    return torch.device(device)


def load_state(module: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Give a network the weights of a checkpoint, in float32.

    Raises:
        RuntimeError: if they are not those of this network.
    """
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, assign=True)


def stored_state(module: nn.Module) -> dict[str, np.ndarray]:
    """The weights of a network as they are stored: matrices in float16, the rest as it is."""
    stored = {}
    for name, tensor in module.state_dict().items():
        array = tensor.detach().cpu().numpy()
        # Vectors stay in float32: a batch norm's variance may be too small for float16.
        stored[name] = array.astype(np.float16) if array.ndim > 1 and array.dtype.kind == "f" else array
    return stored


def self_attention(attention: nn.MultiheadAttention, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Self-attention by the weights of torch's own layer, computed plainly, so that it can be exported.

    Args:
        x: (B, T, D).
        mask: (B, T) bool, True for the tokens to attend to; None for all.

    Returns:
        (B, T, D).
    """
    batch, length, dim = x.shape
    assert attention.in_proj_weight is not None
    query, key, value = (
        part.view(batch, length, attention.num_heads, -1).transpose(1, 2)
        for part in functional.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
    )
    dropout = attention.dropout if attention.training else 0.0
    attended = None if mask is None else mask[:, None, None]
    mixed = functional.scaled_dot_product_attention(query, key, value, attended, dropout)
    joined: torch.Tensor = attention.out_proj(mixed.transpose(1, 2).reshape(batch, length, dim))
    return joined
