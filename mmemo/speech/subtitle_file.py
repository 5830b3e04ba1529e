"""Reading the files that words come in: subtitles, captions, lyrics, and what speech recognizers write.

Own readers: pysubs2 and webvtt-py append what they can't read to the words of the subtitle before, or refuse the file,
and don't name the line. Sources: W3C, "WebVTT: The Web Video Text Tracks Format", 2019, and "Timed Text Markup Language
2", 2018; SubRip, SBV and LRC have no standard; "ASS File Format Specification" of the libass project.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from mmemo.errors import TranscriptError, expected_one_of
from mmemo.evidence import Seconds
from mmemo.reading import read_bytes, reason
from mmemo.speech.language import detect_encoding
from mmemo.speech.line import Line, Word
from mmemo.speech.subtitle_names import language_code, language_of
from mmemo.speech.subtitle_text import Cue, spoken

LONGEST_LYRIC: Seconds = 10.0
"""A line of lyrics lasts until the next one, and no longer than this."""
_TIME = re.compile(r"(?:(\d{1,5}):)?(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,3}))?")
_TIMES_OF_SBV = re.compile(r"\s*(\S+:\d\S*[.]\d+),(\S+:\d\S*)\s*")
_LIKE_TIMES = re.compile(r"\s*\d+:\d\S*\s*\S{0,4}\s*\d*\S?:\S*\d\s*")
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Signs that don't show: they would be parts of words, or rows of their own."""
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)(?:[.,](\d+)|:(\d+)(?:\.\d+)?)?")
_OFFSET = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|f|t)")
_BREAK = re.compile(r"<(?:\w+:)?br\b[^<>]*>")
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


class FaultError(Exception):
    """What is wrong with one subtitle."""


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
    """The text of a file in UTF-8, UTF-16 with its mark, or an old encoding, detected; control characters are blanks.

    Raises:
        TranscriptError: if it can't be read, or is no text.
    """
    return _CONTROL.sub(" ", _decoded(path))


def _decoded(path: Path) -> str:
    try:
        data = read_bytes(path)
    except OSError as error:
        raise TranscriptError(f"{path} can't be read: {reason(error)}.") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise TranscriptError(f"{path}, line 1: begins as UTF-16 and is not. Save it as UTF-8.") from None
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


Content = tuple[str | None, Iterator[Cue]]
"""The language of a header, and the cues."""


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
    rows = [
        f"{times[1]} --> {times[2]}" if (times := _TIMES_OF_SBV.fullmatch(row)) else row for row in text.splitlines()
    ]
    return None, _timed_blocks(rows, faults)


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


def _ttml(text: str, faults: list[str]) -> Content:
    if re.search(r"<!(DOCTYPE|ENTITY)", text):
        raise FaultError("line 1: a document type or entities, which subtitles have no use for, are not read.")
    try:
        root = ElementTree.fromstring(_BREAK.sub("\n", text.lstrip()).replace("</br>", ""))
    except ElementTree.ParseError as error:
        raise FaultError(f"line {error.position[0]}: no TTML ({error.msg.split(':')[0]}).") from None
    language = next((value for name, value in root.attrib.items() if _local(name) == "lang"), None)
    return language_code(language), _paragraphs(root, faults)


def _local(name: object) -> str:
    """The name of an element or attribute without its namespace."""
    return str(name).rpartition("}")[2]


def _paragraphs(root: ElementTree.Element, faults: list[str]) -> Iterator[Cue]:
    """The paragraphs of a TTML document, and spans that have times of their own; times count from the parent's."""
    settings = {_local(name): value for name, value in root.attrib.items()}
    rate, ticks = (_positive(settings.get(name), default) for name, default in (("frameRate", 30.0), ("tickRate", 0.0)))
    rate *= math.prod(
        _positive(part, 1.0) ** sign
        for part, sign in zip(settings.get("frameRateMultiplier", "").split(), (1, -1), strict=False)
    )
    agents = {
        _attribute(agent, "id"): "".join(agent.itertext()).strip()
        for agent in root.iter()
        if _local(agent.tag) == "agent"
    }
    waiting: list[tuple[ElementTree.Element, Seconds, str | None]] = [(root, 0.0, None)]
    number = 0
    while waiting:
        element, began, agent = waiting.pop()
        agent = _attribute(element, "agent") or agent
        tag, begin = _local(element.tag), _attribute(element, "begin")
        timed = tag in ("p", "span") and begin is not None
        try:
            start = began + (_offset(begin, rate, ticks) if begin is not None else 0.0)
            if timed and not (
                tag == "p" and any(_attribute(one, "begin") for one in element.iter() if one is not element)
            ):
                number += 1
                end, length = _attribute(element, "end"), _attribute(element, "dur")
                if end is None and length is None:
                    raise FaultError("has no end.")
                ends = (
                    began + _offset(end, rate, ticks) if end is not None else start + _offset(length or "", rate, ticks)
                )
                if ends < start:
                    raise FaultError("ends before it begins.")
                yield Cue(start, ends, "".join(element.itertext()), agents.get(agent) if agent else None)
                continue
        except FaultError as fault:
            faults.append(f"subtitle {number}: {fault}")
            continue
        waiting.extend((child, start, agent) for child in reversed(element))


def _attribute(element: ElementTree.Element, name: str) -> str | None:
    return next((value for key, value in element.attrib.items() if _local(key) == name), None)


def _positive(text: str | None, default: float) -> float:
    return float(text) if text and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) and float(text) > 0 else default


