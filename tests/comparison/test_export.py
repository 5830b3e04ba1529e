from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mmemo.comparison.result import Comparison
from mmemo.errors import ArgumentError


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
    table = latex(replace(comparison, systems=(odd,), unimodal=("a_b & 5%",)))
    assert r"a\_b \& 5\%" in table


def test_another_suffix_lists_the_known_ones(comparison: Comparison, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"\.tex"):
        comparison.save(tmp_path / "table.doc")
