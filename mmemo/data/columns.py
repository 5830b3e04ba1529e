"""The columns of a manifest: a clip to plain values and back, with every fault reported.

JSON Lines keep mappings as objects. CSV has cells only: a label by modality is a column ``label.face``, another
fact of the corpus a column ``extra.NAME``, and votes are one cell, ``happiness=0.7;neutral=0.3``. An empty cell, like a
missing value, means that nothing is known.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from mmemo.clip import Clip, TrackChoice, track_choice
from mmemo.errors import ArgumentError, expected_one_of, shown

PATHS = ("path", "audio", "subtitles")
NUMBERS = ("start", "end", "valence", "arousal", "dominance", "onset", "apex", "offset")
COLUMNS = (
    "id", "corpus", *PATHS, "channel", "audio_track", "subtitle_track", "start", "end", "transcript", "label",
    "intended", "perceived", "valence", "arousal", "dominance", "onset", "apex", "offset", "speaker", "gender",
    "session", "dialogue", "turn", "language", "license", "split", "fold", "sha256",
)  # fmt: skip
"""In the order in which files have them."""
FAMILIES = {"label.": "labels", "extra.": "extra"}
"""Columns of CSV that go together into one mapping of a clip."""
_ATTRIBUTE = {"transcript": "text"}
_RENAMED = {"licence": "license"}
"""Columns of older manifests, and their names of today."""
_DEFAULTS = {field.name: field.default for field in fields(Clip)}


def to_record(clip: Clip, folder: Path) -> dict[str, Any]:
    """A clip as values for JSON; paths relative to ``folder``, and only what is known."""
    record: dict[str, Any] = {}
    for column in COLUMNS:
        attribute = _ATTRIBUTE.get(column, column)
        value = getattr(clip, attribute)
        if value in (None, "") or value == {} or value == _DEFAULTS[attribute]:
            continue
        record[column] = _relative(value, folder) if column in PATHS else value
    record |= {name: dict(getattr(clip, name)) for name in FAMILIES.values() if getattr(clip, name)}
    if "perceived" in record:
        record["perceived"] = dict(record["perceived"])
    return record


def from_record(record: Mapping[str, Any], folder: Path) -> tuple[Clip | None, list[str]]:
    """The inverse of `to_record`: a clip, or None and what is wrong with the values, all of it."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, value in record.items():
        column = _RENAMED.get(name, name)
        if value in (None, ""):
            continue
        reader = _READERS.get(column)
        if reader is None:
            faults.append(expected_one_of("Column", [*_READERS], column))
            continue
        try:
            values[_ATTRIBUTE.get(column, column)] = reader(value)
        except ValueError as error:
            faults.append(f"{column}: {error}")
    for column in PATHS:
        if column in values:
            values[column] = Path(os.path.normpath(folder / values[column]))
    if faults:
        return None, faults
    try:
        return Clip(**values), []
    except ArgumentError as error:
        return None, [str(error)]


def to_row(record: Mapping[str, Any]) -> dict[str, str]:
    """A record of `to_record` as cells of CSV."""
    row = {}
    for column, value in record.items():
        if column == "perceived":
            row[column] = ";".join(f"{label}={share!r}" for label, share in value.items())
        elif isinstance(value, Mapping):
            prefix = next(prefix for prefix, name in FAMILIES.items() if name == column)
            row |= {prefix + name: item for name, item in value.items()}
        else:
            row[column] = value if isinstance(value, str) else repr(value)
    return row


def from_row(row: Mapping[str, str]) -> dict[str, Any]:
    """The inverse of `to_row`; values are still to be checked by `from_record`."""
    record: dict[str, Any] = {}
    for column, cell in row.items():
        family = next((prefix for prefix in FAMILIES if column.startswith(prefix)), None)
        if cell == "":
            continue
        if family is not None:
            record.setdefault(FAMILIES[family], {})[column.removeprefix(family)] = cell
        else:
            record[column] = cell
    return record


def known_column(column: str) -> bool:
    """Whether CSV may have such a column."""
    return column in COLUMNS or column in _RENAMED or any(column.startswith(prefix) for prefix in FAMILIES)


def _relative(path: Path, folder: Path) -> str:
    """Relative to the manifest if there is a way, with slashes on every system."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return path.absolute().as_posix()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {shown(value)}")
    return value


def _number(value: object) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):  # a whole number of 400 digits is no float
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"expected a number such as 1.25, got {shown(value)}")
    return number


def _whole(value: object) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError(f"expected a whole number, got {shown(value)}")
    return int(number)


def _track(value: object) -> TrackChoice | None:
    return track_choice(value) if isinstance(value, str) else value  # type: ignore[return-value]  # a Clip checks it


def _names(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected names and their texts, got {shown(value)}")
    return {name: _text(item) for name, item in value.items()}


def _shares(value: object) -> dict[str, float]:
    if isinstance(value, str):
        pairs = [pair.rpartition("=") for pair in value.split(";")]
        if not all(label and share for label, _, share in pairs):
            raise ValueError(f"expected shares such as happiness=0.7;neutral=0.3, got {shown(value)}")
        return {label: _number(share) for label, _, share in pairs}
    if not isinstance(value, Mapping):
        raise ValueError(f"expected labels and their shares, got {shown(value)}")
    return {label: _number(share) for label, share in value.items()}


_READERS: dict[str, Callable[[object], Any]] = {
    **dict.fromkeys(COLUMNS, _text),
    **dict.fromkeys(NUMBERS, _number),
    "turn": _whole,
    "audio_track": _track,
    "subtitle_track": _track,
    "perceived": _shares,
    **dict.fromkeys(FAMILIES.values(), _names),
}
