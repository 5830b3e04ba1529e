"""Rows of a result, read back by pandas and pyarrow."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas
import pyarrow.parquet
import pytest

from mmemo import EmotionResult

SCHEMA = Path(sys.prefix) / "share" / "pympi_ling-1.71.tar.gz"


def test_tables_agree(made: EmotionResult, tmp_path: Path) -> None:
    table = made.to_frame()
    pandas.testing.assert_frame_equal(pandas.read_parquet(made.save(tmp_path / "r.parquet")), table)
    assert pyarrow.parquet.read_table(tmp_path / "r.parquet").column("label").to_pylist() == list(table.label)
    lines = pandas.read_json(made.save(tmp_path / "r.jsonl"), lines=True)
    assert list(lines.label) == list(table.label)
    assert list(lines.happiness) == pytest.approx(list(table.happiness))
    comma = pandas.read_csv(made.save(tmp_path / "r.csv"))
    assert list(comma.anger) == pytest.approx(list(table.anger))
