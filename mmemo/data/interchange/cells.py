"""Clips as flat rows of plain values, as tables of other tools hold them, and back, with every fault reported."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmemo.clip import Clip
from mmemo.data.columns import FAMILIES, NUMBERS, PATHS, from_record, from_row, known_column, to_record
from mmemo.data.manifest import Manifest
from mmemo.data.manifest_file import infer_labels
from mmemo.errors import ManifestError
from mmemo.labels import LabelSet

_NUMERIC = (*NUMBERS, "turn")


def to_cells(clip: Clip) -> dict[str, Any]:
    """The columns of a CSV manifest with numbers as numbers; paths as they are, and only what is known."""
    cells: dict[str, Any] = {}
    for column, value in to_record(clip, Path()).items():
        if column in PATHS:
            cells[column] = str(getattr(clip, column))
        elif column == "perceived":
            cells[column] = ";".join(f"{label}={share!r}" for label, share in value.items())
        elif isinstance(value, Mapping):
            prefix = next(prefix for prefix, name in FAMILIES.items() if name == column)
            cells |= {prefix + name: item for name, item in value.items()}
        else:
            cells[column] = value
    return cells


def to_manifest(
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    what: object,
    *,
    labels: LabelSet | None = None,
    root: str | Path | None = None,
    check_media: bool = False,
) -> Manifest:
    """Clips from rows. A column that manifests don't have becomes ``extra``; a row without id is named by its place.

    Args:
        rows: how to name a row in a fault, and its values by column.
        what: what is read, to name it in an error.
        labels: the classes there can be; by default the first known set that has all labels of the rows.
        root: folder that paths are relative to; the working folder by default.
        check_media: whether every file must be there.

    Raises:
        ManifestError: with every fault.
    """
    clips: list[Clip] = []
    faults: list[str] = []
    for where, values in rows:
        cells = {
            column if known_column(column) else f"extra.{column}": value if column in _NUMERIC else _text(value)
            for column, value in values.items()
            if not _empty(value)
        }
        cells.setdefault("id", where.replace(" ", "-"))
        clip, wrong = from_record(from_row(cells), Path(root or "."))
        if clip is not None:
            clips.append(clip)
            if check_media:
                files = [file for file in clip.files if not os.path.isfile(file)]
                wrong += [f"{file} does not exist; say where files are with root=…" for file in files]
        faults += [f"{where}: {fault}" for fault in wrong]
    if not clips and not faults:
        faults.append("it holds no clip")
    if faults:
        raise ManifestError(what, faults)
    return Manifest(tuple(clips), labels or infer_labels(clips, "labels"))


def _text(value: object) -> str:
    """A whole number as a float is what pandas makes of whole numbers among missing ones."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _empty(value: object) -> bool:
    """Whether a cell has no value. Tables have several forms of that; NaN and pandas' NA don't equal themselves."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value)) or bool(value != value)
