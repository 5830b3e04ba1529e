"""Formats that a result can be written in, by suffix, and whether a file may be written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mmemo.errors import ArgumentError, expected_one_of, require_extra
from mmemo.files import check_file
from mmemo.report.export.subtitles import written_by_mmemo
from mmemo.speech.transcript import sidecars

TEXTS = (".json", ".jsonl", ".srt", ".vtt", ".rttm")
PICTURES = (".png", ".svg", ".pdf")
VIDEOS = (".mp4", ".mkv")
SUFFIXES = (*TEXTS, ".csv", ".parquet", ".eaf", ".html", *PICTURES, *VIDEOS)


def check_output(
    path: Path,
    source: str | Path | None,
    inputs: Iterable[str | Path | None] = (),
    suffixes: tuple[str, ...] | None = None,
) -> None:
    """Check that a result of ``source`` can be written to a path, before any work is done.

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

    Subtitles written by mmemo beside the file are no input: a result may overwrite them.
    """
    beside = [] if source is None else [file for file in sidecars(source) if not written_by_mmemo(file)]
    return [source, *beside, *inputs]


def check_suffix(path: Path, suffixes: tuple[str, ...] | None = None) -> None:
    """Check that a file can be written in the format of its suffix, before any work is done.

    Args:
        suffixes: those allowed; all of `SUFFIXES` by default.

    Raises:
        ArgumentError: if the suffix is not one of ``suffixes``.
        MissingExtraError: if the format needs packages that are not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (suffixes or SUFFIXES):
        raise ArgumentError(expected_one_of(f"Suffix of {path.name}", suffixes or SUFFIXES, suffix))
    if suffix == ".parquet":
        require_extra("Writing .parquet", "export", "pandas", "pyarrow")
    if suffix in PICTURES + VIDEOS:
        require_extra(f"Writing {suffix}", "report", "matplotlib")


def check_anonymize(method: str | None) -> None:
    """Check the name of a way to hide faces.

    Raises:
        ArgumentError: if it is neither None nor one of `mmemo.faces.anonymize.METHODS`.
    """
    if method is None:
        return
    from mmemo.faces.anonymize import METHODS

    if method not in METHODS:
        raise ArgumentError(expected_one_of("anonymize", METHODS, method))
