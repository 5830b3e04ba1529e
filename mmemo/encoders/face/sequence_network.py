"""Networks over sequences of face crops: the image network inflated in time, and an LSTM on its features.

Both are initialized as the image network: before training, every frame gets exactly its scores.

Sources: Carreira and Zisserman, "Quo vadis, action recognition?", CVPR 2017 (inflation); Tran et al., "A closer look at
spatiotemporal convolutions", CVPR 2018 ((2+1)D); Donahue et al., "Long-term recurrent convolutional networks", CVPR
2015.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mmemo.encoders.face.architecture import SequenceArchitecture
from mmemo.encoders.face.network import FaceNetwork, normalize_contrast
from mmemo.encoders.torch_network import Signature


def build_network(architecture: SequenceArchitecture, image: FaceNetwork | None = None) -> SequenceNetwork:
    """A network of a shape, around an image network or around an untrained one."""
    image = FaceNetwork(architecture.image) if image is None else image
    return (InflatedNetwork if architecture.kind == "inflated" else LstmNetwork)(image, architecture)


class TemporalConvolution(nn.Module):
    """A depthwise convolution over time; initialized as the identity.

    It is the second half of a (2+1)D convolution, whose first half is the two-dimensional one before it. Before the
    first frame and after the last one those frames are repeated.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(kernel, channels))
        with torch.no_grad():
            self.weight[kernel // 2] = 1

    def forward(self, features: torch.Tensor, clips: int) -> torch.Tensor:
        """(B * T, C, H, W) of B clips to the same shape."""
        kernel, channels = self.weight.shape
        frames = features.reshape(clips, -1, *features.shape[1:])
        length = frames.shape[1]
        mixed = torch.zeros_like(frames)
        for place in range(kernel):
            times = torch.arange(length, device=features.device) + place - kernel // 2
            mixed = mixed + self.weight[place].view(channels, 1, 1) * frames[:, times.clamp(0, length - 1)]
        return mixed.flatten(0, 1)


class SequenceNetwork(nn.Module):
    """Base of the two networks.

    Args:
        image: the image network, with the weights to begin with.
        architecture: the shape.

    Attributes:
        dim: D, the width of a token.
        size: S, side of the images in pixels.
        classes: K.
    """

    dim: int

    def __init__(self, image: FaceNetwork, architecture: SequenceArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.image = image
        self.size, self.classes = image.size, image.classes

    def forward(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, T, D) and logits of each frame (B, T, K) of clips (B, T, 1, S, S), float in [0, 1]."""
        raise NotImplementedError

    def scores(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (…, K) of features (…, D) by the image network's heads."""
        flat = features.flatten(0, -2)
        return self.image.head_logits(flat).mean(dim=1).reshape(*features.shape[:-1], -1)

    def signature(self) -> Signature:
        """Its inputs and outputs."""
        axes = {name: {0: "clips", 1: "frames"} for name in ("images", "tokens", "logits")}
        return Signature({"images": torch.rand(2, 3, 1, self.size, self.size)}, ("tokens", "logits"), axes)

    def train(self, mode: bool = True) -> SequenceNetwork:
        """Switch training mode; the batch norms of the image network keep their statistics, as clips are few."""
        super().train(mode)
        self.image.eval()
        return self


class InflatedNetwork(SequenceNetwork):
    """The image network with a `TemporalConvolution` after each block: a 3D CNN in (2+1)D form."""

    def __init__(self, image: FaceNetwork, architecture: SequenceArchitecture) -> None:
        super().__init__(image, architecture)
        widths = [
            width
            for width, depth in zip(image.architecture.widths, image.architecture.depths, strict=True)
            for _ in range(depth)
        ]
        self.temporal = nn.ModuleList(TemporalConvolution(width, architecture.kernel) for width in widths)
        self.dim = image.dim

    def forward(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `SequenceNetwork.forward`."""
        count, length = clips.shape[:2]
        values = normalize_contrast(clips.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        values = functional.relu(self.image.stem_norm(self.image.stem(values)))
        for block, temporal in zip(self.image.blocks, self.temporal, strict=True):
            values = temporal(block(values), count)
        features = values.mean(dim=(2, 3)).reshape(count, length, -1)
        return features, self.scores(features)


class LstmNetwork(SequenceNetwork):
    """CNN-LSTM: a bidirectional LSTM over the image network's features, added to its logits; initialized at zero."""

    def __init__(self, image: FaceNetwork, architecture: SequenceArchitecture) -> None:
        super().__init__(image, architecture)
        self.norm = nn.LayerNorm(image.dim)
        self.lstm = nn.LSTM(image.dim, architecture.hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * architecture.hidden, image.architecture.classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.dim = 2 * architecture.hidden

    def forward(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `SequenceNetwork.forward`."""
        features = self.image.features(clips.flatten(0, 1)).reshape(*clips.shape[:2], -1)
        return self.follow(features)

    def follow(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and logits from the image network's features (B, T, D), which can be kept from epoch to epoch."""
        tokens, _ = self.lstm(self.norm(features))
        return tokens, self.scores(features) + self.head(tokens)
