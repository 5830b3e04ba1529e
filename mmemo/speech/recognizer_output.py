"""Reading what speech recognizers write: JSON and tab-separated values of Whisper and its relatives."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from mmemo.evidence import Seconds
from mmemo.speech.line import Word
from mmemo.speech.subtitle_names import language_code
from mmemo.speech.subtitle_text import CONTROL, Content, Cue, FaultError

UNFINISHED: Seconds = 2.0
"""How long a sentence lasts whose end the recognizer leaves open."""


def recognized_json(text: str, faults: list[str]) -> Content:
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
                CONTROL.sub(" ", segment["text"].replace("\0", " ")),
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
        start = _finite(pair[0])  # the last end is None where the sound ends within the sentence
        times = [start, start + UNFINISHED if pair[1] is None else _finite(pair[1])]
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


def recognized_tsv(text: str, faults: list[str]) -> Content:
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
