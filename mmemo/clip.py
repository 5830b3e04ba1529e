"""A span of one media file and what is known of it; it holds no samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds


@dataclass(frozen=True)
class Clip:
    """What to analyze.

    Attributes:
        path: the media file, or None for text alone.
        start: seconds from the start of the file.
        end: seconds; None for the end of the file.
        text: the words said in it, if they are known.
        subtitles: a subtitle file, if there is one; a file of the same name beside the media is found anyway.

    Raises:
        ArgumentError: if there is neither a file nor text, both text and subtitles, or the span is empty.
    """

    path: Path | None = None
    start: Seconds = 0.0
    end: Seconds | None = None
    text: str | None = None
    subtitles: Path | None = None

    def __post_init__(self) -> None:
        if self.path is None and self.text is None:
            raise ArgumentError("Nothing to analyze: give a media file, or text=….")
        if self.text is not None and self.subtitles is not None:
            raise ArgumentError("Give text=… or subtitles=…, not both.")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise ArgumentError(f"A clip needs 0 <= start < end, got start={self.start}, end={self.end}.")
