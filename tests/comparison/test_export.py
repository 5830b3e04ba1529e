from __future__ import annotations

import csv
import json
from pathlib import Path

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
    assert {curve["what"] for curve in document["curves"]} == {"face lost", "voice lost", "any modality lost"}
    assert document["alone"] == ["face", "voice"]


def test_what_is_alone_and_what_is_best(comparison: Comparison) -> None:
    assert comparison.alone == ("face", "voice")
    assert comparison.fused == ("late",)
    assert comparison.best_fused == "late"
    gain = comparison.gain("late")
    assert gain is not None
    assert gain.first == comparison.best_alone
    back = comparison.pair("late", gain.first)
    assert (back.gain.value, back.gain.low) == (-gain.gain.value, -gain.gain.high)
    assert back.only_first == gain.only_second
    with pytest.raises(ArgumentError, match="Did you mean"):
        comparison["lat"]


def test_tables(comparison: Comparison, tmp_path: Path) -> None:
    comparison.save(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["system"] for row in rows] == ["face", "voice", "late"]
    assert float(rows[2]["accuracy low"]) == pytest.approx(comparison["late"].accuracy.low)
    assert rows[0]["gain"] == ""
    frame = comparison.to_frame()
    assert frame.shape[0] == 3
    text = comparison.save(tmp_path / "table.tex").read_text()
    assert text.count(r"\\") == 4
    assert r"\toprule" in text
    assert str(comparison["late"].accuracy) in comparison.to_markdown()


def test_latex_escapes_names(comparison: Comparison) -> None:
    from dataclasses import replace

    from mmemo.comparison.export import latex

    odd = replace(comparison.systems[0], name="a_b & 5%")
    table = latex(replace(comparison, systems=(odd,), alone=("a_b & 5%",)))
    assert r"a\_b \& 5\%" in table


def test_figures_go_into_a_folder_whole(comparison: Comparison, tmp_path: Path) -> None:
    folder = comparison.save(tmp_path / "figures")
    names = {path.name for path in folder.iterdir()}
    assert {"systems.png", "gains.pdf", "losses.png", "reliability.png", "by gender.png"} <= names
    assert (folder / "systems.png").read_bytes().startswith(b"\x89PNG")
    assert comparison.save(tmp_path / "one.svg").read_text().lstrip().startswith("<?xml")


def test_another_suffix_lists_the_known_ones(comparison: Comparison, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"\.tex"):
        comparison.save(tmp_path / "table.doc")
