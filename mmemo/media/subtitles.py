"""Subtitles that are embedded in a media file as a text stream."""

from __future__ import annotations

from dataclasses import dataclass

from mmemo.evidence import Seconds
from mmemo.in_memory import Frames, Media
from mmemo.media.container import file_of, open_media, origin, packets
from mmemo.media.info import SubtitleStream


@dataclass(frozen=True)
class Cue:
    """One subtitle of a stream: plain text between two times in seconds."""

    start: Seconds
    end: Seconds
    text: str


def cues(source: str | Media, stream: SubtitleStream) -> list[Cue]:
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
            lines = [_plain(rect.dialogue) for rect in packet.decode() if getattr(rect, "dialogue", None)]
            text = " ".join(line for line in lines if line)
            if text:
                lines_in_time.append(Cue(max(0.0, start), max(0.0, end), text))
    return sorted(lines_in_time, key=lambda cue: cue.start)


def _plain(dialogue: bytes | str) -> str:
    """The text of an ASS dialogue without override tags."""
    text = dialogue.decode("utf-8", "replace") if isinstance(dialogue, bytes) else dialogue
    while "{" in text and "}" in text.split("{", 1)[1]:
        before, rest = text.split("{", 1)
        text = before + rest.split("}", 1)[1]
    return " ".join(text.replace("\\N", " ").replace("\\n", " ").replace("\\h", " ").split())
