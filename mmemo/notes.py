"""What a reader of a result must know besides its figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One remark on a result.

    Attributes:
        code: short stable name a program can test for, such as "no-audio".
        message: one sentence for people: what was found, and what follows from it.
    """

    code: str
    message: str
