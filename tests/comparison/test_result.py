from __future__ import annotations

import json

import pytest

from mmemo.comparison.result import Comparison
from mmemo.errors import ArgumentError


def test_json_holds_everything_and_no_nan(comparison: Comparison) -> None:
    document = json.loads(comparison.to_json())
    assert list(document["systems"]) == ["face", "voice", "late"]
    late = document["systems"]["late"]
    assert late["accuracy"]["value"] == pytest.approx(comparison["late"].accuracy.value, abs=1e-6)
    assert sum(map(sum, late["confusion"])) == 240
    assert len(document["pairs"]) == 3
    assert {curve["condition"] for curve in document["curves"]} == {
        "face missing",
        "voice missing",
        "any modality missing",
    }
    assert document["unimodal"] == ["face", "voice"]


def test_unimodal_fused_and_best_systems(comparison: Comparison) -> None:
    assert comparison.unimodal == ("face", "voice")
    assert comparison.fused == ("late",)
    assert comparison.best_fused == "late"
    gain = comparison.gain("late")
    assert gain is not None
    assert gain.first == comparison.best_unimodal
    back = comparison.pair("late", gain.first)
    assert (back.gain.value, back.gain.low) == (-gain.gain.value, -gain.gain.high)
    assert back.only_first == gain.only_second
    with pytest.raises(ArgumentError, match="Did you mean"):
        comparison["lat"]
