"""Subtitles that are embedded in a media file as a text stream."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmemo.evidence import Seconds
from mmemo.in_memory import Frames, Media
from mmemo.media.container import file_of, open_media, origin, packets
from mmemo.media.info import Track

_SPEAKER = 3
"""Place of the name in an event of ASS as FFmpeg gives it: order, layer, style, name, margins, effect, text."""


@dataclass(frozen=True)
class Cue:
    """One subtitle of a stream: rows between two times in seconds, and its speaker where the stream has one."""

    start: Seconds
    end: Seconds
    text: str
    speaker: str | None = None


def cues(source: str | Media, stream: Track) -> list[Cue]:
    """The cues of one embedded text subtitle stream (mov_text, SubRip, WebVTT, ASS), in order of time.

    Raises:
        MediaError: if the file can't be opened.
    """
    lines_in_time: list[Cue] = []
    if isinstance(source, Frames):
        return lines_in_time
    with open_media(file_of(source)) as container:
        first = origin(container)
        for packet in packets(container, container.streams[stream.index]):
            if packet.pts is None or packet.time_base is None:
                continue
            start = float(packet.pts * packet.time_base) - first
            end = start + float((packet.duration or 0) * packet.time_base)
            rects = [rect for rect in packet.decode() if getattr(rect, "dialogue", None)]
            text = "\n".join(line for line in (_plain(rect.dialogue) for rect in rects) if line)
            if text:
                speaker = _text(rects[0].ass).split(",", _SPEAKER + 1)[_SPEAKER] or None
                lines_in_time.append(Cue(max(0.0, start), max(0.0, start, end), text, speaker))
    return sorted(lines_in_time, key=lambda cue: cue.start)


def _plain(dialogue: bytes | str) -> str:
    """The rows of an ASS dialogue without override tags; none of a drawing."""
    text = _text(dialogue)
    if re.search(r"\{[^{}]*\\p[1-9]", text):
        return ""
    text = re.sub(r"\{[^{}]*\}", "", text).replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")
    return "\n".join(row for row in (" ".join(row.split()) for row in text.split("\n")) if row)


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
