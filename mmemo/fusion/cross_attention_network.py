"""The network of cross-attention fusion."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmemo.encoders.torch_network import self_attention
from mmemo.fusion.network import FusionNetwork, Inputs


class CrossAttentionNetwork(FusionNetwork):
    def __init__(
        self, dims: tuple[int, ...], classes: int, width: int, layers: int, heads: int, bottlenecks: int
    ) -> None:
        super().__init__(dims, classes)
        self.token_in = nn.ModuleList(nn.Linear(dim, width) for dim in dims)
        self.score_in = nn.ModuleList(nn.Linear(classes, width) for _ in dims)
        self.embedding = nn.Parameter(0.02 * torch.randn(len(dims), width))
        self.bottlenecks = nn.Parameter(0.02 * torch.randn(bottlenecks, width))
        self.layers = nn.ModuleList(nn.ModuleList(_Layer(width, heads) for _ in dims) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(0.3)
        self.own = nn.ModuleList(nn.Linear(2 * width, classes) for _ in dims)
        self.gate = nn.Linear(2 * width, 1)
        # Exponent of the number of modalities present: how far they strengthen each other.
        self.agreement = nn.Parameter(torch.tensor(0.5))

    def standardize(self, inputs: Inputs, presence: Tensor) -> None:
        """Take mean and deviation of each modality's tokens from the valid ones."""
        del presence  # the masks hold it too
        for column, (mean, scale) in enumerate(zip(self.means, self.scales, strict=True)):
            valid = inputs.tokens[column][inputs.masks[column]]
            if len(valid):
                mean.data.copy_(valid.mean(dim=0))
                scale.data.copy_(valid.std(dim=0, correction=0).clamp(min=1e-3))

    def fuse(self, inputs: Inputs, presence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, shared = presence.shape[0], len(self.bottlenecks)
        sequences, masks = [], []
        for column, token_in in enumerate(self.token_in):
            tokens = ((inputs.tokens[column] - self.means[column]) / self.scales[column]).clamp(-5, 5)
            scores = self.score_in[column](inputs.scores[column])[:, None]
            x = torch.cat([scores, token_in(self.dropout(tokens))], dim=1) + self.embedding[column]
            present = presence[:, column, None]
            valid = torch.cat([present, inputs.masks[column] & present], dim=1)
            # The bottlenecks are always valid keys, so a row that is all masked has something to attend to: no NaN.
            valid = torch.cat([torch.ones(rows, shared, dtype=torch.bool, device=presence.device), valid], dim=1)
            sequences.append(x)
            masks.append(valid)
        meeting = self.bottlenecks.expand(rows, -1, -1)
        weight = presence.float() / presence.sum(dim=1, keepdim=True).clamp(min=1)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            update = torch.zeros_like(meeting)
            for column in range(len(sequences)):
                x = layer[column](torch.cat([meeting, sequences[column]], dim=1), masks[column])
                sequences[column] = x[:, shared:]
                update = update + weight[:, column, None, None] * x[:, :shared]
            meeting = update
        common = self.norm(meeting).mean(dim=1)
        ends = [torch.cat([self.norm(x[:, 0]), common], dim=1) for x in sequences]
        own = torch.stack([out(self.dropout(end)) for out, end in zip(self.own, ends, strict=True)], dim=1)
        gates = torch.cat([self.gate(end) for end in ends], dim=1).masked_fill(~presence, -torch.inf)
        shares = gates.softmax(dim=1)
        count = presence.sum(dim=1, keepdim=True).float()
        return (shares[:, :, None] * own).sum(dim=1) * count**self.agreement, shares, own


class _Layer(nn.Module):
    """Self-attention and a feed-forward step, each with its norm before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.inner_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=True)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        normed = self.norm(x)
        x = x + self.dropout(self_attention(self.attention, normed, valid))
        inner: Tensor = self.dropout(self.down(functional.gelu(self.up(self.inner_norm(x)))))
        return x + inner
