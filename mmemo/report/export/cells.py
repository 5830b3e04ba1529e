"""Text cells of tables that other programs open, and CSV files made of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet may take for a formula (OWASP, CSV injection)."""


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, raw_cells: bool) -> None:
    """Write a CSV file in UTF-8; a missing column is an empty cell.

    Args:
        raw_cells: keep text that a spreadsheet may take for a formula as it is; by default ``'`` goes before it.
    """
    keep = printable if raw_cells else _harmless
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([keep(name) for name in columns])
        for row in rows:
            values = (row.get(name) for name in columns)
            writer.writerow([keep(value) if isinstance(value, str) else value for value in values])


def printable(text: str) -> str:
    r"""Text that any encoding of Unicode can hold: a byte of a file name that is none is written ``\udce9``."""
    return text.encode("utf-8", "backslashreplace").decode()


def _harmless(text: str) -> str:
    return f"'{printable(text)}" if text.startswith(_FORMULA) else printable(text)
