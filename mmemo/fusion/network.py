"""The base of the networks of fusion heads, in torch: their inputs, and training with modality dropout."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmemo.encoders.torch_network import Signature
from mmemo.fusion.base import hold_out
from mmemo.fusion.distributed import broadcast_first, own_rows, rank_and_count, sum_gradients
from mmemo.fusion.network_fusion import Training

log = logging.getLogger(__name__)

_HELD_OUT = 0.2
"""Share of the groups held out to stop early."""
_LEAST_SHARE = 0.1
"""The guard pushes a mean share below this, over rows where a modality is with others, back up."""


class FusionNetwork(nn.Module):
    """A network whose outputs are logits (B, K), shares (B, M) and logits of each modality alone (B, M, K).

    Args:
        dims: token width of each modality.
        classes: K.

    Attributes:
        means, scales: of the tokens of each modality, by which they are standardized.
        temperature: scalar that the logits are divided by in use; `train` fits it on the groups held out.
    """

    def __init__(self, dims: Sequence[int], classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.temperature = nn.Parameter(torch.ones(()), requires_grad=False)
        self.means = nn.ParameterList(nn.Parameter(torch.zeros(dim), requires_grad=False) for dim in dims)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(dim), requires_grad=False) for dim in dims)

    def fuse(self, inputs: Inputs, presence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, shares and logits of each modality alone.

        Args:
            presence: (B, M) bool, True = present; inputs of an absent modality must not change the outputs.
        """
        raise NotImplementedError

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Logits at the temperature, and shares, from the tensors of `mmemo.fusion.network_fusion.inputs_of`."""
        *parts, presence = tensors
        logits, shares, _ = self.fuse(Inputs.of(parts), presence)
        return logits / self.temperature, shares

    def standardize(self, inputs: Inputs, presence: Tensor) -> None:
        """Take mean and deviation of the inputs from the training samples."""
        raise NotImplementedError

    def signature(self) -> Signature:
        """Its inputs and outputs."""
        inputs, axes = {}, {name: {0: "rows"} for name in ("presence", "logits", "shares")}
        for number, mean in enumerate(self.means):
            inputs[f"tokens_{number}"] = torch.randn(2, 3, len(mean))
            inputs[f"mask_{number}"] = torch.ones(2, 3, dtype=torch.bool)
            inputs[f"scores_{number}"] = torch.zeros(2, self.classes)
            for name in (f"tokens_{number}", f"mask_{number}"):
                axes[name] = {0: "rows", 1: f"length_{number}"}
            axes[f"scores_{number}"] = {0: "rows"}
        inputs["presence"] = torch.ones(2, len(self.means), dtype=torch.bool)
        return Signature(inputs, ("logits", "shares"), axes)


class Inputs:
    """Encodings as tensors: for each modality tokens (B, T, D), mask (B, T) True = valid, and log scores (B, K)."""

    def __init__(self, tokens: list[Tensor], masks: list[Tensor], scores: list[Tensor]) -> None:
        self.tokens, self.masks, self.scores = tokens, masks, scores

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> Inputs:
        """From tokens, mask and log scores of one modality after another."""
        return cls(list(tensors[0::3]), list(tensors[1::3]), list(tensors[2::3]))

    def rows(self, chosen: Tensor) -> Inputs:
        """Some rows."""
        return Inputs(*([part[chosen] for part in parts] for parts in (self.tokens, self.masks, self.scores)))

    def to(self, device: torch.device) -> Inputs:
        """The same on a device."""
        return Inputs(*([part.to(device) for part in parts] for parts in (self.tokens, self.masks, self.scores)))


def drop_modalities(presence: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Modality dropout: hide each modality of each row with some chance, but never all that a row has.

    Args:
        presence: (B, M) bool, True = present; so is the output.
    """
    kept = presence & (torch.rand(presence.shape, generator=generator) >= chance)
    # A row that lost everything keeps one of its own, at random.
    lost = ~kept.any(dim=1)
    if lost.any():
        draw = torch.where(presence, torch.rand(presence.shape, generator=generator), torch.tensor(-1.0))
        kept = kept | (lost[:, None] & functional.one_hot(draw.argmax(dim=1), presence.shape[1]).bool())
    return kept


