"""Training a head in several processes at once, as ``accelerate launch`` or ``torchrun`` starts them.

Every process holds all samples, draws the same batches, and takes its part of each; gradients are added up before the
step, so all have the same weights at any time. In one process all of this does nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn


def rank_and_count() -> tuple[int, int]:
    """Which process this is, and of how many; (0, 1) where nothing was launched."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def own_part(rows: Tensor) -> Tensor:
    """The rows of a batch that this process takes; may be none in the last batch."""
    rank, count = rank_and_count()
    return rows[rank::count]


def add_up_gradients(network: nn.Module) -> None:
    """Replace each gradient by the sum over all processes."""
    if rank_and_count()[1] == 1:
        return
    for parameter in network.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)


def of_the_first(value: float) -> float:
    """The first process's value, so that all decide alike."""
    if rank_and_count()[1] == 1:
        return value
    told = torch.tensor([value], dtype=torch.float64)
    if distributed.get_backend() == "nccl":
        told = told.cuda()
    distributed.broadcast(told, src=0)
    return float(told.item())
