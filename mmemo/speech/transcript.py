"""Transcripts: words with their times, wherever they came from, and the words of one window."""

from __future__ import annotations

import os
import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from textwrap import shorten
from typing import Protocol

from mmemo.clip import Clip
from mmemo.document import OMIT_DEFAULT, Share
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evidence import Seconds, TextEvidence, Turn
from mmemo.reading import well_formed
from mmemo.speech.language import detect_language
from mmemo.speech.subtitle_file import language_of, read_cues, read_text

SIDECARS = (".srt", ".vtt", ".ass", ".ssa")
"""Suffixes of the subtitle files that are taken from beside a media file, the first before the later ones."""
LONG = 10.0
"""Seconds: of a line that lasts longer, a window gets only the part spoken around it."""
AROUND = 2.0
"""Seconds before and after the window that this part reaches."""
UNDECIDED = 0.5
"""Share of the confidence that is left to words whose language is not known."""
BEFORE, GAP = 3, 20.0
"""Lines before a window that are its context, at most, and the longest silence in seconds over which they are."""
_MOST_SHOWN = 20
"""Lines that ``print(transcript)`` shows."""
SOURCES = ("given", "sidecar", "subtitle stream", "recognition")


class TimedText(Protocol):
    """Anything with a text between two times: a cue of a file or of a stream."""

    @property
    def start(self) -> Seconds: ...
    @property
    def end(self) -> Seconds: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True)
class Word:
    """One word; times in seconds from the start of the file, confidence 0 to 1."""

    start: Seconds
    end: Seconds
    text: str
    confidence: Share = 1.0


