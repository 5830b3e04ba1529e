"""The training loop: AdamW, warm-up and cosine, bfloat16, averaged weights, checkpoints, resume."""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Schedule:
    """Settings of the optimization; saved beside the weights.

    Attributes:
        epochs: number of passes.
        learning_rate: peak of the cosine schedule.
        weight_decay: of AdamW.
        warmup: share of all steps over which the rate rises from zero.
        clip_norm: highest norm of the gradient.
        averaging: decay of the exponential moving average of the weights; 0 for none.
        bfloat16: run the loss under autocast.
    """

    epochs: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip_norm: float = 1.0
    averaging: float = 0.0
    bfloat16: bool = True


def fit(
    model: nn.Module,
    batches: Callable[[int], Iterable[Any]],
    steps: int,
    loss: Callable[[nn.Module, Any], torch.Tensor],
    validate: Callable[[nn.Module], float],
    schedule: Schedule,
    run: Path,
    *,
    groups: list[dict[str, Any]] | None = None,
) -> nn.Module:
    """Train ``model`` and return it with the weights of its best epoch.

    Args:
        model: to be trained, in place.
        batches: of an epoch, by its number, so that a resumed run has the same ones.
        steps: number of batches an epoch.
        loss: scalar loss of one batch; runs under bfloat16 autocast if the schedule says so.
        validate: score of the (averaged) model on validation data, higher is better; never the test data.
        schedule: of the optimization.
        run: folder for ``last.pt`` (resume), ``best.pt`` and ``history.jsonl``. An interrupted run there is resumed.
        groups: parameter groups (``{"params": …, "lr": …}``); one group of all parameters otherwise.
    """
    run.mkdir(parents=True, exist_ok=True)
    parameters = groups or [{"params": [p for p in model.parameters() if p.requires_grad]}]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    total, rise = schedule.epochs * steps, max(1, int(schedule.warmup * schedule.epochs * steps))

    def rate(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    average = copy.deepcopy(model) if schedule.averaging else model
    first, best = 0, -math.inf
    if (run / "last.pt").exists():
        state = torch.load(run / "last.pt", weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        first, best = state["epoch"] + 1, state["best"]
        log.info("resuming after epoch %d", first)
    for epoch in range(first, schedule.epochs):
        model.train()
        start, sum_loss = time.monotonic(), 0.0
        for batch in batches(epoch):
            with torch.autocast("cpu", torch.bfloat16, enabled=schedule.bfloat16):
                value = loss(model, batch)
            optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), schedule.clip_norm)
            optimizer.step()
            scheduler.step()
            if schedule.averaging:
                _update(
                    average,
                    model,
                    min(schedule.averaging, (scheduler.last_epoch + 1) / (scheduler.last_epoch + 10)),
                )
            sum_loss += float(value.detach())
        average.eval()
        with torch.no_grad():
            score = validate(average)
        row = {"epoch": epoch, "loss": sum_loss / steps, "score": score, "seconds": time.monotonic() - start}
        log.info("epoch %(epoch)d loss %(loss).4f score %(score).4f %(seconds).0f s", row)
        with (run / "history.jsonl").open("a") as history:
            history.write(json.dumps({**row, **asdict(schedule)}) + "\n")
        if score > best:
            best = score
            _save(average.state_dict(), run / "best.pt")
        _save(
            {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
                "epoch": epoch,
                "best": best,
            },
            run / "last.pt",
        )
    average.load_state_dict(torch.load(run / "best.pt", weights_only=True))
    return average.eval()


def _update(average: nn.Module, model: nn.Module, decay: float) -> None:
    """One step of the exponential moving average; buffers such as batch-norm statistics are copied."""
    with torch.no_grad():
        for mean, now in zip(average.parameters(), model.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
        for kept, current in zip(average.buffers(), model.buffers(), strict=True):
            kept.copy_(current)


def _save(state: dict[str, Any], path: Path) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
