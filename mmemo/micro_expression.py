"""A micro-expression: one result of spotting and recognition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from mmemo.document import Score, Share, rounded_to
from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds

FrameTime = Annotated[Seconds, rounded_to(4)]
"""Seconds from the start of the file, exact enough to tell frames apart at 200 a second and more."""


@dataclass(frozen=True)
class MicroExpression:
    """A micro-expression: a short, faint, isolated facial movement. It is no hidden feeling, and no sign of a lie.

    Attributes:
        person: id of the face track.
        onset: seconds at which the movement begins.
        apex: seconds at which it is strongest.
        offset: seconds at which it is gone.
        onset_frame: index of the frame, from 0; ``apex_frame`` and ``offset_frame`` likewise.
        region: where the motion is largest: "brows", "eyes", "nose" or "mouth".
        strength: largest motion from onset to apex, in pixels of a face crop of 128 px (the eyes 47 px apart).
        confidence: 0 to 1: how clearly it stands out. A rank, not a probability.
        label: the class with the highest score; None without ``scores``.
        scores: share of each class, summing to 1; None without a recognizer. There is no class for "none".

    Raises:
        ArgumentError: if onset, apex and offset are not in this order.
    """

    person: int
    onset: FrameTime
    apex: FrameTime
    offset: FrameTime
    onset_frame: int
    apex_frame: int
    offset_frame: int
    region: str
    strength: Annotated[float, rounded_to(3)]
    confidence: Share
    label: str | None = field(init=False)
    scores: dict[str, Score] | None = None

    def __post_init__(self) -> None:
        if not self.onset < self.apex < self.offset:
            raise ArgumentError(
                f"A micro-expression needs onset < apex < offset, got {self.onset}, {self.apex}, {self.offset}."
            )
        label = max(self.scores, key=self.scores.__getitem__) if self.scores else None
        object.__setattr__(self, "label", label)
