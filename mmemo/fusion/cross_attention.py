"""Cross-attention: the tokens of all modalities meet in a few bottleneck tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError
from mmemo.fusion.base import check_training, present
from mmemo.fusion.network import FusionNetwork, Inputs, inputs_of, train
from mmemo.labels import LabelSet

MOST_PARAMETERS = 3_000_000


class CrossAttentionFusion:
    """Token-level fusion by attention bottlenecks.

    In every layer the tokens of each modality, and one made of its expert's log scores, attend to each other and to a
    few bottleneck tokens that all modalities share; the bottlenecks take the mean of what those present wrote into
    them. So each modality attends to the others through a narrow place, which costs little and overfits less than
    attention of all to all. Each modality then gives logits of its own, and a gate says how much each counts. Source:
    Nagrani et al., "Attention bottlenecks for multimodal fusion", NeurIPS 2021.

    Args:
        dims: token width of each modality.
        width: of the tokens inside.
        layers: how many there are.
        heads: of attention, in each layer.
        bottlenecks: tokens through which the modalities exchange what they know.

    Raises:
        ArgumentError: if that makes more than 3 million parameters, or ``width`` is no multiple of ``heads``.
    """

    kind = "cross-attention"

    def __init__(
        self,
        labels: LabelSet,
        dims: Mapping[str, int],
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        bottlenecks: int = 4,
    ) -> None:
        if width % heads:
            raise ArgumentError(f"CrossAttentionFusion: width {width} must be a multiple of {heads} heads.")
        self.labels = labels
        self.dims = dict(dims)
        self.shape = {"width": width, "layers": layers, "heads": heads, "bottlenecks": bottlenecks}
        self.network = _Network(tuple(self.dims.values()), len(labels), **self.shape).eval()
        size = sum(parameter.numel() for parameter in self.network.parameters())
        if size > MOST_PARAMETERS:
            raise ArgumentError(
                f"CrossAttentionFusion would have {size:,} parameters, more than {MOST_PARAMETERS:,}: "
                "choose a smaller width or fewer layers."
            )

    @torch.no_grad()
    def _run(self, encodings: Mapping[str, Encoding]) -> tuple[Tensor, Tensor]:
        there = present(self, self.dims, encodings)
        inputs = inputs_of(self.dims, len(self.labels), encodings, len(there))
        logits, shares, _ = self.network(inputs, torch.from_numpy(there))
        return logits / self.network.temperature, shares

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64."""
        logits, _ = self._run(encodings)
        return np.asarray(logits.double().softmax(dim=1).numpy())

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Share of each modality in each row: what the gate gives it."""
        _, shares = self._run(encodings)
        return {m: shares[:, column].double().numpy() for column, m in enumerate(self.dims) if m in encodings}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings, and the network's arrays."""
        arrays = {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}
        return {"kind": self.kind, "dims": self.dims, **self.shape}, arrays

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        shape = {name: settings[name] for name in ("width", "layers", "heads", "bottlenecks")}
        head = cls(labels, settings["dims"], **shape)
        head.network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
        return head

    @classmethod
    def fit(
        cls,
        labels: LabelSet,
        encodings: Mapping[str, Encoding],
        target: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        seed: int = 0,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        bottlenecks: int = 4,
        epochs: int = 40,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.1,
        modality_dropout: float = 0.3,
        patience: int = 6,
    ) -> Self:
        """Learn, with early stopping on groups held out. See `mmemo.fusion.base.FittableHead`.

        Args:
            modality_dropout: chance that a modality is hidden from a training sample.
            patience: epochs without progress on the groups held out before it stops.
        """
        encodings, target, groups = check_training(cls.__name__, labels, encodings, target, groups)
        dims = {modality: encodings[modality].tokens.shape[2] for modality in sorted(encodings)}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            head: Self = cls(labels, dims, width, layers, heads, bottlenecks)
            there = torch.from_numpy(present(head, dims, encodings))
            inputs = inputs_of(dims, len(labels), encodings, len(target))
            head.network.standardise(inputs)
            train(
                head.network,
                inputs,
                there,
                target,
                groups,
                seed=seed,
                epochs=epochs,
                learning_rate=learning_rate,
                weight_decay=weight_decay,
                modality_dropout=modality_dropout,
                patience=patience,
            )
        return head