@dataclass(frozen=True)
class Line:
    """One line: a subtitle, or one sentence of the recognizer.

    Attributes:
        confidence: how sure the words are, 0 to 1; 1 where somebody wrote them.
        words: the line's words with their times, where these are known.
        speaker: where the source names one.

    Raises:
        ArgumentError: if it ends before it starts, or the confidence is outside 0 to 1.
    """

    start: Seconds
    end: Seconds
    text: str
    confidence: Share = 1.0
    words: tuple[Word, ...] = field(default=(), repr=False, metadata=OMIT_DEFAULT)
    speaker: str | None = field(default=None, metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        if not self.start <= self.end:
            raise ArgumentError(f"Line {self.text!r}: expected start <= end, got {self.start} and {self.end} s.")
        if not 0 <= self.confidence <= 1:
            raise ArgumentError(f"Line {self.text!r}: expected a confidence in 0 to 1, got {self.confidence}.")


@dataclass(frozen=True)
class Transcript:
    """The words of one file.

    Attributes:
        lines: in the order of their starts; lines may overlap.
        source: where the words came from, one of `SOURCES`.
        language: ISO 639-1 code; None where it is not known, as of words too few to tell by.
        detail: the subtitle file's name, the number of the stream, or the name of the recognizer's model.
        language_probability: 0 to 1, that it is this one; 1 where somebody named it.

    Raises:
        ArgumentError: if the source is not a known one, or the lines are not in order.

    >>> transcript = Transcript((Line(0.0, 1.5, "Hello there."), Line(1.8, 3.0, "How are you?")), "given", "en")
    >>> transcript.text
    'Hello there. How are you?'
    >>> print(transcript)
        0.00     1.50  Hello there.
        1.80     3.00  How are you?
    """

    lines: tuple[Line, ...]
    source: str
    language: str | None
    detail: str = ""
    language_probability: Share = field(default=1.0, metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ArgumentError(expected_one_of("Transcript source", SOURCES, self.source))
        if any(later.start < line.start for line, later in zip(self.lines, self.lines[1:], strict=False)):
            raise ArgumentError("Transcript: expected the lines in the order of their starts.")

    def __repr__(self) -> str:
        return f"<Transcript {self.source}, {self.language}: {len(self.lines)} lines, {shorten(self.text, 60)!r}>"

    def __str__(self) -> str:
        lines = [f"{line.start:8.2f} {line.end:8.2f}  {line.text}" for line in self.lines[:_MOST_SHOWN]]
        more = len(self.lines) - len(lines)
        return "\n".join([*lines, f"… and {more} more lines"] if more else lines)

    @property
    def text(self) -> str:
        """All lines, joined by blanks."""
        return " ".join(line.text for line in self.lines)

    @cached_property
    def starts(self) -> list[Seconds]:
        """Start of each line, in seconds."""
        return [line.start for line in self.lines]

    @cached_property
    def _longest(self) -> Seconds:
        return max((line.end - line.start for line in self.lines), default=0.0)

    def lines_between(self, start: Seconds, end: Seconds) -> tuple[Line, ...]:
        """The lines that touch the window ``[start, end)``; one without length does so if it lies in it."""
        first, last = bisect_left(self.starts, start - self._longest), bisect_left(self.starts, end)
        return tuple(line for line in self.lines[first:last] if line.end > start or line.start == line.end == start)


def from_cues(cues: Iterable[TimedText], source: str, detail: str = "", language: str | None = None) -> Transcript:
    """A transcript of subtitles without the empty ones. An unknown language is detected from all words."""
    lines = [
        Line(cue.start, cue.end, text, speaker=getattr(cue, "speaker", None))
        for cue in cues
        if (text := " ".join(cue.text.split()))
    ]
    lines.sort(key=lambda line: line.start)
    return _in_its_language(Transcript(tuple(lines), source, language, detail))


def _in_its_language(transcript: Transcript) -> Transcript:
    """The same with its language detected, unless it is known."""
    if transcript.language is not None:
        return transcript
    language, probability = detect_language(transcript.text)
    return replace(transcript, language=language, language_probability=probability)


def read_subtitles(path: str | Path, duration: Seconds = 0.0) -> Transcript:
    """The transcript in an ``.srt``, ``.vtt``, ``.ass``, ``.ssa`` or ``.txt`` file.

    The language is that of the file's header or name (``clip.en.srt``), else detected from the words. Plain text has no
    times: its sentences fill the clip, as with `given`.

    Args:
        duration: of the clip in seconds, for plain text.

    Raises:
        TranscriptError: if the file can't be read; the message names the file and the line.
    """
    path = Path(path)
    if path.suffix.lower() == ".txt":
        plain = given(read_text(path), duration, language_of(path))
        return replace(plain, source="sidecar", detail=well_formed(path.name))
    cues, language = read_cues(path)
    return from_cues(cues, "sidecar", well_formed(path.name), language)


def find_sidecar(media: str | Path) -> Path | None:
    """The subtitle file that belongs to a media file: same folder, same stem, ``.srt``, ``.vtt``, ``.ass`` or ``.ssa``.

    ``clip.srt`` is taken before ``clip.en.srt``, English before other languages, and ``.srt`` before
    ``.vtt`` before ``.ass``. Upper and lower case are the same. None if there is no such file, or the folder can't be
    listed.
    """
    return next(iter(sidecars(media)), None)


def sidecars(media: str | Path) -> list[Path]:
    """All subtitle files that belong to a media file, in the order in which `find_sidecar` takes the first."""
    media = Path(media)
    stem, ranked = media.stem.lower(), []
    for entry in _subtitle_files(media.parent):
        path = media.parent / entry
        name = path.stem.lower()
        if name == stem or name.startswith(f"{stem}."):
            language = language_of(path)
            if (name == stem or language) and os.path.isfile(path):
                ranked.append((name != stem, language != "en", SIDECARS.index(path.suffix.lower()), name, path))
    return [path for *_, path in sorted(ranked)]


def files_read(clips: Iterable[Clip]) -> Iterator[Path]:
    """Every file that analyzing clips may read: media, sound, subtitles, and all subtitle files beside the media."""
    folders: set[Path] = set()
    for clip in clips:
        yield from clip.files
        if clip.file is not None:
            folders.add(clip.file.parent)
    for folder in folders:
        yield from (folder / name for name in _subtitle_files(folder))


def _subtitle_files(folder: Path) -> tuple[str, ...]:
    """Names of the subtitle files of a folder; a corpus has thousands of files in one, listed once.

    A list holds as long as the folder's time of change stays, but for changes within the resolution of its clock.
    """
    try:
        changed = folder.stat().st_mtime_ns
        just_now = time.time_ns() - changed < 2_000_000_000
        return _listed.__wrapped__(folder, changed) if just_now else _listed(folder, changed)
    except OSError:
        return ()


@lru_cache(maxsize=64)
def _listed(folder: Path, changed: int) -> tuple[str, ...]:  # noqa: ARG001 - it is part of the key
    return tuple(name for name in os.listdir(folder) if name.lower().endswith(SIDECARS))


def given(text: str, duration: Seconds, language: str | None = None) -> Transcript:
    """Plain text as a transcript: its sentences, each as long as its share of the letters, fill the clip.

    Args:
        text: the words, in order; a sentence ends with its mark or with the line. Half a UTF-16 pair is replaced.
        duration: of the clip in seconds; 0 for text alone, whose lines then all lie at 0.
        language: ISO 639-1 code; detected from the words if None.

    Raises:
        ArgumentError: if the duration is negative.
    """
    if not duration >= 0:
        raise ArgumentError(f"given: expected a duration of 0 s or more, got {duration}.")
    sentences = [" ".join(part.split()) for part in re.split(r"(?<=[.!?\u2026\u3002])\s+|\n+", well_formed(text))]
    sentences = [sentence for sentence in sentences if sentence]
    letters = sum(map(len, sentences))
    lines, past = [], 0
    for sentence in sentences:
        start, past = past, past + len(sentence)
        lines.append(Line(duration * start / letters, duration * past / letters, sentence))
    return _in_its_language(Transcript(tuple(lines), "given", language))


def words_between(transcript: Transcript, start: Seconds, end: Seconds) -> TextEvidence | None:
    """The words of the window ``[start, end)``: the lines that touch it, whole. None where there are none.

    Of a line longer than `LONG` only the words spoken in the window and shortly before and after: by their times where
    these are known, else by their share of the letters. The coverage is the share of the window with a line in it; the
    confidence is the lines' mean, weighted by their overlap with the window, and less (`UNDECIDED`) for letters in an
    unknown language. The context are the lines before.
    """
    lines = transcript.lines_between(start, end)
    if start == end:
        lines = tuple(line for line in transcript.lines if line.start <= start <= line.end)
    if not lines:
        return None
    overlaps = [min(line.end, end) - max(line.start, start) for line in lines]
    total, covered, reached = sum(overlaps), 0.0, start
    for line in lines:
        covered += max(0.0, min(line.end, end) - max(line.start, reached))
        reached = max(reached, min(line.end, end))
    if total > 0:
        confidence = sum(line.confidence * o for line, o in zip(lines, overlaps, strict=True)) / total
    else:
        confidence = sum(line.confidence for line in lines) / len(lines)
    coverage = covered / (end - start) if end > start else 1.0
    text = " ".join(part for line in lines if (part := _part(line, start - AROUND, end + AROUND)))
    if not text:
        return None
    if transcript.language is None and any(map(str.isalpha, text)):  # emoji are in no language
        confidence *= UNDECIDED
    speakers = {line.speaker for line in lines}
    return TextEvidence(
        text,
        transcript.language,
        confidence,
        min(1.0, coverage),
        next(iter(speakers)) if len(speakers) == 1 else None,
        _before(transcript, lines[0]) if end > start else (),
    )


def _part(line: Line, start: Seconds, end: Seconds) -> str:
    """The words of a line that are spoken between two times; all of it unless it is long."""
    length = line.end - line.start
    if length <= LONG:
        return line.text
    if line.words:
        return " ".join(word.text for word in line.words if word.end > start and word.start < end)
    words, spoken, past = line.text.split(), [], 0
    if len(words) < 2:
        return line.text  # a script without blanks: there is no place to cut
    letters = sum(map(len, words))
    for word in words:
        begins, past = line.start + length * past / letters, past + len(word)
        if line.start + length * past / letters > start and begins < end:
            spoken.append(word)
    return " ".join(spoken)


def _before(transcript: Transcript, first: Line) -> tuple[Turn, ...]:
    """The lines that end before ``first`` begins, without a long silence between, oldest first."""
    turns: list[Turn] = []
    next_start = first.start
    for line in reversed(transcript.lines[: bisect_left(transcript.starts, first.start)]):
        if len(turns) == BEFORE or next_start - line.end > GAP:
            break
        turns.append(Turn(line.text, line.speaker))
        next_start = line.start
    return tuple(reversed(turns))
