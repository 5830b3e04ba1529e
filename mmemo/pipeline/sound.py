"""The sound of a clip, decoded once for all that use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mmemo import media
from mmemo.evidence import SAMPLE_RATE, Channel, Seconds
from mmemo.in_memory import Media
from mmemo.media import ChannelLevels, Damage

KEPT: Seconds = 600.0
"""The longest sound that is kept in memory, 38 MB; a longer one is decoded again for each use."""


class ClipSound:
    """The sound of a span of a file, as blocks that may be taken several times.

    Args:
        source: a video or audio file, or sound in memory.
        start, end: seconds from the start of the file; None for its end.
        channel: which is used, see `mmemo.media.waveform_blocks`; ``track`` likewise.

    Attributes:
        track: number of the sound track that is used; None for the file's own choice.
        damage: what could not be decoded, once the blocks were taken.
        levels: of both channels of a stereo sound, once the blocks were taken.
    """

    def __init__(
        self,
        source: Media,
        start: Seconds = 0.0,
        end: Seconds | None = None,
        channel: Channel = "mix",
        track: int | None = None,
    ) -> None:
        self._source, self._start, self._end, self._channel, self.track = source, start, end, channel, track
        self._kept: list[np.ndarray] | None = None
        self.damage, self.levels = Damage(), ChannelLevels()

    def blocks(self) -> Iterator[np.ndarray]:
        """Consecutive blocks (N,) float32, 16 kHz mono; see `mmemo.media.waveform_blocks`. Not to be changed.

        Raises:
            MediaError: if the file can't be opened.
        """
        if self._kept is not None:
            yield from self._kept
            return
        blocks: list[np.ndarray] = []
        samples, damage, levels = 0, Damage(), ChannelLevels()
        span = self._start, self._end
        how: dict[str, Any] = {"channel": self._channel, "track": self.track, "damage": damage, "levels": levels}
        for block in media.waveform_blocks(self._source, *span, **how):
            samples += len(block)
            if samples <= KEPT * SAMPLE_RATE:
                blocks.append(block)
            else:
                blocks.clear()
            yield block
        self.damage, self.levels = damage, levels
        if samples <= KEPT * SAMPLE_RATE:
            self._kept = blocks
