"""One line of a transcript, and one word."""

from __future__ import annotations

from dataclasses import dataclass, field

from mmemo.document import OMIT_DEFAULT, Share
from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds


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
