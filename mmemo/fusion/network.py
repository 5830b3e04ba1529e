"""The base of fusion heads that are torch networks: their tensors, and training with modality dropout."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax
from mmemo.fusion.base import check_training, hold_out, present
from mmemo.fusion.distributed import broadcast_first, own_rows, rank_and_count, sum_gradients
from mmemo.labels import LabelSet

log = logging.getLogger(__name__)

_HELD_OUT = 0.2
"""Share of the groups held out to stop early."""
_LEAST_SHARE = 0.1
"""The guard pushes a mean share below this, over rows where a modality is with others, back up."""
_LEAST_SCORE = -12.0
"""Log scores are cut off here: an expert that is sure and wrong must not outvote all others."""


@dataclass(frozen=True)
class Training:
    """Hyperparameters of training a head's network.

    Attributes:
        epochs: the most passes over the samples.
        patience: epochs without progress on the groups held out before training stops.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        modality_dropout: probability that a modality is hidden from a training sample.
        batch: samples a step.
        guard: weight of the loss that pushes a modality back up whose mean share falls below a tenth.
        smoothing: of the labels.
    """

    epochs: int
    patience: int
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    modality_dropout: float = 0.3
    batch: int = 64
    guard: float = 1.0
    smoothing: float = 0.05


class FusionNetwork(nn.Module):
    """A network whose outputs are logits (B, K), shares (B, M) and logits of each modality alone (B, M, K).

    Attributes:
        temperature: scalar that the logits are divided by in use; `train` fits it on the groups held out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, inputs: Inputs, presence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``presence`` (B, M) bool, True = present; inputs of an absent modality must not change the outputs."""
        raise NotImplementedError

    def standardize(self, inputs: Inputs, presence: Tensor) -> None:
        """Take mean and deviation of the inputs from the training samples."""
        raise NotImplementedError


class Inputs:
    """Encodings as tensors: for each modality tokens (B, T, D), mask (B, T) True = valid, and log scores (B, K)."""

    def __init__(self, tokens: list[Tensor], masks: list[Tensor], scores: list[Tensor]) -> None:
        self.tokens, self.masks, self.scores = tokens, masks, scores

    def rows(self, chosen: Tensor) -> Inputs:
        """Some rows."""
        return Inputs(*([part[chosen] for part in parts] for parts in (self.tokens, self.masks, self.scores)))

    def to(self, device: torch.device) -> Inputs:
        """The same on a device."""
        return Inputs(*([part.to(device) for part in parts] for parts in (self.tokens, self.masks, self.scores)))


def inputs_of(dims: Mapping[str, int], classes: int, encodings: Mapping[str, Encoding], rows: int) -> Inputs:
    """Tensors in the order of ``dims``; zeros for a modality that is not given, and where it is absent."""
    tokens, masks, scores = [], [], []
    for modality, dim in dims.items():
        if modality not in encodings:
            tokens.append(torch.zeros(rows, 1, dim))
            masks.append(torch.zeros(rows, 1, dtype=torch.bool))
            scores.append(torch.zeros(rows, classes))
            continue
        encoding = encodings[modality]
        # Values of absent rows may be anything, NaN even, and zero times NaN is NaN.
        valid = np.where(encoding.mask[:, :, None], encoding.tokens, 0).astype(np.float32)
        logits = np.where(encoding.present[:, None], encoding.logits, 0).astype(np.float64)
        centered = np.maximum(log_softmax(logits), _LEAST_SCORE)
        centered -= centered.mean(axis=1, keepdims=True)
        tokens.append(torch.from_numpy(valid))
        masks.append(torch.from_numpy(encoding.mask))
        scores.append(torch.from_numpy(centered.astype(np.float32)))
    return Inputs(tokens, masks, scores)


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
            logits, _, _ = network(inputs.rows(held_out), presence[held_out])
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
            logits, _, _ = network(inputs.rows(held_out), presence[held_out])
        _calibrate(network, logits, label[held_out])
    network.cpu().eval()


def _loss(network: FusionNetwork, inputs: Inputs, kept: Tensor, label: Tensor, training: Training) -> Tensor:
    logits, shares, own = network(inputs, kept)
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


class NetworkFusion:
    """The base of heads that are a network over the tokens and the log scores of all modalities.

    A subclass takes ``labels``, ``dims`` and its network's settings by name, and hands them on with the network.

    Args:
        labels: classes of every expert, and of the fused scores.
        dims: token width of each modality.
        network: in evaluation mode from here on.
        shape: the network's settings, as the subclass takes them.

    Attributes:
        settings: names of the settings in ``shape``.
        training: the default hyperparameters of `fit`.
    """

    kind: str
    settings: tuple[str, ...]
    training: Training

    def __init__(
        self, labels: LabelSet, dims: Mapping[str, int], network: FusionNetwork, shape: Mapping[str, int]
    ) -> None:
        self.labels = labels
        self.dims = dict(dims)
        self.shape = dict(shape)
        self.network = network.eval()

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64."""
        logits, _ = self._run(encodings)
        return np.asarray(logits.double().softmax(dim=1).numpy())

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Share of each modality in each row, (B,) float64."""
        _, shares = self._run(encodings)
        return {m: shares[:, column].double().numpy() for column, m in enumerate(self.dims) if m in encodings}

    @torch.no_grad()
    def _run(self, encodings: Mapping[str, Encoding]) -> tuple[Tensor, Tensor]:
        presence = present(self, self.dims, encodings)
        inputs = inputs_of(self.dims, len(self.labels), encodings, len(presence))
        logits, shares, _ = self.network(inputs, torch.from_numpy(presence))
        return logits / self.network.temperature, shares

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings, and the network's arrays."""
        arrays = {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}
        return {"kind": self.kind, "dims": self.dims, **self.shape}, arrays

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        head = cls._build(labels, settings["dims"], {name: settings[name] for name in cls.settings})
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
        training: Training | None = None,
        **shape: int,
    ) -> Self:
        """Learn, with early stopping on groups held out. See `mmemo.fusion.base.FittableHead`.

        Args:
            training: the class's own by default.
            shape: the network's settings, where they differ from the defaults.
        """
        encodings, target, groups = check_training(cls.__name__, labels, encodings, target, groups)
        dims = {modality: encodings[modality].tokens.shape[2] for modality in sorted(encodings)}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            head = cls._build(labels, dims, shape)
            presence = torch.from_numpy(present(head, dims, encodings))
            inputs = inputs_of(dims, len(labels), encodings, len(target))
            head.network.standardize(inputs, presence)
            train(head.network, inputs, presence, target, groups, training or cls.training, seed)
        return head

    @classmethod
    def _build(cls, labels: LabelSet, dims: Mapping[str, int], shape: Mapping[str, int]) -> Self:
        return cls(labels, dims, **shape)  # type: ignore[arg-type]  # a subclass's own arguments
