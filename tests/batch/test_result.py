"""The table of a batch: columns and formats."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas
import pyarrow.parquet
import pytest

from mmemo.batch.result import Batch
from mmemo.batch.row import Row

pytestmark = pytest.mark.slow


def test_tables_are_read_back(batch: Batch, tmp_path: Path) -> None:
    records = list(batch.records())
    lines = [json.loads(line) for line in batch.save(tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines == records
    assert pyarrow.parquet.read_table(batch.save(tmp_path / "a.parquet")).to_pylist() == records
    with batch.save(tmp_path / "a.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert [
        {name: "" if value is None else str(value) for name, value in record.items()} for record in records
    ] == cells
    table = batch.to_frame()
    assert tuple(table.columns) == batch.columns
    assert table["label"].isna().sum() == 1
    pandas.testing.assert_series_equal(table["voice.fear"], table["fear"], check_names=False)
    pandas.testing.assert_series_equal(table["voice.valence"], table["valence"], check_names=False, atol=1e-4)
    assert (table["derived"].dtype, table["derived"].sum()) == ("boolean", 12)


def test_columns_are_there_without_a_single_result(tmp_path: Path) -> None:
    failed = Batch((Row(path="a.mp4", error="MediaError: gone"),), ("face", "voice"))
    table = pyarrow.parquet.read_table(failed.save(tmp_path / "a.parquet"))
    assert {"face.coverage", "voice.label", "error"} <= set(table.column_names)
    assert str(table.schema.field("face.coverage").type) == "double"
