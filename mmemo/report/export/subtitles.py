"""A result as subtitles that name the emotion: SubRip and WebVTT."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mmemo.errors import ArgumentError, TranscriptError
from mmemo.evidence import Seconds
from mmemo.labels import LABEL_SETS
from mmemo.report.style.colors import colors, ink
from mmemo.report.style.wording import VOCAL_BURST
from mmemo.report.timeline import label_between, spans
from mmemo.speech.line import Line
from mmemo.speech.subtitle_file import read_text

if TYPE_CHECKING:
    from mmemo.result import EmotionResult

_TAGGED = re.compile(r"(?:<c\.[\w-]+>)?\[([^\[\]]+)\]")


@dataclass(frozen=True)
class TaggedLine:
    """One subtitle; ``text`` is empty where no words are known, ``label`` where nothing was scored."""

    start: Seconds
    end: Seconds
    label: str
    text: str


def tagged_lines(result: EmotionResult) -> list[TaggedLine]:
    """Lines of the transcript with the fused label of their time; without a transcript, the spans of labels.

    Times are those of the file, and every line lasts a millisecond at least.

    Raises:
        ArgumentError: if the result has no times: it is of a still image, or of text alone.
    """
    if not result.duration:
        raise ArgumentError("A still image or text alone has no times, so there are no subtitles to write.")
    return [
        TaggedLine(line.start, max(line.end, line.start + 0.001), line.label, line.text)
        for line in _lines(result)
        if line.end > result.start and line.start < result.start + result.duration
    ]


def srt(result: EmotionResult) -> str:
    """SubRip text: the label in brackets before the words."""
    cues = (
        f"{number}\n{_clock(line.start, ',')} --> {_clock(line.end, ',')}\n{_tag(line)}\n"
        for number, line in enumerate(tagged_lines(result), 1)
    )
    return "\n".join(cues)


def vtt(result: EmotionResult) -> str:
    """WebVTT text: as in SubRip, in a class named after the label, with the label's color in a style."""
    lines = tagged_lines(result)
    used = [label for label in result.scores if any(line.label == label for line in lines)]
    palette = colors(result.scores)
    styles = (
        f"STYLE\n::cue(.{_class(label)}) {{ background-color: {palette[label]}; color: {ink(palette[label])}; }}\n"
        for label in used
    )
    cues = (
        f"{_clock(line.start, '.')} --> {_clock(line.end, '.')}\n"
        + (f"<c.{_class(line.label)}>{_escape(_tag(line))}</c>\n" if line.label else f"{_escape(_tag(line))}\n")
        for line in lines
    )
    return "\n".join(["WEBVTT\n", *styles, *cues])


def written_by_mmemo(path: Path) -> bool:
    """Whether a subtitle file is as `srt` and `vtt` write it: each line begins with a known label in brackets."""
    try:
        rows = read_text(path).splitlines()
    except TranscriptError:
        return False
    known = {label for labels in LABEL_SETS.values() for label in labels}
    tags = [_TAGGED.match(text) for time, text in pairwise(rows) if "-->" in time]
    return bool(tags) and all(tag is not None and tag[1] in known for tag in tags)


def _lines(result: EmotionResult) -> Iterator[TaggedLine]:
    if result.transcript is None or not result.transcript.lines:
        for span in spans(result.segments, "fused"):
            yield TaggedLine(span.start, span.end, span.label, "")
        return
    bursts = [Line(start, end, VOCAL_BURST) for start, end in result.vocal_bursts]
    for line in sorted((*result.transcript.lines, *bursts), key=lambda line: line.start):
        label = label_between(result, line.start, max(line.end, line.start + 0.001))
        speaker = f"{line.speaker}: " if line.speaker else ""
        yield TaggedLine(line.start, line.end, label, speaker + " ".join(line.text.split()))


def _tag(line: TaggedLine) -> str:
    tag = f"[{line.label}]" if line.label else ""
    # An arrow within the text would be read as times.
    return " ".join(part for part in (tag, line.text) if part).replace("-->", "\u2192") or "[]"


def _clock(time: Seconds, point: str) -> str:
    milliseconds = max(0, round(time * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _class(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", label)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
