"""Small networks that tell micro-expressions apart; there are some hundred samples to learn from, so all are shallow.

Those of one image take flow images (N, 3, 28, 28) of `mmemo.micro.flow_image`; those of a sequence take (N, T, 3, 28,
28): the flow images from the onset to each of T moments up to the apex.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mmemo.encoders.torch_network import Signature, self_attention
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.micro.flow_image import SIDE


class STSTNet(nn.Module):
    """Three shallow streams of 3, 5 and 8 filters over u, v and strain (Liong et al., STSTNet, FG 2019).

    Close to the published network: each stream is one 3 x 3 convolution and 3 x 3 max pooling, the streams are joined
    and pooled to 5 x 5. The streams see the same input, so they are one convolution of 16 filters here; batch norm
    comes after pooling, which is nine times cheaper. 1,683 parameters.
    """

    def __init__(self, classes: int, *, streams: Sequence[int] = (3, 5, 8), dropout: float = 0.5) -> None:
        super().__init__()
        filters = sum(streams)
        self.streams = nn.Conv2d(3, filters, 3, padding=2)
        self.norm = nn.BatchNorm2d(filters)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(filters * 25, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of images (N, 3, 28, 28)."""
        values = functional.relu(functional.max_pool2d(self.streams(images), 3, 3, 1))
        values = functional.avg_pool2d(self.dropout(self.norm(values)), 2)
        logits: torch.Tensor = self.head(values.flatten(1))
        return logits


class ShallowCnn(nn.Module):
    """Two convolutions, each of stride 2, and a linear layer that knows where things are on the face."""

    def __init__(self, classes: int, *, filters: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, filters, 5, stride=2, padding=2)
        self.first_norm = nn.BatchNorm2d(filters)
        self.second = nn.Conv2d(filters, 2 * filters, 3, stride=2, padding=1)
        self.second_norm = nn.BatchNorm2d(2 * filters)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * filters * 49, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of images (N, 3, 28, 28)."""
        values = functional.relu(self.first_norm(self.first(images)))
        values = functional.relu(self.second_norm(self.second(values)))
        logits: torch.Tensor = self.head(self.dropout(values).flatten(1))
        return logits


class DenseNetwork(nn.Module):
    """One hidden layer over all pixels: every filter sees the whole face, so it knows where it looks."""

    def __init__(self, classes: int, *, width: int = 128, dropout: float = 0.5) -> None:
        super().__init__()
        self.hide = nn.Dropout(0.3)
        self.hidden = nn.Linear(3 * SIDE * SIDE, width)
        self.norm = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of images (N, 3, 28, 28)."""
        values = functional.relu(self.norm(self.hidden(self.hide(images.flatten(1)))))
        logits: torch.Tensor = self.head(self.dropout(values))
        return logits


