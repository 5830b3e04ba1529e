"""The network of the face encoder: a small residual CNN with squeeze-and-excitation on gray aligned crops.

Sources: He et al., "Deep residual learning", CVPR 2016 (the block; pooled shortcuts after He et al., "Bag of tricks",
CVPR 2019); Hu et al., "Squeeze-and-excitation networks", CVPR 2018.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mmemo.encoders.face.architecture import FaceArchitecture
from mmemo.encoders.torch_network import Signature


def normalize_contrast(images: torch.Tensor) -> torch.Tensor:
    """Images at zero mean and unit standard deviation over their pixels.

    It is the network's first step, so that training and inference can't differ in it. An image that is nearly flat
    (standard deviation under 0.02 of full scale) is not amplified: its noise would look like a face.

    Args:
        images: (N, 1, S, S) float, black 0 and white 1.
    """
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    deviation = images.std(dim=(1, 2, 3), keepdim=True, unbiased=False)
    return (images - mean) / deviation.clamp_min(0.02)


class SqueezeExcite(nn.Module):
    """Channel weights from the mean of each channel."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same shape."""
        weights = self.excite(functional.relu(self.squeeze(features.mean(dim=(2, 3)))))
        return features * torch.sigmoid(weights)[:, :, None, None]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with squeeze-and-excitation, and a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.attention = SqueezeExcite(channels)
        self.pool: nn.Module = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.project = nn.Conv2d(channels_in, channels, 1, bias=False) if channels_in != channels else None
        self.project_norm: nn.Module = nn.BatchNorm2d(channels) if self.project is not None else nn.Identity()
        # Each block starts as its shortcut alone (Goyal et al. 2017), which steadies the first steps.
        nn.init.zeros_(self.norm2.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        shortcut = self.pool(features)
        if self.project is not None:
            shortcut = self.project_norm(self.project(shortcut))
        inner = functional.relu(self.norm1(self.conv1(features)), inplace=True)
        inner = self.attention(self.norm2(self.conv2(inner)))
        return functional.relu(inner + shortcut, inplace=True)


class FaceNetwork(nn.Module):
    """Residual CNN: gray crops in, one feature vector and the class logits of each crop out.

    Args:
        architecture: its shape.
    """

    def __init__(self, architecture: FaceArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.size, self.classes = architecture.size, architecture.classes
        first = architecture.widths[0]
        self.stem = nn.Conv2d(1, first, 3, 2, 1, bias=False)
        self.stem_norm: nn.Module = nn.BatchNorm2d(first)
        blocks, channels = [], first
        for stage, (width, depth) in enumerate(zip(architecture.widths, architecture.depths, strict=True)):
            for position in range(depth):
                blocks.append(ResidualBlock(channels, width, 2 if stage and not position else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(architecture.dropout)
        self.head = nn.Linear(channels, architecture.heads * architecture.classes)

    @property
    def dim(self) -> int:
        """D, the width of the features."""
        return self.head.in_features

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (N, D) and logits (N, K) of images (N, 1, S, S), float in [0, 1].

        The logits are the mean over the heads, which is the geometric mean of their probabilities.
        """
        features = self.features(images)
        return features, self.head_logits(features).mean(dim=1)

    def head_logits(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of each head (N, H, K) from features (N, D)."""
        return self.head(self.dropout(features)).unflatten(1, (self.architecture.heads, -1))  # type: ignore[no-any-return]

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Features (N, D) of images (N, 1, S, S), float in [0, 1]."""
        values = normalize_contrast(images).contiguous(memory_format=torch.channels_last)
        values = functional.relu(self.stem_norm(self.stem(values)), inplace=True)
        return self.blocks(values).mean(dim=(2, 3))  # type: ignore[no-any-return]

    def signature(self) -> Signature:
        """Its inputs and outputs."""
        axes = {name: {0: "faces"} for name in ("images", "features", "logits")}
        return Signature({"images": torch.rand(2, 1, self.size, self.size)}, ("features", "logits"), axes)