class _Network(FusionNetwork):
    def __init__(
        self, dims: tuple[int, ...], classes: int, width: int, layers: int, heads: int, bottlenecks: int
    ) -> None:
        super().__init__()
        self.means = nn.ParameterList(nn.Parameter(torch.zeros(dim), requires_grad=False) for dim in dims)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(dim), requires_grad=False) for dim in dims)
        self.token_in = nn.ModuleList(nn.Linear(dim, width) for dim in dims)
        self.score_in = nn.ModuleList(nn.Linear(classes, width) for _ in dims)
        self.embedding = nn.Parameter(0.02 * torch.randn(len(dims), width))
        self.bottlenecks = nn.Parameter(0.02 * torch.randn(bottlenecks, width))
        self.layers = nn.ModuleList(nn.ModuleList(_Layer(width, heads) for _ in dims) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(0.3)
        self.own = nn.ModuleList(nn.Linear(2 * width, classes) for _ in dims)
        self.gate = nn.Linear(2 * width, 1)
        # How much more is sure when n modalities say it.
        self.agreement = nn.Parameter(torch.tensor(0.5))

    def standardise(self, inputs: Inputs) -> None:
        """Take mean and deviation of each modality's tokens from the valid ones."""
        for column, (mean, scale) in enumerate(zip(self.means, self.scales, strict=True)):
            valid = inputs.tokens[column][inputs.masks[column]]
            if len(valid):
                mean.data.copy_(valid.mean(dim=0))
                scale.data.copy_(valid.std(dim=0, correction=0).clamp(min=1e-3))

    def forward(self, inputs: Inputs, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, shared = len(there), len(self.bottlenecks)
        sequences, hidden = [], []
        for column, token_in in enumerate(self.token_in):
            tokens = ((inputs.tokens[column] - self.means[column]) / self.scales[column]).clamp(-5, 5)
            said = self.score_in[column](inputs.scores[column])[:, None]
            x = torch.cat([said, token_in(self.dropout(tokens))], dim=1) + self.embedding[column]
            seen = there[:, column, None]
            valid = torch.cat([seen, inputs.masks[column] & seen], dim=1)
            # The bottlenecks are always valid keys, so a row that is all masked has something to attend to: no NaN.
            valid = torch.cat([torch.ones(rows, shared, dtype=torch.bool, device=there.device), valid], dim=1)
            sequences.append(x)
            hidden.append(_not_valid(valid))
        meeting = self.bottlenecks.expand(rows, -1, -1)
        weight = there.float() / there.sum(dim=1, keepdim=True).clamp(min=1)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            written = torch.zeros_like(meeting)
            for column in range(len(sequences)):
                x = layer[column](torch.cat([meeting, sequences[column]], dim=1), hidden[column])
                sequences[column] = x[:, shared:]
                written = written + weight[:, column, None, None] * x[:, :shared]
            meeting = written
        common = self.norm(meeting).mean(dim=1)
        ends = [torch.cat([self.norm(x[:, 0]), common], dim=1) for x in sequences]
        own = torch.stack([out(self.dropout(end)) for out, end in zip(self.own, ends, strict=True)], dim=1)
        gates = torch.cat([self.gate(end) for end in ends], dim=1).masked_fill(~there, -torch.inf)
        shares = gates.softmax(dim=1)
        count = there.sum(dim=1, keepdim=True).float()
        return (shares[:, :, None] * own).sum(dim=1) * count**self.agreement, shares, own


class _Layer(nn.Module):
    """Self-attention and a feed-forward step, each with its norm before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.inner_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=True)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor, not_valid: Tensor) -> Tensor:
        normed = self.norm(x)
        mixed, _ = self.attention(normed, normed, normed, key_padding_mask=not_valid, need_weights=False)
        x = x + self.dropout(mixed)
        inner: Tensor = self.dropout(self.down(functional.gelu(self.up(self.inner_norm(x)))))
        return x + inner


def _not_valid(valid: Tensor) -> Tensor:
    """The only place where masks change sense: ours say True = valid, torch's ``key_padding_mask`` True = leave out."""
    return ~valid
