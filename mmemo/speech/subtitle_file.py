"""Reading ``.srt``, ``.vtt``, ``.ass`` and ``.ssa`` files.

Own readers, because the libraries for it (pysubs2, webvtt-py) skip what they can't read or don't name the
line. Source: W3C, "WebVTT: The Web Video Text Tracks Format", 2019; SubRip has no standard; "ASS File
Format Specification" of the libass project.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mmemo.errors import TranscriptError, expected_one_of
from mmemo.evidence import Seconds
from mmemo.reading import read_bytes, reason
from mmemo.speech.language import detect_encoding

_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz
ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik
io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml
mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd
se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi
vo wa wo xh yi yo za zh zu
"""
LANGUAGES = frozenset(_CODES.split())
"""ISO 639-1."""
_THREE_LETTERS = {
    "eng": "en", "ara": "ar", "ces": "cs", "chi": "zh", "cze": "cs", "dan": "da", "deu": "de", "dut": "nl",
    "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de", "hin": "hi", "ita": "it", "jpn": "ja", "kor": "ko",
    "nld": "nl", "nor": "no", "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro", "rus": "ru", "spa": "es",
    "swe": "sv", "tur": "tr", "ukr": "uk", "vie": "vi", "zho": "zh",
}  # fmt: skip
_KINDS = frozenset({"sdh", "cc", "hi", "forced", "full", "auto", "orig"})
_TIME = re.compile(r"(?:(\d{1,5}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}|\{[biuy]:[^{}]*\}")
_SOUND = re.compile(r"\[[^\[\]]*\]|[\u2669-\u266f]")
_SPEAKER_MARK = re.compile(r"^(?:(?:-|\u2013|\u2014|>>+)\s*)+")
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Signs that don't show: they would be parts of words, or rows of their own."""
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s([^<>]+)>")
_NUMBER = re.compile(r"&#\d{8,};?")
"""An entity beyond Unicode; of very long ones Python makes no number."""
_SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
CONTIGUOUS = 0.15
"""Seconds: a cue that begins no later than this after the last one continues it."""
_ROLLING = 20
"""Rows of a cue that may be repetitions of the one before, at most."""


@dataclass(frozen=True)
class FileCue:
    """One subtitle: plain text between two times, and the speaker where the file names one."""

    start: Seconds
    end: Seconds
    text: str
    speaker: str | None = None


def read_cues(path: Path) -> tuple[list[FileCue], str | None]:
    """The cues of a file, rolling repetitions taken out, and the language that its header or name gives.

    Styling, the names of sounds in square brackets and music signs are left out; cues may overlap.

    Raises:
        TranscriptError: if the file can't be read, is of another kind, or holds a time that is none.
    """
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise TranscriptError(f"{path}: {expected_one_of('subtitle suffix', _SUFFIXES, path.suffix)}")
    rows = read_text(path).splitlines()
    if suffix in (".ass", ".ssa"):
        return sorted(_dialogues(path, rows), key=lambda cue: cue.start), language_of(path)
    language = None
    if suffix == ".vtt":
        if any(rows) and not re.match(r"WEBVTT(?:[ \t]|$)", rows[0]):
            raise TranscriptError(f"{path}, line 1: a .vtt file begins with WEBVTT, this one with {rows[0][:40]!r}.")
        header = next((i for i, row in enumerate(rows) if not row.strip() or "-->" in row), len(rows))
        named = re.search(r"^Language:\s*([A-Za-z]+)", "\n".join(rows[:header]), re.M)
        language = named and _code(named[1])
        rows = ["" if i < header else row for i, row in enumerate(rows)]
    blocks = list(_blocks(path, rows))
    if not blocks and any(row.strip() for row in rows) and suffix == ".srt":
        raise TranscriptError(
            f"{path}, line 1: no subtitle in this file; expected times such as 00:00:01,000 --> 00:00:02,500."
        )
    return list(_unrolled(blocks)), language or language_of(path)


def language_of(path: Path) -> str | None:
    """The language in a file's name (``clip.en.srt``, ``clip.pt-BR.vtt``, ``clip.eng.sdh.srt``), or None."""
    parts = path.stem.lower().split(".")[1:]
    while len(parts) > 1 and parts[-1] in _KINDS:
        parts.pop()
    return _code(re.split("[-_]", parts[-1])[0]) if parts else None


def _code(name: str) -> str | None:
    name = _THREE_LETTERS.get(name.lower(), name.lower())
    return name if name in LANGUAGES else None


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


Block = tuple[Seconds, Seconds, list[str], str | None]
"""Start, end, cleaned text rows and the speaker of a cue."""


