"""Fine-tuning of a speech backbone: its head, and optionally its uppermost layers one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmemo.encoders.voice.backbone import SpeechBackboneEncoder, SpeechNetwork, group_by_length
from mmemo.errors import ArgumentError
from mmemo.evaluation.metrics import uar
from mmemo.training.loop import Schedule, fit
from mmemo.training.losses import masked_cross_entropy


def fine_tune(
    encoder: SpeechBackboneEncoder,
    windows: Sequence[np.ndarray],
    targets: Sequence[int],
    held_out: tuple[Sequence[np.ndarray], Sequence[int]],
    run: str | Path,
    *,
    weights: Sequence[float] | None = None,
    allowed: np.ndarray | None = None,
    unfreeze: Sequence[int] = (0,),
    schedule: Schedule | None = None,
    backbone_rate: float = 3e-5,
    batch: int = 16,
    seed: int = 0,
) -> SpeechBackboneEncoder:
    """Train ``encoder`` in place and return it with the weights of its best epoch.

    Args:
        encoder: with the head to train.
        windows: (N,) float32 each, as `SpeechBackboneEncoder.prepare` returns them, at most 20 s.
        targets: the class index of each.
        held_out: windows and class indices of other speakers, on which the best epoch is chosen.
        run: folder for checkpoints; an interrupted run there is resumed.
        weights: of each window in the loss; all 1 by default.
        allowed: (N, K) bool, the classes that each window could have, such as those of its corpus; the scores of the
            others are not trained on it. All by default.
        unfreeze: number of uppermost layers that are trained, epoch by epoch; the last one holds from there on. (0,)
            trains the head alone; (0, 1, 2, 4) unfreezes gradually, as Howard and Ruder do ("Universal language model
            fine-tuning for text classification", ACL 2018).
        schedule: 10 epochs at 1e-3 by default; the rate is that of the head.
        backbone_rate: peak learning rate of the layers.
        batch: windows in a batch.
        seed: of the order of batches.

    Raises:
        ArgumentError: without training windows, or without held-out ones.
    """
    if not len(windows) or len(windows) != len(targets) or not len(held_out[0]):
        raise ArgumentError(
            "fine_tune: expected a class for each window, and held-out windows of other speakers, got "
            f"{len(windows)} windows, {len(targets)} classes and {len(held_out[0])} held out."
        )
    network, backbone = encoder.network, encoder.network.backbone
    inputs = [backbone.input(window) for window in windows]
    target = torch.tensor(list(targets))
    weight = torch.ones(len(target)) if weights is None else torch.tensor(list(weights), dtype=torch.float32)
    permitted = torch.ones(len(target), len(encoder.labels), dtype=torch.bool)
    if allowed is not None:
        permitted = torch.from_numpy(allowed)
    steps = len(list(_batches([len(one) for one in inputs], backbone.exact, batch, 0)))

    def batches(epoch: int) -> Iterator[list[int]]:
        network.unfreeze(unfreeze[min(epoch, len(unfreeze) - 1)])
        network.train()
        return _batches([len(one) for one in inputs], backbone.exact, batch, seed + epoch)

    def loss(model: nn.Module, rows: list[int]) -> Tensor:
        assert isinstance(model, SpeechNetwork)
        logits = model([inputs[row] for row in rows]).float()
        true, possible, share = (part[rows].to(logits.device) for part in (target, permitted, weight))
        return (masked_cross_entropy(logits, true, possible, smoothing=0.1) * share).mean()

    def validate(model: nn.Module) -> float:
        assert model is network
        predicted = np.concatenate([encoder.encode([window]).logits for window in held_out[0]]).argmax(1)
        return float(uar(np.array(held_out[1]), predicted, len(encoder.labels)))

    head = [value for name, value in network.named_parameters() if not name.startswith("backbone.")]
    schedule = schedule or Schedule(10, 1e-3)
    groups = [
        {"params": head, "lr": schedule.learning_rate},
        {"params": list(backbone.parameters()), "lr": backbone_rate},
    ]
    fit(network, batches, steps, loss, validate, schedule, Path(run), groups=groups)
    network.unfreeze(0)
    return encoder


def _batches(lengths: Sequence[int], exact: bool, size: int, seed: int) -> Iterator[list[int]]:
    """Batches of rows of similar lengths, in random order."""
    groups = group_by_length(lengths, exact, size)
    return iter([groups[i] for i in np.random.default_rng(seed).permutation(len(groups))])
