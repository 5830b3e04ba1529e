"""A result as a file; the suffix chooses the format."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mmemo.checkpoint import replacing_file
from mmemo.errors import ArgumentError, MissingExtraError, expected_one_of
from mmemo.report.page import page
from mmemo.report.tables import COLUMNS, frame, rows

if TYPE_CHECKING:
    from mmemo.result import EmotionResult

SUFFIXES = (".json", ".csv", ".parquet", ".html")


def check_suffix(path: Path) -> None:
    """Refuse a file name that names no format, before any work is done.

    Raises:
        ArgumentError: if the suffix is not one of `SUFFIXES`.
        MissingExtraError: if the format needs packages that are not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ArgumentError(expected_one_of(f"Suffix of {path.name}", SUFFIXES, suffix))
    if suffix == ".parquet" and (find_spec("pandas") is None or find_spec("pyarrow") is None):
        raise MissingExtraError("Writing .parquet", "export")


def save(result: EmotionResult, path: Path) -> Path:
    """Write ``result`` under a temporary name and rename it; see `EmotionResult.save`."""
    check_suffix(path)
    suffix = path.suffix.lower()
    with replacing_file(path) as partial:
        if suffix == ".json":
            partial.write_text(result.to_json() + "\n", encoding="utf-8")
        elif suffix == ".html":
            partial.write_text(page(result), encoding="utf-8")
        elif suffix == ".csv":
            with partial.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, [*COLUMNS, *result.scores])
                writer.writeheader()
                writer.writerows(rows(result))
        else:
            frame(result).to_parquet(partial, index=False)
    return path