def train(
    network: FusionNetwork,
    inputs: Inputs,
    presence: Tensor,
    target: np.ndarray,
    groups: np.ndarray,
    training: Training,
    seed: int,
) -> None:
    """Train in place, and go back to the epoch with the least log loss on groups held out.

    Beside the fused loss each modality's own logits are trained, so that no expert is left behind, and a modality whose
    mean share falls below a tenth is pushed back up: the guard against collapse. At the end the temperature is fitted
    on the groups held out.

    Launched in several processes they share each batch, on their CUDA devices if they have any
    (`mmemo.fusion.distributed`); the network is on the CPU again at the end.
    """
    device = torch.device("cuda" if rank_and_count()[1] > 1 and torch.cuda.is_available() else "cpu")
    network.to(device)
    inputs, presence = inputs.to(device), presence.to(device)
    generator = torch.Generator().manual_seed(seed)
    label = torch.from_numpy(target).to(device)
    held_out = torch.from_numpy(hold_out(groups, target, _HELD_OUT, seed))
    training_rows = torch.nonzero(~held_out)[:, 0]
    held_out = held_out.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
    best, best_state, waited = float("inf"), copy.deepcopy(network.state_dict()), 0
    for epoch in range(training.epochs):
        network.train()
        order = training_rows[torch.randperm(len(training_rows), generator=generator)]
        for batch in torch.split(order, training.batch):
            # All processes draw the dropout of the whole batch, so that their generators stay in step.
            dropped = drop_modalities(presence[batch.to(device)].cpu(), training.modality_dropout, generator)
            rows, kept = own_rows(batch).to(device), own_rows(dropped).to(device)
            optimizer.zero_grad(set_to_none=True)
            if len(rows):
                loss = _loss(network, inputs.rows(rows), kept, label[rows], training)
                torch.autograd.backward(loss * (len(rows) / len(batch)))
            sum_gradients(network)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        if not held_out.any():
            continue
        network.eval()
        with torch.no_grad():
            logits, _, _ = network.fuse(inputs.rows(held_out), presence[held_out])
            score = broadcast_first(float(functional.cross_entropy(logits, label[held_out])))
        if score < best - 1e-4:
            best, best_state, waited = score, copy.deepcopy(network.state_dict()), 0
        else:
            waited += 1
            if waited >= training.patience:
                log.debug("stopped after epoch %d", epoch)
                break
    if held_out.any():
        network.load_state_dict(best_state)
        network.eval()
        with torch.no_grad():
            logits, _, _ = network.fuse(inputs.rows(held_out), presence[held_out])
        _calibrate(network, logits, label[held_out])
    network.cpu().eval()


def _loss(network: FusionNetwork, inputs: Inputs, kept: Tensor, label: Tensor, training: Training) -> Tensor:
    logits, shares, own = network.fuse(inputs, kept)
    loss = functional.cross_entropy(logits, label, label_smoothing=training.smoothing)
    wide = label[:, None].expand(kept.shape)
    loss = loss + 0.3 * functional.cross_entropy(own[kept], wide[kept], label_smoothing=training.smoothing)
    several = kept & (kept.sum(dim=1, keepdim=True) > 1)
    mean = (shares * several).sum(dim=0) / several.sum(dim=0).clamp(min=1)
    guard = ((_LEAST_SHARE - mean).clamp(min=0) * several.any(dim=0)).sum()
    total: Tensor = loss + training.guard * guard
    return total


def _calibrate(network: FusionNetwork, logits: Tensor, label: Tensor) -> None:
    """Fit the temperature, on a grid from 0.4 to 2.5: finer than the few samples held out can resolve."""
    grid = torch.logspace(-0.4, 0.4, 33)
    losses = torch.stack([functional.cross_entropy(logits / value, label) for value in grid])
    network.temperature.data.copy_(grid[int(losses.argmin())])
