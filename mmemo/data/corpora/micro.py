"""What the coding sheets of CASME II and SAMM have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.data.spreadsheets import Row, has_columns, read_rows
from mmemo.errors import ManifestError
from mmemo.media import IMAGE, VIDEO

RATE = 200.0
"""Pictures a second, of both."""
_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class Coding:
    """Names of the columns of a coding sheet."""

    subject: str
    file: str
    onset: str
    apex: str
    offset: str
    units: str
    emotion: str


def find_coding(gathering: Gathering, columns: Coding) -> Iterator[Row]:
    """The rows of the coding sheet: the first Excel or CSV file that has its columns.

    Raises:
        ManifestError: if there is none.
    """
    tables = [
        path
        for kind in ("*.xlsx", "*.csv")
        for path in sorted(gathering.folder.rglob(kind))
        if path.name[0] not in ".~"
    ]
    table = next((path for path in tables if has_columns(path, astuple(columns))), None)
    if table is None:
        raise ManifestError(gathering.folder, [f"no coding sheet is here; expected {gathering.corpus.layout}"])
    yield from read_rows(table, astuple(columns))


@dataclass(frozen=True)
class Media:
    """Films by subject and name, and pictures by subject, name and the frame's number; each folder is read once."""

    films: Mapping[tuple[str, str], Path]
    pictures: Mapping[tuple[str, str, int], Path]


def find_media(gathering: Gathering) -> Media:
    """All films ``sub01/EP02_01f.avi`` and pictures ``sub01/EP02_01f/img46.jpg``, wherever subjects' folders are."""
    films = {(path.parent.name, path.stem): path for path in gathering.files(VIDEO)}
    pictures = {
        (path.parent.parent.name, path.parent.name, frame_number(path)): path for path in gathering.files(IMAGE)
    }
    return Media(films, pictures)


def add_coded(gathering: Gathering, columns: Coding, row: Row, media: Media, subject: str, name: str) -> None:
    """Add the clip of one row, or tell what is missing of it."""
    label = row[columns.emotion].strip().lower()
    cells = [row[column] for column in astuple(columns)[2:5]]
    numbers = [int(cell) if re.fullmatch("[0-9]{1,9}", cell) else None for cell in cells]
    onset, apex, offset = numbers
    if label not in gathering.labels.labels:
        gathering.caveat("rows of another emotion, left out", f"line {row.line}: {row[columns.emotion]}")
        return
    if onset is None or offset is None:
        gathering.caveat("rows without onset or offset, left out", f"line {row.line}")
        return
    if apex is None or not onset <= apex <= offset:
        gathering.caveat("rows whose apex is missing or outside: the middle is used", f"line {row.line}: {name}")
        apex = (onset + offset) // 2
    extra = {
        "action_units": row[columns.units],
        "onset_frame": str(onset),
        "apex_frame": str(apex),
        "offset_frame": str(offset),
    }
    values = {"id": name, "label": label, "speaker": f"{gathering.corpus.name}-{subject}", "extra": extra}
    film = media.films.get((subject, row[columns.file]))
    picture = media.pictures.get((subject, row[columns.file], apex))
    if film is not None:  # frames are counted from 1
        times = {"onset": (onset - 1) / RATE, "apex": (apex - 1) / RATE, "offset": (offset - 1) / RATE}
        gathering.add(path=film, **times, **values)
    elif picture is not None:
        gathering.add(path=picture, **values)
    else:
        gathering.caveat(MISSING, f"{subject}/{row[columns.file]}, frame {apex}")


def frame_number(path: Path) -> int:
    """The last number of a picture's name: 46 of ``reg_img46.jpg``; -1 where there is none."""
    match = _NUMBER.search(path.stem)
    return int(match.group(1)) if match else -1
