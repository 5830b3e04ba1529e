"""`fit`: it learns, it keeps the best epoch, and a run that was killed goes on as if it had not been."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from mmemo.training.loop import Schedule, fit

STEPS = 8


def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(STEPS):
        values = torch.randn(32, 4, generator=generator)
        yield values, (values[:, 0] > values[:, 1]).long()


def loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return functional.cross_entropy(model(batch[0]).float(), batch[1])


def score(model: nn.Module) -> float:
    values, target = next(batches(999))
    return float((model(values).argmax(1) == target).float().mean())


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))


def train(schedule: Schedule, run: Path, validate=score, feed=batches) -> nn.Module:
    return fit(network(), feed, STEPS, loss, validate, schedule, run)


def rows(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def test_learns_and_writes_its_history(tmp_path: Path) -> None:
    model = train(Schedule(epochs=6, learning_rate=0.02), tmp_path)
    assert score(model) > 0.9
    assert [row["epoch"] for row in rows(tmp_path)] == list(range(6))
    assert rows(tmp_path)[-1]["loss"] < rows(tmp_path)[0]["loss"]
    assert not model.training


class Killed(BaseException):
    """What a killed process looks like from inside."""


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, averaging: float) -> None:
    schedule = Schedule(epochs=5, learning_rate=0.02, averaging=averaging, bfloat16=False)

    def dies(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for step, batch in enumerate(batches(epoch)):
            if epoch == 3 and step == 4:
                raise Killed
            yield batch

    through = train(schedule, tmp_path / "through")
    with pytest.raises(Killed):
        train(schedule, tmp_path / "killed", feed=dies)
    resumed = train(schedule, tmp_path / "killed")
    assert [row["epoch"] for row in rows(tmp_path / "killed")] == list(range(5))
    for name, value in through.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    schedule = Schedule(epochs=2, learning_rate=0.02)
    first = train(schedule, tmp_path)

    def fails(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        raise AssertionError(epoch)

    again = train(schedule, tmp_path, feed=fails)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_gives_the_weights_of_the_best_epoch(tmp_path: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def validate(model: nn.Module) -> float:
        seen.append(copy.deepcopy(model.state_dict()))
        return [0.1, 0.8, 0.3][len(seen) - 1]

    best = train(Schedule(epochs=3, learning_rate=0.02), tmp_path, validate=validate)
    assert all(torch.equal(value, best.state_dict()[name]) for name, value in seen[1].items())


def test_averaged_weights_are_what_is_validated_and_lag_behind(tmp_path: Path) -> None:
    seen: list[nn.Module] = []

    def validate(model: nn.Module) -> float:
        seen.append(copy.deepcopy(model))
        assert not model.training
        return 1.0

    start = network()
    model = network()
    fit(model, batches, STEPS, loss, validate, Schedule(1, 0.02, averaging=0.99), tmp_path)
    first = start[0].weight
    moved, average = (model[0].weight - first).norm(), (seen[0][0].weight - first).norm()
    assert 0 < average < moved


def test_the_rate_rises_then_falls_to_zero(tmp_path: Path) -> None:
    rates: list[float] = []
    optimizers: list[torch.optim.Optimizer] = []
    original = torch.optim.AdamW.step

    def step(self, closure=None):
        optimizers.append(self)
        rates.append(self.param_groups[0]["lr"])
        return original(self, closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        train(Schedule(epochs=5, learning_rate=0.02, warmup=0.25), tmp_path)
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.02)
    assert top == pytest.approx(10, abs=1)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 0.001


def test_groups_keep_rates_of_their_own(tmp_path: Path) -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    groups = [
        {"params": list(model[0].parameters()), "lr": 0.0},
        {"params": list(model[3].parameters()), "lr": 0.02},
    ]
    fit(model, batches, STEPS, loss, score, Schedule(1, 0.02, weight_decay=0.0), tmp_path, groups=groups)
    assert torch.equal(model[0].weight, before["0.weight"])
    assert not torch.equal(model[3].weight, before["3.weight"])