class _PlainLayer(nn.TransformerEncoderLayer):
    """A layer with the weights of torch's own, its norms first, computed plainly, so that it can be exported."""

    def forward(self, x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:  # type: ignore[override]
        """(B, T, D) to the same."""
        x = x + self.dropout1(self_attention(self.self_attn, self.norm1(x)))
        inner = self.dropout(functional.relu(self.linear1(self.norm2(x))))
        return x + self.dropout2(self.linear2(inner))  # type: ignore[no-any-return]


class RegionTransformer(nn.Module):
    """A transformer over overlapping regions of the face, each with an embedding of its own.

    After HTNet (Wang et al. 2024), which lets blocks within four regions of the face attend to each other and then
    joins the regions. Here the regions are 20 overlapping squares of a fixed grid, which lie on the same part of every
    aligned face, and one layer of attention joins them.
    """

    def __init__(
        self, classes: int, *, dim: int = 32, heads: int = 4, side: int = 9, depth: int = 1, dropout: float = 0.4
    ) -> None:
        super().__init__()
        self.side = side
        last = SIDE - side
        self.corners = [(last * row // 3, last * column // 4) for row in range(4) for column in range(5)]
        count = len(self.corners)
        self.embed = nn.Parameter(torch.randn(count, 3 * side * side, dim) / (3 * side * side) ** 0.5)
        self.place = nn.Parameter(torch.randn(count, dim) * 0.02)
        layer = _PlainLayer(dim, heads, 2 * dim, dropout, batch_first=True, norm_first=True)
        self.attention = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(count * dim, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of images (N, 3, 28, 28)."""
        side = self.side
        squares = [images[:, :, row : row + side, column : column + side].flatten(1) for row, column in self.corners]
        regions = torch.bmm(self.dropout(torch.stack(squares)), self.embed).transpose(0, 1) + self.place
        joined = self.dropout(self.norm(self.attention(regions)))
        logits: torch.Tensor = self.head(joined.flatten(1))
        return logits


class Cnn3d(nn.Module):
    """Two convolutions over space and time, for sequences."""

    def __init__(self, classes: int, *, filters: int = 8, dropout: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Conv3d(3, filters, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2))
        self.first_norm = nn.BatchNorm3d(filters)
        self.second = nn.Conv3d(filters, 2 * filters, 3, stride=2, padding=1)
        self.second_norm = nn.BatchNorm3d(2 * filters)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * filters * 49, classes)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of sequences (N, T, 3, 28, 28)."""
        values = functional.relu(self.first_norm(self.first(sequences.transpose(1, 2))))
        values = functional.relu(self.second_norm(self.second(values))).mean(dim=2)
        logits: torch.Tensor = self.head(self.dropout(values.flatten(1)))
        return logits


class CnnLstm(nn.Module):
    """A convolution of every moment, and an LSTM over the moments."""

    def __init__(self, classes: int, *, filters: int = 8, width: int = 48, dropout: float = 0.5) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, filters, 5, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(filters)
        self.lstm = nn.LSTM(filters * 49, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of sequences (N, T, 3, 28, 28)."""
        count, moments = sequences.shape[:2]
        values = functional.relu(self.norm(self.convolution(sequences.flatten(0, 1))))
        values = self.dropout(functional.avg_pool2d(values, 2).flatten(1)).unflatten(0, (count, moments))
        _, (last, _) = self.lstm(values)
        logits: torch.Tensor = self.head(self.dropout(last[-1]))
        return logits


NETWORKS: dict[str, type[nn.Module]] = {
    "ststnet": STSTNet,
    "cnn": ShallowCnn,
    "dense": DenseNetwork,
    "regions": RegionTransformer,
    "cnn3d": Cnn3d,
    "cnn_lstm": CnnLstm,
}
"""The networks by the name under which weights are saved."""
OF_SEQUENCES = ("cnn3d", "cnn_lstm")
"""Those that take sequences."""


class Ensemble(nn.ModuleList):
    """Networks of images whose probabilities are averaged.

    Args:
        networks: their names and the networks.

    Raises:
        ArgumentError: if there is none, or one whose name is unknown or that takes sequences.
    """

    def __init__(self, networks: Sequence[tuple[str, nn.Module]]) -> None:
        images = [name for name in NETWORKS if name not in OF_SEQUENCES]
        for name, _ in networks:
            if name not in images:
                raise ArgumentError(expected_one_of("Network of MicroRecognizer", images, name))
        if not networks:
            raise ArgumentError("MicroRecognizer: expected at least one network.")
        super().__init__(network for _, network in networks)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """Probabilities (N, K) of images (N, 3, 28, 28)."""
        return (torch.stack([network(images).softmax(dim=1) for network in self]).mean(dim=0),)

    def signature(self) -> Signature:
        """Its inputs and outputs."""
        axes = {name: {0: "images"} for name in ("images", "probabilities")}
        return Signature({"images": torch.rand(2, 3, SIDE, SIDE)}, ("probabilities",), axes)
