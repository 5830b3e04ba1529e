"""Notes: remarks on the quality and the limits of one analysis."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """A remark on the quality or the limits of one analysis.

    Attributes:
        code: short stable name a program can test for, such as "no-audio".
        message: one sentence for people: the observation, and what follows from it.
    """

    code: str
    message: str
