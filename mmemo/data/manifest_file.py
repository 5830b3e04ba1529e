"""Manifests on disk: JSON Lines and CSV, streamed, checked line by line.

Both keep everything, so one can be turned into the other and back. JSON Lines begin with a line that names the label
set; CSV has it in the column ``label_set`` (``mine=joy|anger|none``), the same in every row.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmemo.clip import Clip
from mmemo.data.columns import COLUMNS, FAMILIES, from_record, from_row, known_column, to_record, to_row
from mmemo.data.spreadsheets import lines_of
from mmemo.errors import ArgumentError, LabelError, ManifestError, expected_one_of, shown
from mmemo.files import replacing_file
from mmemo.labels import LABEL_SETS, LabelSet
from mmemo.reading import open_input, parse_json
from mmemo.speech.transcript import files_read

FORMAT = 1
SUFFIXES = (".jsonl", ".csv")
LABEL_SET = "label_set"
_MOST_FAULTS = 1000


@dataclass(frozen=True)
class Line:
    """One clip's line: its number, from 1, and its values, or what is wrong with them."""

    number: int
    record: dict[str, Any]
    faults: tuple[str, ...] = ()


def check_suffix(path: Path) -> None:
    """Refuse a file name that names no format.

    Raises:
        ArgumentError: if the suffix is not one of `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentError(expected_one_of(f"Suffix of {path.name}", SUFFIXES, path.suffix))


def read_clips(
    path: Path, labels: LabelSet | None = None, *, check_media: bool = True
) -> tuple[tuple[Clip, ...], LabelSet]:
    """All clips of a manifest, and its label set; see `mmemo.data.Manifest.read`."""
    clips: list[Clip] = []
    faults: list[str] = []
    first_line: dict[str, int] = {}
    reader = _Labels(labels)
    folder = path.parent
    for line in _lines(path, reader):
        clip, wrong = from_record(line.record, folder) if not line.faults else (None, list(line.faults))
        if clip is not None:
            wrong += _beyond_values(clip, line.number, first_line, reader.labels, check_media)
            clips.append(clip)
        faults += [f"line {line.number}: {fault}" for fault in wrong]
        if len(faults) >= _MOST_FAULTS:
            faults.append("reading stopped here")
            break
    if faults:
        raise ManifestError(path, faults)
    if not clips:
        raise ManifestError(path, ["it holds no clip"])
    return tuple(clips), reader.labels or infer_labels(clips, path.stem)


def write_clips(path: Path, clips: Sequence[Clip], labels: LabelSet) -> Path:
    """Write a manifest under a temporary name and rename it; see `mmemo.data.Manifest.write`."""
    check_suffix(path)
    records = (to_record(clip, path.parent) for clip in clips)
    lines = path.suffix.lower() == ".jsonl"
    # The escape of a sign that UTF-8 lacks, of a file's name in another encoding, is the same in JSON as in Python.
    errors = "backslashreplace" if lines else "strict"
    with (
        replacing_file(path, files_read(clips)) as partial,
        partial.open("w", encoding="utf-8", errors=errors, newline="") as file,
    ):
        if lines:
            header = {"manifest": FORMAT, LABEL_SET: {"name": labels.name, "labels": list(labels)}}
            for values in (header, *records):
                file.write(json.dumps(values, ensure_ascii=False) + "\n")
        else:
            rows = [{**to_row(record), LABEL_SET: f"{labels.name}={'|'.join(labels)}"} for record in records]
            used = {column for row in rows for column in row}
            more = sorted(column for column in used if column.startswith(tuple(FAMILIES)))
            columns = [column for column in COLUMNS if column in used]
            writer = csv.DictWriter(file, [*columns, *more, LABEL_SET], restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return path


def is_manifest(path: Path) -> bool:
    """Whether a file is a manifest as `write_clips` writes it: its first line says so."""
    try:
        with open_input(path) as file:
            first = file.readline(100_000).decode()
    except (OSError, ValueError):
        return False
    return first.startswith('{"manifest": ') or LABEL_SET in first.rstrip().split(",")


def infer_labels(clips: Iterable[Clip], name: str) -> LabelSet:
    """The first label set of `mmemo.labels` that has all labels of the clips; else one of just these, in order.

    Raises:
        ManifestError: if there are fewer than two different labels and no known set has them.
    """
    used: set[str] = set()
    for clip in clips:
        used |= {clip.label, clip.intended, *clip.labels.values(), *clip.perceived} - {None}  # type: ignore[arg-type]
    for known in LABEL_SETS.values():
        if used <= set(known):
            return known
    try:
        return LabelSet(name, tuple(sorted(used)))
    except LabelError as error:
        raise ManifestError(name, [f"{error} Give labels=… to name the classes there can be."]) from None


class _Labels:
    """The label set a file states, or the one that the caller wants."""

    def __init__(self, wanted: LabelSet | None) -> None:
        self.labels = wanted
        self._stated: tuple[str, list[str]] | None = None

    def state(self, name: str, labels: list[str]) -> list[str]:
        """Take over what a line says of the labels; gives what is wrong with that."""
        if self._stated == (name, labels):
            return []
        if self._stated is not None:
            return [f"{LABEL_SET}: another one than in the lines before ({shown(self._stated[0])})"]
        self._stated = name, labels
        try:
            stated = LabelSet(name, tuple(labels))
        except LabelError as error:
            return [str(error)]
        self.labels = self.labels or stated
        return []


def _lines(path: Path, labels: _Labels) -> Iterator[Line]:
    check_suffix(path)
    return (_json_lines if path.suffix.lower() == ".jsonl" else _csv_lines)(path, labels)


def _decoded(path: Path) -> Iterator[tuple[str, str | None]]:
    """Each line as text, and what is wrong with its encoding; one line is in memory at a time."""
    for number, line in enumerate(lines_of(path)):
        try:
            yield line.decode("utf-8-sig" if number == 0 else "utf-8"), None
        except UnicodeDecodeError as error:
            text = line.decode("latin-1")
            near = text[error.start : error.start + 12]
            yield text, f"byte {error.start + 1} is not UTF-8 (near {near!r}): save the file as UTF-8"


def _json_lines(path: Path, labels: _Labels) -> Iterator[Line]:
    for number, (text, fault) in enumerate(_decoded(path), 1):
        if fault:
            yield Line(number, {}, (fault,))
            continue
        if not text.strip():
            continue
        try:
            values = parse_json(text)
        except ValueError as error:
            yield Line(number, {}, (f"not JSON: {error}",))
            continue
        if not isinstance(values, dict):
            yield Line(number, {}, (f"expected an object, got {text.strip()[:40]}",))
        elif "manifest" in values:
            if wrong := _header(values, labels):
                yield Line(number, {}, tuple(wrong))
        else:
            yield Line(number, values)


def _header(values: dict[str, Any], labels: _Labels) -> list[str]:
    if not isinstance(values["manifest"], int) or values["manifest"] > FORMAT:
        got = shown(values["manifest"])
        return [f"a manifest of format {got}, this mmemo reads up to {FORMAT}: pip install -U mmemo"]
    stated = values.get(LABEL_SET)
    match stated:
        case {"name": str(name), "labels": list(names)} if all(isinstance(label, str) for label in names):
            return labels.state(name, names)
    return [f'{LABEL_SET}: expected {{"name": …, "labels": […]}}, got {shown(stated)}']


def _csv_lines(path: Path, labels: _Labels) -> Iterator[Line]:
    bad_bytes: dict[int, str] = {}

    def text_lines() -> Iterator[str]:
        for number, (text, fault) in enumerate(_decoded(path), 1):
            if fault:
                bad_bytes[number] = fault
            yield text

    reader = csv.reader(text_lines(), strict=True)
    header: list[str] | None = None
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Line(number, {}, (f"not CSV: {error}; is a quote left open?",))
            continue
        if cells is None:
            return
        faults = [bad_bytes.pop(line) for line in list(bad_bytes)]
        if header is None:
            header = cells
            yield from (Line(number, {}, (fault,)) for fault in [*faults, *_wrong_columns(header)])
        elif any(cells):
            if len(cells) != len(header):
                faults.append(f"{len(cells)} cells, the header has {len(header)}")
            row = dict(zip(header, cells, strict=False))
            stated = row.pop(LABEL_SET, "")
            if stated:
                name, _, names = stated.partition("=")
                faults += labels.state(name, names.split("|"))
            record = from_row({column: cell for column, cell in row.items() if known_column(column)})
            yield Line(number, record, tuple(faults))


def _wrong_columns(header: list[str]) -> Iterator[str]:
    for column in dict.fromkeys(header):
        if not known_column(column) and column != LABEL_SET:
            more = "A fact of your own is a column extra.NAME; `mmemo prepare table` reads other spreadsheets."
            yield expected_one_of("Column", [*COLUMNS, *(f"{prefix}NAME" for prefix in FAMILIES)], column) + " " + more
        if header.count(column) > 1:
            yield f"Column {column!r} is there {header.count(column)} times."


def _beyond_values(
    clip: Clip, line: int, first_line: dict[str, int], labels: LabelSet | None, check_media: bool
) -> list[str]:
    """What is wrong with a clip among others."""
    faults = []
    if not clip.id:
        faults.append("id: every clip of a manifest needs one")
    elif clip.id in first_line:
        faults.append(f"id {clip.id!r} is that of line {first_line[clip.id]} already")
    first_line.setdefault(clip.id, line)
    if labels is not None:
        faults += unknown_labels(clip, labels)
    if check_media:
        missing = [file for file in clip.files if not os.path.isfile(file)]
        faults += [f"{file} does not exist; paths are relative to the manifest" for file in missing]
    return faults


def unknown_labels(clip: Clip, labels: LabelSet) -> list[str]:
    """A sentence for every label of a clip that is not in the set."""
    used = {"label": clip.label, "intended": clip.intended}
    used |= {f"label.{modality}": label for modality, label in clip.labels.items()}
    used |= {f"perceived {label}": label for label in clip.perceived}
    return [
        expected_one_of(f"{where}, of {labels.name}", labels, label)
        for where, label in used.items()
        if label is not None and label not in labels.labels
    ]
