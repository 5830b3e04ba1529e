"""From the text of subtitles to spoken lines: no styling, no sounds, no repetitions, and who speaks."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from mmemo.evidence import Seconds
from mmemo.speech.line import Line, Word

CONTIGUOUS = 0.15
"""Seconds: a cue that begins no later than this after the last one continues it."""
CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Signs that don't show: they would be parts of words, or rows of their own."""
_ROLLING = 20
"""Rows of a cue that may be repetitions of the one before, at most."""
_NAMED = 0.5
"""Share of the cues that begin with ``Name:`` from which on this is a speaker; in fewer, "Look: it rains" is likelier.
Names in capitals, as subtitles for the deaf have them, and numbered speakers need no others."""
_NAME_WORDS = 4
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}|\{[biuy]:[^{}]*\}")
_SQUARE = r"\[[^\[\]]*\]|\u3010[^\u3010\u3011]*\u3011|\uff3b[^\uff3b\uff3d]*\uff3d"
# A round mark has a letter in it, and none is opened by a smiley; a starred word between others is stressed, no sound.
_ROUND = r"(?<![:;=])\((?=[^()]*[^\W\d_])[^()]*\)|\uff08[^\uff08\uff09]*\uff09"
_SOUND = re.compile(rf"{_SQUARE}|{_ROUND}|[\u2669-\u266f]")
_STARRED = re.compile(r"(?P<before>\w )?(?<![\w*])\*(?=[^\s*])(?P<text>[^*]*)(?<=[^\s*])\*(?![\w*])(?P<after> \w)?")
_BRACKETED = re.compile(
    r"^([ \t>-]*)\[(?:([^\[\]]{1,40})\][ \t]*(?:[:\uff1a]|\d{1,2}:\d{2}(?::\d{2})?[ \t]*$)|(SPEAKER[_ ]?\d+)\])", re.M
)
_SPEAKER_MARK = re.compile(r"^(?:(?:-|\u2013|\u2014|>>+)\s*)+")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s([^<>]+)>")
_NUMBER = re.compile(r"&#\d{8,};?")
"""An entity beyond Unicode; of very long ones Python makes no number."""
_LABEL = re.compile(r"([^\W\d_][^:\uff1a!?,;\"]{0,39}?)\s*(?::(?=\s|$)|\uff1a)\s*")
_NUMBERED = re.compile(r"speaker[_ ]?\d+", re.I)


@dataclass(frozen=True)
class Cue:
    """One subtitle as it stands in its file.

    Attributes:
        text: rows, with their styling.
        speaker: where the file has a field for it.
        words: with their times, where the file has them; ``confidence`` likewise.
    """

    start: Seconds
    end: Seconds
    text: str
    speaker: str | None = None
    words: tuple[Word, ...] = ()
    confidence: float = 1.0


Content = tuple[str | None, Iterator[Cue]]
"""The language of a header, and the cues."""


class FaultError(Exception):
    """What is wrong with one subtitle."""


Row = tuple[str, str | None]
"""A row of words, and its speaker."""


def spoken(cues: Iterable[Cue]) -> list[Line]:
    """The spoken lines of cues, in order of time.

    Tags, entities and signs of music are left out, and so are sounds: what stands in (round), [square] or *starred*
    marks. Rows that roll from one cue to the next come once. A row that begins with a name and a colon, or with a voice
    of WebVTT, has that speaker; a cue of several speakers becomes several lines, each as long as its share of the
    letters.
    """
    rolled = [(cue, rows) for cue, rows in _unrolled([(cue, _rows(cue)) for cue in cues]) if rows]
    labels = [label for _, rows in rolled if (label := _label(rows[0][0]))]
    named = len(labels) >= _NAMED * len(rolled)
    return [line for cue, rows in rolled for line in _lines(cue, with_speakers(rows, named))]