def _offset(text: str, rate: float, ticks: float) -> Seconds:
    """A time of TTML in seconds."""
    text = text.strip()[:60]
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds, fraction, frames = clock.groups()
        whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        return whole + float(f"0.{fraction or 0}") + int(frames or 0) / rate
    offset = _OFFSET.fullmatch(text)
    if offset is None or len(offset[1]) > 15:
        raise FaultError(f"{text[:40]!r} is no time; expected one such as 00:01:02.500 or 62.5s.")
    return (
        float(offset[1])
        * {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "f": 1 / rate, "t": 1 / (ticks or rate)}[offset[2]]
    )


def _json(text: str, faults: list[str]) -> Content:
    """What Whisper, faster-whisper, WhisperX, whisper.cpp and the pipeline of transformers write."""
    try:
        document: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise FaultError(f"line {error.lineno}: no JSON ({error.msg}).") from None
    except (RecursionError, ValueError):
        raise FaultError("line 1: no transcript: nested too deeply, or with numbers of too many digits.") from None
    language: object = None
    if isinstance(document, dict):
        result = document.get("result")
        language = document.get("language") or (result.get("language") if isinstance(result, dict) else None)
        document = next((document[key] for key in ("segments", "chunks", "transcription") if key in document), None)
    if not isinstance(document, list):
        raise FaultError('line 1: no transcript of a recognizer; expected "segments" with start, end and text.')
    return language_code(language) if isinstance(language, str) else None, _segments(document, faults)


def _segments(segments: list[Any], faults: list[str]) -> Iterator[Cue]:
    for number, segment in enumerate(segments, 1):
        try:
            if not isinstance(segment, Mapping) or not isinstance(segment.get("text"), str):
                raise FaultError("has no text.")
            start, end = _span(segment)
            words = segment.get("words")
            speaker = segment.get("speaker")
            yield Cue(
                start,
                end,
                _CONTROL.sub(" ", segment["text"].replace("\0", " ")),
                speaker if isinstance(speaker, str) else None,
                tuple(_words(words)) if isinstance(words, list) else (),
                _confidence(segment, words if isinstance(words, list) else []),
            )
        except FaultError as fault:
            faults.append(f"segment {number}: {fault}")


def _span(segment: Mapping[str, Any]) -> tuple[Seconds, Seconds]:
    """The times of a segment or word: start and end, a pair, or offsets in milliseconds."""
    pair, offsets = segment.get("timestamp"), segment.get("offsets")
    if isinstance(pair, list) and len(pair) == 2:
        times = [_finite(one) for one in pair]
    elif isinstance(offsets, Mapping):
        times = [one / 1000 for one in (_finite(offsets.get(name)) for name in ("from", "to"))]
    else:
        times = [_finite(segment.get(name)) for name in ("start", "end")]
    if not 0 <= times[0] <= times[1]:
        raise FaultError(f"expected times in seconds, the end after the start, got {times[0]:g} and {times[1]:g}.")
    return times[0], times[1]


def _finite(value: object) -> float:
    with suppress(OverflowError):
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    raise FaultError(f"expected a time in seconds, got {str(value)[:40]!r}.")


def _words(words: list[Any]) -> Iterator[Word]:
    """The words whose times are known: WhisperX leaves out those of numbers."""
    for word in words:
        with suppress(FaultError):
            if (
                isinstance(word, Mapping)
                and isinstance(text := word.get("word", word.get("text")), str)
                and text.strip()
            ):
                yield Word(*_span(word), text.strip(), _share(word.get("probability"), 1.0))


def _confidence(segment: Mapping[str, Any], words: list[Any]) -> float:
    """Mean probability of the words, or that of the segment; 1 where none is stated."""
    shares = [_share(word["probability"], 1.0) for word in words if isinstance(word, Mapping) and "probability" in word]
    if shares:
        return math.fsum(shares) / len(shares)
    likely = segment.get("avg_logprob")
    return math.exp(min(0.0, likely)) if isinstance(likely, float) and math.isfinite(likely) else 1.0


def _share(value: object, default: float) -> float:
    return min(1.0, max(0.0, float(value))) if isinstance(value, float) and math.isfinite(value) else default


def _tsv(text: str, faults: list[str]) -> Content:
    """What Whisper writes: start and end in milliseconds, and the text; WhisperX adds a column of speakers."""
    header, *rows = text.splitlines() or [""]
    names = [name.strip().lower() for name in header.split("\t")]
    if text.strip() and not {"start", "end", "text"} <= set(names):
        raise FaultError(f"line 1: expected the columns start, end and text, got {header[:60]!r}.")
    return None, _table(names, rows, faults)


def _table(names: list[str], rows: list[str], faults: list[str]) -> Iterator[Cue]:
    for number, row in enumerate(rows, 2):
        cells = dict(zip(names, row.split("\t"), strict=False))
        if not row.strip():
            continue
        try:
            times = []
            for name in ("start", "end"):
                if not re.fullmatch(r"\d{1,12}(\.\d{1,9})?", cell := cells.get(name, "").strip()):
                    raise FaultError(f"{cell[:40]!r} is no time in milliseconds.")
                times.append(float(cell) if "." in cell else int(cell) / 1000)
            if times[1] < times[0]:
                raise FaultError("the line ends before it begins.")
            yield Cue(times[0], times[1], cells.get("text", ""), cells.get("speaker", "").strip() or None)
        except FaultError as fault:
            faults.append(f"line {number}: {fault}")


_READERS: dict[str, Callable[[str, list[str]], Content]] = {
    ".srt": _srt,
    ".vtt": _vtt,
    ".ass": _ass,
    ".ssa": _ass,
    ".sbv": _sbv,
    ".ttml": _ttml,
    ".dfxp": _ttml,
    ".lrc": _lrc,
    ".json": _json,
    ".tsv": _tsv,
}
SUFFIXES = (*_READERS, ".txt")
