"""audformat: tables with one row a file, or a segment of one: the columns file, start and end, then what is known.

Format: https://audeering.github.io/audformat. A database is a folder with a header, ``db.yaml``, and a file for each
table, ``db.<table>.csv`` or ``db.<table>.parquet``. Times are time deltas, in CSV ``0 days 00:00:01.500000``; an empty
end is the end of the file. Paths are relative to the folder. audformat itself is not needed; Parquet needs pyarrow.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from mmemo.data.columns import NUMBERS, PATHS, to_record
from mmemo.data.interchange.cells import to_cells, to_manifest
from mmemo.data.manifest import Manifest
from mmemo.data.spreadsheets import read_rows
from mmemo.errors import ArgumentError, ManifestError, MissingExtraError, expected_one_of, shown
from mmemo.files import make_folder, replacing_file
from mmemo.labels import LabelSet
from mmemo.reading import open_input
from mmemo.speech.transcript import files_read

_THEIRS = {"label": "emotion", "transcript": "transcription", "path": "file"}
"""What audformat's databases call some columns of a manifest."""
_DELTA = re.compile(r"(?:(\d+) days? )?(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def read_audformat(
    path: str | Path,
    table: str | None = None,
    labels: LabelSet | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    check_media: bool = True,
) -> Manifest:
    """Read a table of files or of segments.

    Columns named as a manifest's are taken as they are, ``emotion`` is the label, ``transcription`` the transcript, and
    all others become ``extra``. A segment without a column ``id`` is named by its file and its times.

    Args:
        path: the database's folder, or one table's file.
        table: which table of the database; needed if it has several.
        labels: the classes there can be; by default the first known set that has all labels of the table.
        columns: for a manifest's column, the name in the table: ``{"label": "emotion.gold"}``.
        check_media: whether every file must be there.

    Raises:
        ManifestError: with every fault and its row.
        ArgumentError: if the database has several tables and none is named, or not that one.
        MissingExtraError: if the table is Parquet and pyarrow is not installed.

    Examples:
        >>> from pathlib import Path
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, read_audformat, write_audformat
        >>> from mmemo.labels import EKMAN7
        >>> manifest = Manifest([Clip(Path("clip.mp4"), id="a", label="happiness", speaker="x")], EKMAN7)
        >>> read_audformat(write_audformat(manifest, "database"))[0].label
        'happiness'
    """
    path = Path(path)
    file = _table(path, table) if path.is_dir() else path
    names = {theirs: ours for ours, theirs in {**_THEIRS, **(columns or {})}.items()}
    rows = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    faults: list[str] = []
    cells = [*_cells(rows, names, faults)]
    if faults:
        raise ManifestError(file, faults)
    return to_manifest(cells, file, labels=labels, root=file.parent, check_media=check_media)