def _blocks(path: Path, rows: list[str]) -> Iterator[Block]:
    """The cues of a file in its order."""
    number, comment = 0, False
    # A row of blanks belongs to the cue in WebVTT (YouTube writes such rows), and ends it in SubRip.
    ends = str if path.suffix.lower() == ".vtt" else str.strip
    while number < len(rows):
        row = rows[number]
        number += 1
        if not row.strip():
            comment = False
        elif re.match(r"(NOTE|STYLE|REGION)\b", row) and "-->" not in row:
            comment = path.suffix.lower() == ".vtt"
        elif "-->" in row and not comment:
            start, end = _times(path, number, row)
            texts = []
            while number < len(rows) and ends(rows[number]) and "-->" not in rows[number]:
                texts.append(rows[number])
                number += 1
            if number < len(rows) and "-->" in rows[number] and texts and texts[-1].strip().isdigit():
                texts.pop()  # no blank line before the next cue's number
            voices = {name.strip() for text in texts for name in _VOICE.findall(text)} - {""}
            speaker = voices.pop() if len(voices) == 1 else None
            yield start, end, [text for text in map(_plain, texts) if text], speaker


def _times(path: Path, number: int, row: str) -> tuple[Seconds, Seconds]:
    left, _, right = row.partition("-->")
    times = []
    for part in (left.strip(), right.split()[0] if right.strip() else ""):
        match = _TIME.fullmatch(part)
        if not match or int(match[2]) > 59 or int(match[3]) > 59:
            raise TranscriptError(
                f"{path}, line {number}: {part[:40]!r} is no time; expected one such as 00:01:02,500 "
                "(hours:minutes:seconds and thousandths)."
            )
        hours, minutes, seconds = int(match[1] or 0), int(match[2]), int(match[3])
        times.append(hours * 3600 + minutes * 60 + seconds + int(match[4].ljust(3, "0")) / 1000)
    if times[1] < times[0]:
        raise TranscriptError(f"{path}, line {number}: the subtitle ends before it begins ({row.strip()[:80]}).")
    return times[0], times[1]


def _plain(row: str) -> str:
    """One row without tags, entities, sounds and the dash of a new speaker."""
    text = html.unescape(_NUMBER.sub("\ufffd", _TAG.sub("", row))).replace("\\h", " ").replace("\\N", " ")
    text = " ".join(_SOUND.sub(" ", text).split())
    return _SPEAKER_MARK.sub("", text)


def _unrolled(blocks: list[Block]) -> Iterator[FileCue]:
    """Rolling captions show each row again above the next one: keep the first showing only.

    A row is a repetition if its cue continues the one before, begins with the rows that one ended with, and
    goes on from there, or is too short to be read. "No!" twice in two cues stays.
    """
    shown: list[str] = []
    until = float("-inf")
    for start, end, rows, speaker in sorted(blocks, key=lambda block: block[0]):
        fresh = rows
        if start <= until + CONTIGUOUS:
            for length in range(min(len(shown), len(rows), _ROLLING), 0, -1):
                if shown[-length:] == rows[:length] and (len(rows) > length or end - start < CONTIGUOUS):
                    fresh = rows[length:]
                    break
        if fresh:
            yield FileCue(start, end, " ".join(fresh), speaker)
        if rows:
            shown, until = rows, end


def _dialogues(path: Path, rows: list[str]) -> Iterator[FileCue]:
    """The dialogue of an ASS or SSA file; comments and drawings are left out."""
    fields: list[str] = []
    for number, row in enumerate(rows, 1):
        kind, _, rest = row.partition(":")
        if kind.strip() == "Format" and "Text" in rest:
            fields = [field.strip() for field in rest.split(",")]
        if kind.strip() != "Dialogue":
            continue
        if not {"Start", "End", "Text"} <= set(fields):
            raise TranscriptError(
                f"{path}, line {number}: no Format line with Start, End and Text before this dialogue."
            )
        values = rest.split(",", len(fields) - 1)
        if len(values) < len(fields):
            raise TranscriptError(
                f"{path}, line {number}: expected {len(fields)} values ({', '.join(fields)}), got {len(values)}."
            )
        cue = dict(zip(fields, values, strict=True))
        start, end = _times(path, number, f"{cue['Start'].strip()} --> {cue['End'].strip()}")
        text = "" if re.search(r"\{[^{}]*\\p[1-9]", cue["Text"]) else _plain(cue["Text"].replace("\\n", " "))
        if text:
            yield FileCue(start, end, text, cue.get("Name", cue.get("Actor", "")).strip() or None)
