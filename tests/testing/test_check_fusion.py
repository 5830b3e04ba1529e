"""Each fault of a broken head has its own message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError
from mmemo.fusion.late import LateFusion
from mmemo.labels import LabelSet
from mmemo.testing import check_fusion

LABELS = LabelSet("three", ("a", "b", "c"))
Given = Mapping[str, Encoding]


class Good(LateFusion):
    kind = "good"

    def __init__(
        self, labels: LabelSet = LABELS, weights: Any = None, agreement: float = 0.5, trust: Any = None
    ) -> None:
        super().__init__(labels, weights or {"face": 0.6, "voice": 0.4}, agreement, trust)
        self.random = np.random.default_rng(0)


def broken(**methods: Any) -> Any:
    return type("Broken", (Good,), methods)()


def late(head: Any, given: Given) -> np.ndarray:
    return LateFusion.fuse(head, given)


def first_named(head: Any, given: Given) -> np.ndarray:
    return late(head, {"face": given[next(iter(given))]})


def reads_masked(head: Any, given: Given) -> np.ndarray:
    extra = sum(encoding.logits.sum(axis=1) for m, encoding in given.items() if m == "voice")
    scores = late(head, given)
    scores[:, 0] += 0.001 * np.abs(extra)
    return scores / scores.sum(axis=1, keepdims=True)


def nan_when_masked(head: Any, given: Given) -> np.ndarray:
    scores = late(head, given)
    for encoding in given.values():
        scores[~encoding.present] = np.nan
    return scores


def needs_both(head: Any, given: Given) -> np.ndarray:
    return late(head, {"face": given["face"], "voice": given["voice"], **given})


def accepts_nothing(head: Any, given: Given) -> np.ndarray:
    there = np.any([encoding.present for encoding in given.values()], axis=0)
    scores = np.full((len(there), 3), 1 / 3)
    if there.any():
        scores[there] = late(head, {m: e.rows(there) for m, e in given.items()})
    return scores


def passes_over(head: Any, given: Given) -> np.ndarray:
    return late(head, {m: e for m, e in given.items() if m in ("face", "voice")})


def nothing_seen(head: Any, given: Given) -> np.ndarray:
    return np.full_like(late(head, given), 1 / 3)


def by_batch(head: Any, given: Given) -> np.ndarray:
    scores = late(head, given)
    mixed: np.ndarray = 0.5 * scores + 0.5 * scores.mean(axis=0)
    return mixed


def all_equal(head: Any, given: Given) -> dict[str, np.ndarray]:
    return {m: np.full(len(e), 1 / len(given)) for m, e in given.items()}


FAULTS: dict[str, Any] = {
    "(B, K) = (6, 3), got (6, 2)": broken(fuse=lambda self, given: late(self, given)[:, :2]),
    "fuse must give float64": broken(fuse=lambda self, given: late(self, given).astype(np.float32)),
    "NaN or infinity though all": broken(fuse=lambda self, given: late(self, given) * np.nan),
    "sum to 1: take the softmax": broken(fuse=lambda self, given: 2 * late(self, given)),
    "two calls with the same input differ": broken(
        fuse=lambda self, given: (lambda p: p / p.sum(axis=1, keepdims=True))(
            late(self, given) + self.random.random((len(next(iter(given.values()))), 3))
        )
    ),
    "with the other rows of its batch": broken(fuse=by_batch),
    "order in which modalities are given": broken(fuse=first_named),
    "does not look at its input": broken(fuse=nothing_seen),
    "fails when face is not given": broken(fuse=needs_both),
    "in which face is all masked becomes NaN": broken(fuse=nan_when_masked),
    "reads voice where the mask is False": broken(fuse=reads_masked),
    "no modality at all must raise": broken(fuse=accepts_nothing),
    "does not know must raise": broken(fuse=passes_over),
    "shares must give (B,)": broken(shares=lambda self, given: {"face": np.ones(6)}),
    "shares must sum to 1": broken(
        shares=lambda self, given: {m: 2 * s for m, s in LateFusion.shares(self, given).items()}
    ),
    "share of an absent modality must be 0": broken(shares=all_equal),
    "must name the kind": broken(state=lambda self: ({}, {})),
    "settings must be JSON": broken(state=lambda self: ({"kind": "good", "weights": np.ones(2)}, {})),
    "arrays must be NumPy": broken(state=lambda self: ({"kind": "good"}, {"weights": [1.0]})),
    "labels must be a": broken(__init__=lambda self: (Good.__init__(self), setattr(self, "labels", ["a", "b"]))[0]),
    "kind must be an attribute of the class": broken(
        kind=None,
        __init__=lambda self: (Good.__init__(self), setattr(self, "kind", "other"))[0],
        state=lambda self: ({**LateFusion.state(self)[0], "kind": "other"}, {}),
    ),
    "from_state can't read what state gave": broken(state=lambda self: ({"kind": "good"}, {})),
    "its scores differ after from_state": broken(
        state=lambda self: ({**LateFusion.state(self)[0], "weights": {"face": 0.1, "voice": 0.9}}, {})
    ),
    "it raises ZeroDivisionError": broken(fuse=lambda self, given: 1 / 0),
}


def test_a_good_head_passes() -> None:
    check_fusion(Good())


@pytest.mark.parametrize("message", FAULTS)
def test_a_fault_has_its_message(message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        check_fusion(FAULTS[message])
    assert message in str(caught.value)


def test_what_is_no_head_at_all_is_told_what_it_lacks() -> None:
    with pytest.raises(ArgumentError, match="no attribute 'shares'"):
        check_fusion(object())
