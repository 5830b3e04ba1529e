"""A result as a file; the suffix chooses the format."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mmemo.errors import ArgumentError, expected_one_of
from mmemo.files import check_file, replacing_file
from mmemo.report.annotations import eaf, rttm
from mmemo.report.needs import need
from mmemo.report.subtitles import srt, vtt, written_by_mmemo
from mmemo.report.tables import AFFECT, COLUMNS, frame, rows
from mmemo.speech.transcript import sidecars

if TYPE_CHECKING:
    from mmemo.result import EmotionResult

ANONYMIZE = ("blur", "mask")


def save(result: EmotionResult, path: Path, anonymize: Literal["blur", "mask"] | None = None) -> Path:
    """Write ``result`` under a temporary name and rename it; see `EmotionResult.save`."""
    check_suffix(path)
    check_anonymize(anonymize)
    suffix = path.suffix.lower()
    if suffix in VIDEOS:
        return result.save_video(path, anonymize=anonymize)
    with replacing_file(path, inputs_of(result.source, result.inputs)) as partial:
        _write(result, partial, suffix, anonymize is None)
    return path


def check_output(
    path: Path,
    source: str | Path | None,
    inputs: Iterable[str | Path | None] = (),
    suffixes: tuple[str, ...] | None = None,
) -> None:
    """Refuse what no result of ``source`` may be written to, before any work is done.

    Args:
        inputs: what else is read; see `mmemo.files.check_file`.
        suffixes: see `check_suffix`.

    Raises:
        ArgumentError: see `check_suffix` and `mmemo.files.check_file`.
        MissingExtraError: if the format needs packages that are not installed.
    """
    check_suffix(path, suffixes)
    check_file(path, inputs_of(source, inputs))


def inputs_of(source: str | Path | None, inputs: Iterable[str | Path | None] = ()) -> list[str | Path | None]:
    """What a result of ``source`` is read from: the file, the subtitle files that belong to it, and ``inputs``.

    Subtitles that mmemo wrote beside the file are read too, and may be written anew: their words go round.
    """
    beside = [] if source is None else [file for file in sidecars(source) if not written_by_mmemo(file)]
    return [source, *beside, *inputs]


def check_suffix(path: Path, suffixes: tuple[str, ...] | None = None) -> None:
    """Refuse a file name that names no format, before any work is done.

    Args:
        suffixes: those that are fitting; all of `SUFFIXES` by default.

    Raises:
        ArgumentError: if the suffix is not one of ``suffixes``.
        MissingExtraError: if the format needs packages that are not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (suffixes or SUFFIXES):
        raise ArgumentError(expected_one_of(f"Suffix of {path.name}", suffixes or SUFFIXES, suffix))
    if suffix == ".parquet":
        need("Writing .parquet", "export", "pandas", "pyarrow")
    if suffix in PICTURES + VIDEOS:
        need(f"Writing {suffix}", "report", "matplotlib")


def check_anonymize(how: str | None) -> None:
    """Refuse another way of hiding faces than there is.

    Raises:
        ArgumentError: if it is not None, "blur" or "mask".
    """
    if how not in (None, *ANONYMIZE):
        raise ArgumentError(expected_one_of("anonymize", ANONYMIZE, how))


def _write(result: EmotionResult, path: Path, suffix: str, faces: bool) -> None:
    if suffix in _TEXTS:
        path.write_text(_TEXTS[suffix](result), encoding="utf-8")
    elif suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*COLUMNS, *result.scores, *(AFFECT if result.affect else ())])
            writer.writeheader()
            writer.writerows(rows(result))
    elif suffix == ".parquet":
        frame(result).to_parquet(path, index=False)
    elif suffix == ".eaf":
        path.write_bytes(eaf(result, path.parent))
    elif suffix == ".html":
        from mmemo.report.page import page

        path.write_text(page(result, faces=faces), encoding="utf-8")
    else:
        result.plot(faces=faces).savefig(path, format=suffix.removeprefix("."))


def _json(result: EmotionResult) -> str:
    return result.to_json() + "\n"


def _json_lines(result: EmotionResult) -> str:
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows(result))
    return "".join(f"{line}\n" for line in lines)


_TEXTS: dict[str, Callable[[EmotionResult], str]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".srt": srt,
    ".vtt": vtt,
    ".rttm": rttm,
}
PICTURES = (".png", ".svg", ".pdf")
VIDEOS = (".mp4", ".mkv")
SUFFIXES = (*_TEXTS, ".csv", ".parquet", ".eaf", ".html", *PICTURES, *VIDEOS)
