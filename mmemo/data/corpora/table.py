"""Any table of your own: CSV, TSV or Excel, with a column for whatever is known of each clip.

Columns that are named as a manifest's are taken as they are; ``columns`` says which of yours is which:
``{"path": "file", "label": "emotion"}``. All other columns become ``extra``. Paths are relative to the table. Every
fault is reported with its line, missing media too, as a row that is left out unseen would change your corpus.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mmemo.data.columns import COLUMNS, PATHS, from_record, from_row, known_column
from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.data.manifest_file import infer_labels
from mmemo.data.spreadsheets import Row, read_rows
from mmemo.errors import ArgumentError, ManifestError, expected_one_of
from mmemo.labels import EKMAN7


def read(path: str | Path, columns: Mapping[str, str] | None = None) -> Reading:
    """Read a table.

    Args:
        columns: for a manifest's column, the name of yours.

    Raises:
        ManifestError: if rows don't fit, with every fault and its line.
        ArgumentError: if ``columns`` names a column that manifests don't have.
    """
    columns = dict(columns or {})
    for column in columns:
        if not known_column(column):
            raise ArgumentError(expected_one_of("Column of a manifest", COLUMNS, column))
    gathering = Gathering(CORPUS, path)
    faults: list[str] = []
    first: dict[str, int] = {}
    for row in read_rows(gathering.folder, columns.values()):
        clip, wrong = from_record(from_row(_renamed(row, columns)), gathering.folder.parent)
        if row.surplus:
            wrong.append(f"more cells than the header has, by {row.surplus}: a delimiter in a text without quotes?")
        if clip is not None:
            if clip.id in first:
                wrong.append(f"id {clip.id!r} is that of line {first[clip.id]} already; give every clip a column id")
            first.setdefault(clip.id, row.line)
            missing = [file for file in clip.files if not os.path.isfile(file)]
            wrong += [f"{file} does not exist; paths are relative to the table" for file in missing]
            gathering.clips.append(clip)
        faults += [f"line {row.line}: {fault}" for fault in wrong]
    if faults:
        raise ManifestError(gathering.folder, faults)
    gathering.labels = infer_labels(gathering.clips, gathering.folder.stem) if gathering.clips else gathering.labels
    return gathering.reading()


def _renamed(row: Row, columns: Mapping[str, str]) -> dict[str, str]:
    """A row of the table as a row of a manifest; a clip without id is named by its file, else by its line."""
    yours = {name: column for column, name in columns.items()}
    cells: dict[str, str] = {}
    for name, cell in row.cells.items():
        column = yours.get(name) or (name if known_column(name) and name not in columns else f"extra.{name}")
        if name:
            cells[column] = cell.strip().replace("\\", "/") if column in PATHS else cell.strip()
    cells["id"] = cells.get("id") or (Path(cells["path"]).stem if cells.get("path") else f"row-{row.line}")
    return cells


CORPUS = Corpus(
    name="table",
    title="table",
    paper="",
    license="",
    terms="",
    layout="a .csv, .tsv or .xlsx file with a header and a row for each clip, among them a column of paths or of texts",
    labels=EKMAN7,  # replaced by those of the copy
    read=read,
    options=("columns",),
)
