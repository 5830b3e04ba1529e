"""One micro-expression, as results tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds


@dataclass(frozen=True)
class MicroExpression:
    """A short, faint movement of a face that stood alone. It is a movement, not a hidden feeling, and no sign of a lie.

    Attributes:
        person: id of the face's track.
        onset: seconds at which it begins; ``apex`` at which it is strongest; ``offset`` at which it is gone.
        onset_frame: number of the frame, from 0; ``apex_frame`` and ``offset_frame`` likewise.
        region: where it moved most: "brows", "eyes", "nose" or "mouth".
        strength: largest motion from onset to apex, in pixels of a face crop of 128 px (the eyes 47 px apart).
        confidence: 0 to 1: how clearly it stood out. A rank, not a probability.
        scores: share of each class, summing to 1, or None where no recogniser was asked. There is no class for "none".
    """

    person: int
    onset: Seconds
    apex: Seconds
    offset: Seconds
    onset_frame: int
    apex_frame: int
    offset_frame: int
    region: str
    strength: float
    confidence: float
    scores: dict[str, float] | None = None

    def __post_init__(self) -> None:
        if not self.onset < self.apex < self.offset:
            raise ArgumentError(
                f"A micro-expression needs onset < apex < offset, got {self.onset}, {self.apex}, {self.offset}."
            )

    @property
    def label(self) -> str | None:
        """The class with the highest score, or None."""
        return None if self.scores is None else max(self.scores, key=self.scores.__getitem__)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> MicroExpression:
        """The inverse of `to_dict`, but for the rounding of its figures."""
        return cls(**{field.name: document[field.name] for field in fields(cls)})

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        scores = self.scores
        return {
            "person": self.person,
            "onset": round(self.onset, 4),
            "apex": round(self.apex, 4),
            "offset": round(self.offset, 4),
            "onset_frame": self.onset_frame,
            "apex_frame": self.apex_frame,
            "offset_frame": self.offset_frame,
            "region": self.region,
            "strength": round(self.strength, 3),
            "confidence": round(self.confidence, 3),
            "label": self.label,
            "scores": None if scores is None else {label: round(share, 5) for label, share in scores.items()},
        }