def with_speakers(rows: Iterable[Row], named: bool) -> Iterator[Row]:
    """Rows without the names before them, which are their speakers; a row of a name alone names that of the next ones.

    Args:
        named: whether a name in small letters counts; one in capitals, or a numbered speaker, does so in any case.
    """
    current: str | None = None
    for text, speaker in rows:
        label = _label(text)
        if label and (named or label[1]):
            current, text = label[0], text[label[2] :]
        if text:
            yield text, current or speaker


def speaker_rows(rows: Sequence[str]) -> list[Row]:
    """Rows of plain text with their speakers, if at least two of them, and half, begin with a name."""
    labels = [label for row in rows if (label := _label(row))]
    if len(labels) < max(2, _NAMED * len(rows)):
        return [(row, None) for row in rows]
    return list(with_speakers([(row, None) for row in rows], named=True))


def _label(row: str) -> tuple[str, bool, int] | None:
    """The name at the start of a row, whether it is one beyond doubt, and where the words begin."""
    match = _LABEL.match(row)
    if match is None:
        return None
    name = match[1].strip()
    words = re.findall(r"[^\W\d_]+", name)
    if not words or len(name.split()) > _NAME_WORDS:
        return None
    sure = _NUMBERED.fullmatch(name) is not None or (len(name) > 1 and name == name.upper() != name.lower())
    if not sure and any(word[0].islower() for word in (words[0], words[-1])):
        return None
    return name, sure, match.end()


def _rows(cue: Cue) -> list[Row]:
    """The rows of a cue that have words, and the speaker where a field or a voice of WebVTT names one."""
    before, *voices = _VOICE.split(cue.text.replace("\\N", "\n").replace("\\n", "\n"))
    parts = [(before, cue.speaker), *zip(voices[1::2], (name.strip() for name in voices[::2]), strict=True)]
    return [(row, speaker or None) for text, speaker in parts for row in _plain(text)]


def _plain(text: str) -> list[str]:
    """Rows without tags, entities, sounds and the dash of a new speaker."""
    text = html.unescape(_NUMBER.sub("\ufffd", _TAG.sub("", text))).replace("\\h", " ")
    text = _BRACKETED.sub(lambda match: f"{match[1]}{match[2] or match[3]}: ", text)
    text = _STARRED.sub(_starred, _SOUND.sub(" ", text))
    rows = (_SPEAKER_MARK.sub("", " ".join(row.split())) for row in text.split("\n"))
    return [row for row in rows if row]


def _starred(match: re.Match[str]) -> str:
    before, after = match["before"], match["after"]
    return f"{before}{match['text']}{after}" if before and after else f"{before or ''} {after or ''}"


def _unrolled(cues: list[tuple[Cue, list[Row]]]) -> Iterator[tuple[Cue, list[Row]]]:
    """Rolling captions show each row again above the next one: keep the first showing only.

    A row is a repetition if its cue continues the one before, begins with the rows that one ended with, and
    goes on from there, or is too short to be read. "No!" twice in two cues stays.
    """
    shown: list[Row] = []
    until = float("-inf")
    for cue, rows in sorted(cues, key=lambda one: one[0].start):
        fresh = rows
        if cue.start <= until + CONTIGUOUS:
            for length in range(min(len(shown), len(rows), _ROLLING), 0, -1):
                if shown[-length:] == rows[:length] and (len(rows) > length or cue.end - cue.start < CONTIGUOUS):
                    fresh = rows[length:]
                    break
        yield cue, fresh
        if rows:
            shown, until = rows, cue.end


def _lines(cue: Cue, rows: Iterable[Row]) -> Iterator[Line]:
    """The lines of a cue, one for each speaker in turn."""
    turns = [(" ".join(text for text, _ in turn), speaker) for speaker, turn in groupby(rows, key=lambda row: row[1])]
    letters, past = sum(len(text) for text, _ in turns), 0
    for text, speaker in turns:
        start, end = (cue.start + (cue.end - cue.start) * at / letters for at in (past, past + len(text)))
        past += len(text)
        yield Line(start, max(start, end), text, cue.confidence, cue.words if len(turns) == 1 else (), speaker)
