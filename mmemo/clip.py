"""A clip: a span of one media file with its annotations; it holds no samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import get_args

from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evidence import Channel, Seconds


@dataclass(frozen=True, slots=True)
class Clip:
    """A span of one media file, or a text; in a corpus with its annotations.

    Attributes:
        path: the media file, or None for text alone.
        start: seconds from the start of the file.
        end: seconds; None for the end of the file.
        text: the spoken words, if they are known.
        subtitles: a subtitle or text file, if there is one; a file of the same name beside the media is taken anyway.
        audio: the sound, where it is in a file of its own; ``path`` is then the picture.
        channel: of the sound: "mix" of all, or "left" or "right" alone, where each party of a call has its own.
        id: unique in its corpus.
        corpus: its short name, such as "ravdess".
        label: the target class.
        labels: the class by modality, where annotators had only the face or only the voice:
            ``{"face": "anger"}``.
        intended: the emotion that an actor was to portray.
        perceived: share of the annotators' votes for each label; the shares sum to 1.
        valence: on the scale of the corpus; ``arousal`` and ``dominance`` likewise.
        onset: of an expression, in seconds from the start of the file; ``apex`` and ``offset`` likewise.
        speaker: name as in the corpus; ``gender``, ``session`` and ``dialogue`` likewise; ``turn`` counts within a
            dialogue.
        language: ISO 639-1 where there is one: "en".
        license: terms of use, in short.
        split: "train", "val", "test" …; ``fold`` names the round of a cross-validation in which the clip is tested.
        sha256: of the bytes of ``path``, to notice a changed file.
        extra: further annotations of the corpus.

    Raises:
        ArgumentError: if there is neither a file nor text, both text and subtitles, the span is empty, shares don't
            sum to 1, or a number is not one. The message names every fault.

    >>> clip = Clip(Path("clip.mp4"), start=0.5, end=2.0, label="happiness", speaker="anna")
    >>> clip.path.name, clip.end - clip.start
    ('clip.mp4', 1.5)
    >>> Clip(text="What a lovely day!").path is None
    True
    """

    path: Path | None = None
    start: Seconds = 0.0
    end: Seconds | None = None
    text: str | None = None
    subtitles: Path | None = None
    _: KW_ONLY
    audio: Path | None = None
    channel: Channel = "mix"
    id: str = ""
    corpus: str | None = None
    label: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    intended: str | None = None
    perceived: Mapping[str, float] = field(default_factory=dict)
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    onset: Seconds | None = None
    apex: Seconds | None = None
    offset: Seconds | None = None
    speaker: str | None = None
    gender: str | None = None
    session: str | None = None
    dialogue: str | None = None
    turn: int | None = None
    language: str | None = None
    license: str | None = None
    split: str | None = None
    fold: str | None = None
    sha256: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = list(self._faults())
        if faults:
            raise ArgumentError(" ".join(faults))

    def _faults(self) -> Iterator[str]:
        if self.path is None and self.text is None:
            yield "Nothing to analyze: give a media file, or text=…."
        if self.path is None and self.audio is not None:
            yield "A clip of sound alone has the sound as its path, not as its audio."
        if self.channel not in get_args(Channel):
            yield expected_one_of("channel", get_args(Channel), self.channel)
        if self.text is not None and self.subtitles is not None:
            yield "Give text=… or subtitles=…, not both."
        if not 0 <= self.start < math.inf or (self.end is not None and not self.start < self.end < math.inf):
            yield f"A clip needs 0 <= start < end, got start={self.start}, end={self.end}."
        moments = [time for time in (self.onset, self.apex, self.offset) if time is not None]
        if moments != sorted(moments) or not all(0 <= time < math.inf for time in moments):
            yield f"An expression needs 0 <= onset <= apex <= offset, got {moments}."
        for name in ("valence", "arousal", "dominance"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                yield f"{name} is {value}; leave it out where it is not known."
        shares = list(self.perceived.values())
        if shares and not (all(0 <= share <= 2 for share in shares) and abs(math.fsum(shares) - 1) < 1e-3):
            yield f"The shares of perceived labels must be positive and sum to 1, got {dict(self.perceived)}."
