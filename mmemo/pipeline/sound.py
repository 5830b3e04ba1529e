"""The sound of a clip, decoded once for all that use it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmemo import media
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.in_memory import Media
from mmemo.media import Damage

KEPT: Seconds = 600.0
"""The longest sound that is kept in memory, 38 MB; a longer one is decoded again for each use."""


class ClipSound:
    """The sound of a span of a file, as blocks that may be taken several times.

    Args:
        source: a video or audio file, or sound in memory.
        start, end: seconds from the start of the file; None for its end.

    Attributes:
        damage: what could not be decoded, once the blocks were taken.
    """

    def __init__(self, source: Media, start: Seconds = 0.0, end: Seconds | None = None) -> None:
        self._source, self._start, self._end = source, start, end
        self._kept: list[np.ndarray] | None = None
        self.damage = Damage()

    def blocks(self) -> Iterator[np.ndarray]:
        """Consecutive blocks (N,) float32, 16 kHz mono; see `mmemo.media.waveform_blocks`. Not to be changed.

        Raises:
            MediaError: if the file can't be opened.
        """
        if self._kept is not None:
            yield from self._kept
            return
        blocks: list[np.ndarray] = []
        samples, damage = 0, Damage()
        for block in media.waveform_blocks(self._source, self._start, self._end, damage=damage):
            samples += len(block)
            if samples <= KEPT * SAMPLE_RATE:
                blocks.append(block)
            else:
                blocks.clear()
            yield block
        self.damage = damage
        if samples <= KEPT * SAMPLE_RATE:
            self._kept = blocks
