"""Reading the files that words come in: subtitles, captions, lyrics, and what speech recognizers write.

Own readers: pysubs2 and webvtt-py append what they can't read to the words of the subtitle before, or refuse the file,
and don't name the line. Sources: W3C, "WebVTT: The Web Video Text Tracks Format", 2019, and "Timed Text Markup Language
2", 2018; SubRip, SBV and LRC have no standard; "ASS File Format Specification" of the libass project.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mmemo.errors import TranscriptError, expected_one_of
from mmemo.evidence import Seconds
from mmemo.reading import read_bytes, reason
from mmemo.speech.language import detect_encoding
from mmemo.speech.line import Line
from mmemo.speech.recognizer_output import recognized_json, recognized_tsv
from mmemo.speech.subtitle_names import language_code, language_of
from mmemo.speech.subtitle_text import CONTROL, Content, Cue, FaultError, spoken
from mmemo.speech.timed_text_markup import ttml

LONGEST_LYRIC: Seconds = 10.0
"""A line of lyrics lasts until the next one, and no longer than this."""
_MARKED = {"utf-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff"), "utf-16": (b"\xff\xfe", b"\xfe\xff")}
"""Encodings by the marks that their files begin with."""
_TIME = re.compile(r"(?:(\d{1,5}):)?(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,3}))?")
_TIMES_OF_SBV = re.compile(r"\s*(\S+:\d\S*[.]\d+),(\S+:\d\S*)\s*")
_LIKE_TIMES = re.compile(r"\s*\d+:\d\S*\s*\S{0,4}\s*\d*\S?:\S*\d\s*")
_LYRIC = re.compile(r"((?:\[\d+:\d+(?:[.:]\d+)?\]\s*)+)(.*)")
_LYRIC_TIME = re.compile(r"\[(\d+):(\d+)(?:[.:](\d+))?\]")


class Cues(NamedTuple):
    """What a file holds.

    Attributes:
        language: that its header or name gives, or None.
        faults: of subtitles that could not be read and were left out: where, and what is wrong.
    """

    lines: list[Line]
    language: str | None
    faults: list[str]


def read_cues(path: Path) -> Cues:
    """The lines of a file; one that can't be read is left out.

    Raises:
        TranscriptError: if the file can't be read, is of another kind, or none of its lines can be read.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise TranscriptError(f"{path}: {expected_one_of('subtitle suffix', SUFFIXES, path.suffix)}")
    text, faults = read_text(path), list[str]()
    try:
        language, cues = reader(text, faults)
        lines = spoken(list(cues))
    except FaultError as fault:
        raise TranscriptError(f"{path}, {fault}") from None
    if not lines and faults:
        raise TranscriptError(f"{path}, {faults[0]}")
    return Cues(lines, language or language_of(path), faults)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 or UTF-32 with their marks, or an old encoding; control signs are blanks.

    Raises:
        TranscriptError: if it can't be read, or is no text.
    """
    return CONTROL.sub(" ", _decoded(path))


def _decoded(path: Path) -> str:
    try:
        data = read_bytes(path)
    except OSError as error:
        raise TranscriptError(f"{path} can't be read: {reason(error)}.") from None
    for encoding, marks in _MARKED.items():
        if data.startswith(marks):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                what = encoding.upper()
                raise TranscriptError(f"{path}, line 1: begins as {what} and is not. Save it as UTF-8.") from None
    if b"\0" in data:
        line = data[: data.index(0)].count(b"\n") + 1
        raise TranscriptError(f"{path}, line {line}: not a text file, it holds zero bytes.")
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8-sig")
    encoding = detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise TranscriptError(
            f"{path}, line {line}: not in UTF-8, and not quite in {encoding} either. Save it as UTF-8."
        ) from None


def _srt(text: str, faults: list[str]) -> Content:
    rows = text.splitlines()
    if any(row.strip() for row in rows) and not any("-->" in row or _LIKE_TIMES.fullmatch(row) for row in rows):
        raise FaultError("line 1: no subtitle in this file; expected times such as 00:00:01,000 --> 00:00:02,500.")
    return None, _timed_blocks(rows, faults)


def _vtt(text: str, faults: list[str]) -> Content:
    rows = text.splitlines()
    if any(rows) and not re.match(r"WEBVTT(?:[ \t]|$)", rows[0]):
        raise FaultError(f"line 1: a .vtt file begins with WEBVTT, this one with {rows[0][:40]!r}.")
    header = next((i for i, row in enumerate(rows) if not row.strip() or "-->" in row), len(rows))
    named = re.search(r"^Language:\s*([A-Za-z]+)", "\n".join(rows[:header]), re.M)
    rows = ["" if i < header else row for i, row in enumerate(rows)]
    return language_code(named[1]) if named else None, _timed_blocks(rows, faults, vtt=True)


def _sbv(text: str, faults: list[str]) -> Content:
    times = ((row, _TIMES_OF_SBV.fullmatch(row)) for row in text.splitlines())
    return _srt("\n".join(f"{match[1]} --> {match[2]}" if match else row for row, match in times), faults)


def _timed_blocks(rows: list[str], faults: list[str], *, vtt: bool = False) -> Iterator[Cue]:
    """The cues below rows of times, in the order of the file."""
    number, comment = 0, False
    # A row of blanks belongs to the cue in WebVTT (YouTube writes such rows), and ends it in SubRip.
    ends = str if vtt else str.strip
    while number < len(rows):
        row = rows[number]
        number += 1
        if not row.strip():
            comment = False
        elif vtt and re.match(r"(NOTE|STYLE|REGION)\b", row) and "-->" not in row:
            comment = True
        elif "-->" in row and not comment:
            begin, texts = number, list[str]()
            while number < len(rows) and ends(rows[number]) and "-->" not in rows[number]:
                texts.append(rows[number])
                number += 1
            if number < len(rows) and "-->" in rows[number] and texts and texts[-1].strip().isdigit():
                texts.pop()  # no blank line before the next cue's number
            try:
                yield Cue(*_times(*row.split("-->", 1)), "\n".join(texts))
            except FaultError as fault:
                faults.append(f"line {begin}: {fault}")
        elif not comment and _LIKE_TIMES.fullmatch(row):
            faults.append(f"line {number}: {row.strip()[:40]!r} has no arrow; expected 00:00:01,000 --> 00:00:02,500.")


def _times(left: str, right: str) -> tuple[Seconds, Seconds]:
    start, end = _clock_time(left.strip()), _clock_time(right.split()[0] if right.strip() else "")
    if end < start:
        raise FaultError(f"the subtitle ends before it begins ({left.strip()[:20]} and {right.strip()[:20]}).")
    return start, end


def _clock_time(text: str) -> Seconds:
    match = _TIME.fullmatch(text)
    if not match or int(match[2]) > 59 or int(match[3]) > 59:
        raise FaultError(
            f"{text[:40]!r} is no time; expected one such as 00:01:02,500 (hours:minutes:seconds and thousandths)."
        )
    hours, minutes, seconds = int(match[1] or 0), int(match[2]), int(match[3])
    return hours * 3600 + minutes * 60 + seconds + int((match[4] or "0").ljust(3, "0")) / 1000


def _ass(text: str, faults: list[str]) -> Content:
    return None, _dialogues(text.splitlines(), faults)


def _dialogues(rows: list[str], faults: list[str]) -> Iterator[Cue]:
    """The dialogue of an ASS or SSA file; comments and drawings are left out."""
    fields: list[str] = []
    for number, row in enumerate(rows, 1):
        kind, _, rest = row.partition(":")
        if kind.strip() == "Format" and "Text" in rest:
            fields = [field.strip() for field in rest.split(",")]
        if kind.strip() != "Dialogue":
            continue
        values = rest.split(",", max(0, len(fields) - 1))
        try:
            if not {"Start", "End", "Text"} <= set(fields):
                raise FaultError("no Format line with Start, End and Text before this dialogue.")
            if len(values) < len(fields):
                raise FaultError(f"expected {len(fields)} values ({', '.join(fields)}), got {len(values)}.")
            cue = dict(zip(fields, values, strict=True))
            times = _times(cue["Start"], cue["End"])
        except FaultError as fault:
            faults.append(f"line {number}: {fault}")
            continue
        if not re.search(r"\{[^{}]*\\p[1-9]", cue["Text"]):
            yield Cue(*times, cue["Text"], cue.get("Name", cue.get("Actor", "")).strip() or None)


def _lrc(text: str, faults: list[str]) -> Content:
    return None, _lyrics(text.splitlines(), faults)


def _lyrics(rows: list[str], faults: list[str]) -> Iterator[Cue]:
    """Lyrics with a time before each line; the offset in the header makes them come earlier."""
    offset, begun = 0.0, list[tuple[Seconds, str]]()
    for number, row in enumerate(rows, 1):
        if moved := re.fullmatch(r"\s*\[offset:\s*([+-]?\d{1,9})\]\s*", row, re.I):
            offset = int(moved[1]) / 1000
        elif timed := _LYRIC.fullmatch(row.strip()):
            for minutes, seconds, fraction in _LYRIC_TIME.findall(timed[1]):
                if len(minutes) > 4 or int(seconds[:3]) > 59:
                    faults.append(f"line {number}: '{minutes[:20]}:{seconds[:20]}' is no time in minutes and seconds.")
                else:
                    begun.append((int(minutes) * 60 + float(f"{int(seconds)}.{fraction[:6]}"), timed[2]))
        elif row.strip() and not re.match(r"\s*\[[A-Za-z#][^\]]*\]", row):
            faults.append(f"line {number}: {row.strip()[:40]!r} has no time such as [01:02.50] before it.")
    begun.sort()
    for place, (start, words) in enumerate(begun):
        ends = begun[place + 1][0] if place + 1 < len(begun) else start + LONGEST_LYRIC
        start, end = max(0.0, start - offset), max(0.0, min(ends, start + LONGEST_LYRIC) - offset)
        yield Cue(start, end, words)


_READERS: dict[str, Callable[[str, list[str]], Content]] = {
    ".srt": _srt,
    ".vtt": _vtt,
    ".ass": _ass,
    ".ssa": _ass,
    ".sbv": _sbv,
    ".ttml": ttml,
    ".dfxp": ttml,
    ".lrc": _lrc,
    ".json": recognized_json,
    ".tsv": recognized_tsv,
}
SUFFIXES = (*_READERS, ".txt")
