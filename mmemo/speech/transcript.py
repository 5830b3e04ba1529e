"""Transcripts: words with their times, wherever they came from, and the words of one window."""

from __future__ import annotations

import os
import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from textwrap import shorten

from mmemo.clip import Clip
from mmemo.document import OMIT_DEFAULT, Share
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evidence import Seconds, TextEvidence, Turn
from mmemo.notes import Note
from mmemo.reading import well_formed
from mmemo.speech.language import detect_language
from mmemo.speech.line import Line
from mmemo.speech.subtitle_file import read_cues, read_text
from mmemo.speech.subtitle_names import is_forced, language_of
from mmemo.speech.subtitle_text import Cue, Row, speaker_rows, spoken

SIDECARS = (".srt", ".vtt", ".ass", ".ssa", ".sbv", ".ttml", ".dfxp", ".lrc")
"""Suffixes of the subtitle files that are taken from beside a media file, the first before the later ones."""
LONG = 10.0
"""Seconds: of a line that lasts longer, a window gets only the part spoken around it."""
AROUND = 2.0
"""Seconds before and after the window that this part reaches."""
UNDECIDED = 0.5
"""Share of the confidence that is left to words whose language is not known."""
BEFORE, GAP = 3, 20.0
"""Lines before a window that are its context, at most, and the longest silence in seconds over which they are."""
_FAULTS = 3
"""Subtitles that can't be read whose faults a note states."""
_MOST_SHOWN = 20
"""Lines that ``print(transcript)`` shows."""
SOURCES = ("given", "sidecar", "subtitle stream", "recognition")


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


def from_lines(lines: Iterable[Line], source: str, detail: str = "", language: str | None = None) -> Transcript:
    """A transcript of lines in any order. An unknown language is detected from all words."""
    ordered = tuple(sorted(lines, key=lambda line: line.start))
    return _in_its_language(Transcript(ordered, source, language, detail))


def _in_its_language(transcript: Transcript) -> Transcript:
    """The same with its language detected, unless it is known."""
    if transcript.language is not None:
        return transcript
    language, probability = detect_language(transcript.text)
    return replace(transcript, language=language, language_probability=probability)


def read_subtitles(path: str | Path, duration: Seconds = 0.0) -> tuple[Transcript, tuple[Note, ...]]:
    """The transcript in a file, and a note on the subtitles in it that can't be read and are left out.

    Subtitles are ``.srt``, ``.vtt``, ``.ass``, ``.ssa``, ``.sbv``, ``.ttml``, ``.dfxp`` or ``.lrc``; ``.json`` and
    ``.tsv`` what Whisper and its relatives write. The language is that of the file's header or name (``clip.en.srt``),
    else detected from the words. Plain text (``.txt``) has no times: its sentences fill the clip, as with `given`.

    Args:
        duration: of the clip in seconds, for plain text.

    Raises:
        TranscriptError: if the file can't be read, or nothing in it; the message names the file and the line.
    """
    path = Path(path)
    name = well_formed(path.name)
    if path.suffix.lower() == ".txt":
        blocks = re.split(r"\n\s*\n", "\n".join(read_text(path).splitlines()))
        lines = spoken([Cue(0.0, 0.0, block) for block in blocks])
        return _untimed([(line.text, line.speaker) for line in lines], duration, "sidecar", language_of(path), name), ()
    cues = read_cues(path)
    notes: tuple[Note, ...] = ()
    if cues.faults:
        shown = " ".join(cues.faults[:_FAULTS]) + (" …" if len(cues.faults) > _FAULTS else "")
        many = (
            f"{len(cues.faults)} subtitles of {name} can't be read and were"
            if cues.faults[1:]
            else f"One subtitle of {name} can't be read and was"
        )
        notes = (Note("damaged-subtitles", f"{many} left out: {shown}"),)
    return from_lines(cues.lines, "sidecar", name, cues.language), notes


def sidecars(media: str | Path) -> list[Path]:
    """The subtitle files that belong to a media file: same folder, same stem, a suffix of `SIDECARS`.

    ``clip.srt`` comes before ``clip.en.srt``, English before other languages, ``.srt`` before ``.vtt`` before ``.ass``,
    and forced subtitles, which have the lines in foreign languages alone, at the end. Upper and lower case are the
    same. None if the folder can't be listed.
    """
    media = Path(media)
    stem, ranked = media.stem.lower(), []
    for entry in _subtitle_files(media.parent):
        path = media.parent / entry
        name = path.stem.lower()
        if name == stem or name.startswith(f"{stem}."):
            language = language_of(path)
            if (name == stem or language) and os.path.isfile(path):
                suffix = SIDECARS.index(path.suffix.lower())
                ranked.append((is_forced(path), name != stem, language != "en", suffix, name, path))
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
        text: the words, in order; a sentence ends with its mark or with the line. Half a UTF-16 pair is replaced. Where
            at least half of the lines, and two of them, begin with a name and a colon, these are the speakers.
        duration: of the clip in seconds; 0 for text alone, whose lines then all lie at 0.
        language: ISO 639-1 code; detected from the words if None.

    Raises:
        ArgumentError: if the duration is negative.
    """
    if not duration >= 0:
        raise ArgumentError(f"given: expected a duration of 0 s or more, got {duration}.")
    rows = [" ".join(row.split()) for row in well_formed(text).split("\n")]
    return _untimed(speaker_rows([row for row in rows if row]), duration, "given", language)


def _untimed(rows: Sequence[Row], duration: Seconds, source: str, language: str | None, detail: str = "") -> Transcript:
    """The sentences of rows, each as long as its share of the letters."""
    sentences = [
        (sentence, speaker)
        for row, speaker in rows
        for sentence in re.split(r"(?<=[.!?\u2026\u3002])\s+", row)
        if sentence
    ]
    letters = sum(len(sentence) for sentence, _ in sentences)
    lines, past = [], 0
    for sentence, speaker in sentences:
        start, past = past, past + len(sentence)
        lines.append(Line(duration * start / letters, duration * past / letters, sentence, speaker=speaker))
    return _in_its_language(Transcript(tuple(lines), source, language, detail))


def words_between(
    transcript: Transcript, start: Seconds, end: Seconds, others: Set[Line] = frozenset()
) -> TextEvidence | None:
    """The words of the window ``[start, end)``: the lines that touch it, whole. None where there are none.

    Of a line longer than `LONG` only the words spoken in the window and shortly before and after: by their times where
    these are known, else by their share of the letters. The coverage is the share of the window with a line in it; the
    confidence is the lines' mean, weighted by their overlap with the window, and less (`UNDECIDED`) for letters in an
    unknown language. The context are the lines before.

    Args:
        others: lines that are context alone, such as those of the other party of a call.
    """
    lines = transcript.lines_between(start, end)
    if start == end:
        lines = tuple(line for line in transcript.lines if line.start <= start <= line.end)
    lines = tuple(line for line in lines if line not in others)
    whole = _evidence(transcript, lines, start, end)
    names = dict.fromkeys(line.speaker for line in lines)
    if whole is None or len(names) < 2:
        return whole
    own = [[line for line in lines if line.speaker == name] for name in names if name is not None]
    parts = (_evidence(transcript, part, start, end) for part in own)
    return replace(whole, by_speaker=tuple(part for part in parts if part is not None))


def _evidence(transcript: Transcript, lines: Sequence[Line], start: Seconds, end: Seconds) -> TextEvidence | None:
    """The words of some lines that touch a window."""
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
        blank = " " if " " in line.text else ""  # Chinese and Japanese have none
        return blank.join(word.text for word in line.words if word.end > start and word.start < end)
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