def write_audformat(manifest: Manifest, folder: str | Path, *, name: str = "mmemo", table: str = "clips") -> Path:
    """Write a database of one segmented table, in CSV; ``audformat.Database.load(folder)`` reads it.

    Files stay where they are: their paths are written relative to the folder, and audformat wants them below it to
    carry the database elsewhere.

    Raises:
        ManifestError: with every clip that has no file: audformat knows no clip of text alone.
        ArgumentError: if the folder can't be written to, or holds a database that mmemo did not write.

    Examples:
        >>> from pathlib import Path
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, write_audformat
        >>> from mmemo.labels import EKMAN7
        >>> manifest = Manifest([Clip(Path("clip.mp4"), id="a", label="happiness", speaker="x")], EKMAN7)
        >>> sorted(file.name for file in write_audformat(manifest, "database").iterdir())
        ['db.clips.csv', 'db.yaml']
    """
    folder = Path(folder)
    faults = [f"clip {clip.id!r} has no file" for clip in manifest if clip.path is None]
    if faults:
        raise ManifestError("The manifest", faults)
    make_folder(folder)
    inputs = list(files_read(manifest))
    header = folder / "db.yaml"
    if header.exists() and not header.read_bytes().startswith(b"{"):
        raise ArgumentError(f"{header} is of a database that mmemo did not write: name another folder.")
    beside = _beside(manifest, folder)
    rows = []
    for clip, cells in zip(manifest, beside, strict=True):
        times = {"start": _delta(clip.start), "end": "" if clip.end is None else _delta(clip.end)}
        rows.append({_THEIRS.get(column, column): value for column, value in {**cells, **times}.items()})
    index = ["file", "start", "end"]
    used = [column for column in dict.fromkeys(column for row in rows for column in row) if column not in index]
    with (
        replacing_file(folder / f"db.{table}.csv", inputs) as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, [*index, *used], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with replacing_file(header, inputs) as partial:  # JSON is YAML too
        partial.write_text(json.dumps(_header(manifest, name, table, used), indent=2, ensure_ascii=False) + "\n")
    return folder


def _beside(manifest: Manifest, folder: Path) -> Iterator[dict[str, Any]]:
    """Cells with paths relative to the folder."""
    for clip in manifest:
        record = to_record(clip, folder)
        yield to_cells(clip) | {column: record[column] for column in PATHS if column in record}


def _header(manifest: Manifest, name: str, table: str, used: list[str]) -> dict[str, Any]:
    """The database's header: a scheme for each column, of the type that its values have."""
    schemes: dict[str, Any] = {
        column: {"dtype": "float" if column in NUMBERS else "int" if column == "turn" else "str"} for column in used
    }
    if "emotion" in schemes:
        schemes["emotion"] = {"dtype": "str", "labels": list(manifest.labels)}
    return {
        "name": name,
        "source": "mmemo",
        "usage": "other",
        "description": "; ".join(sorted({clip.license for clip in manifest if clip.license})),
        "schemes": schemes,
        "tables": {table: {"type": "segmented", "columns": {column: {"scheme_id": column} for column in used}}},
    }


def _table(folder: Path, name: str | None) -> Path:
    """The file of one table; of the same in CSV and in Parquet, the CSV."""
    files = {
        file.name[3:].rpartition(".")[0]: file for kind in ("parquet", "csv") for file in folder.glob(f"db.*.{kind}")
    }
    if not files:
        raise ManifestError(folder, ["no database of audformat: expected db.yaml and db.<table>.csv or .parquet"])
    if name is None and len(files) == 1:
        return next(iter(files.values()))
    if name not in files:
        raise ArgumentError(expected_one_of(f"Table of {folder}", sorted(files), name))
    return files[name]


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for row in read_rows(path, ["file"], delimiter=","):
        yield row.line, row.cells


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("Reading Parquet", "export") from None
    try:
        with open_input(path) as file:
            rows = pyarrow.parquet.read_table(file).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise ManifestError(path, [f"not a Parquet file: {error}"]) from None
    yield from enumerate(rows, 1)


def _cells(
    rows: Iterator[tuple[int, dict[str, Any]]], names: Mapping[str, str], faults: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, row in rows:
        cells = {names.get(column, column): value for column, value in row.items()}
        try:
            span = {side: _seconds(cells.pop(side, None)) for side in ("start", "end")}
        except ValueError as error:
            faults.append(f"row {number}: {error}")
            continue
        if not cells.get("path"):
            faults.append(f"row {number}: without a file")
            continue
        if not cells.get("id"):
            start, end = span["start"] or 0.0, span["end"]
            whole = start == 0 and end is None
            cells["id"] = cells["path"] if whole else f"{cells['path']}#{start:g}-{'' if end is None else f'{end:g}'}"
        yield f"row {number}", {**cells, **span}


def _seconds(value: object) -> float | None:
    """A time delta in seconds; None where it is not a time, as pandas writes it."""
    if value is None or value == "" or str(value) == "NaT":
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    match = _DELTA.fullmatch(str(value))
    if match is None:
        raise ValueError(f"expected a time such as '0 days 00:00:01.500000', got {shown(value)}")
    days, hours, minutes, seconds = match.groups()
    return float(Decimal(int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60) + Decimal(seconds))


def _delta(seconds: float) -> str:
    whole = int(seconds)
    nanoseconds = round((Decimal(repr(seconds)) - whole) * 10**9)
    return f"{whole // 86400} days {whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}.{nanoseconds:09}"
