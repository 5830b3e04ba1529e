"""The rows of a batch as a table: Parquet, CSV, JSON Lines, pandas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmemo.errors import ArgumentError, expected_one_of, require_extra
from mmemo.files import replacing_file
from mmemo.report.export.cells import write_csv

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from mmemo.batch.result import Batch

SUFFIXES = (".parquet", ".csv", ".jsonl", ".html")
_TEXTS = ("path", "id", "annotated", "speaker", "label", "notes", "error")


def check_suffix(path: Path) -> None:
    """Refuse a file name that names no format, before any work is done.

    Raises:
        ArgumentError: if the suffix is not one of `SUFFIXES`.
        MissingExtraError: if the format needs packages that are not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentError(expected_one_of(f"Suffix of {path.name}, of many clips", SUFFIXES, path.suffix))
    if path.suffix.lower() == ".parquet":
        require_extra("Writing .parquet", "export", "pyarrow")


def save(batch: Batch, path: Path, *, raw_cells: bool = False) -> Path:
    """Write a batch under a temporary name and rename it; see `Batch.save`."""
    check_suffix(path)
    suffix = path.suffix.lower()
    with replacing_file(path, [row.path for row in batch.rows]) as partial:
        if suffix == ".parquet":
            import pyarrow.parquet

            pyarrow.parquet.write_table(_arrow(batch), partial)
        elif suffix == ".html":
            from mmemo.batch.html import page

            partial.write_text(page(batch), encoding="utf-8")
        elif suffix == ".jsonl":
            with partial.open("w", encoding="utf-8") as file:
                for record in batch.records():
                    file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        else:
            write_csv(partial, batch.columns, batch.records(), raw_cells=raw_cells)
    return path


def frame(batch: Batch) -> pandas.DataFrame:
    """The rows as a pandas table; see `Batch.to_frame`."""
    require_extra("A data frame", "export", "pandas")
    import pandas

    table = pandas.DataFrame(list(batch.records()), columns=list(batch.columns))
    return table.astype({name: _pandas_type(name) for name in batch.columns})


def _arrow(batch: Batch) -> pyarrow.Table:
    import pyarrow

    # A column of a modality that no clip has would have no type of its own.
    types: dict[str, Any] = {
        "text": pyarrow.string(),
        "flag": pyarrow.bool_(),
        "count": pyarrow.int64(),
        "number": pyarrow.float64(),
    }
    schema = pyarrow.schema([(name, types[_kind(name)]) for name in batch.columns])
    return pyarrow.Table.from_pylist(list(batch.records()), schema=schema)


def _kind(column: str) -> str:
    if column in _TEXTS or column.endswith(".label"):
        return "text"
    if column.rpartition(".")[2] == "derived":
        return "flag"
    return "count" if column == "people" else "number"


def _pandas_type(column: str) -> str:
    return {"text": "str", "flag": "boolean", "count": "Int64", "number": "float64"}[_kind(column)]
