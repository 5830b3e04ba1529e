"""Whether the two channels of a stereo sound hold different voices, as recordings of calls do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmemo.evidence import SAMPLE_RATE, Seconds

_STEP: Seconds = 0.1
_FRAME = round(_STEP * SAMPLE_RATE)
_ACTIVE_DB = 25.0
"""A frame counts if its louder channel is at most so much below the loud frames; fainter are pauses and rooms."""
_APART_DB = 15.0
"""One channel speaks alone where it is so much louder: echo of a call, or a microphone beside, is 20 dB below."""
_EACH, _BOTH = 0.1, 0.6
"""Share of the frames that each channel must have alone, and both together; in the rest both may speak."""
_SHORTEST: Seconds = 1.0


class ChannelLevels:
    """Levels of both channels of a sound, each 0.1 s: 80 bytes a second. Sound that is not stereo counts as silent."""

    def __init__(self) -> None:
        self._levels: list[np.ndarray] = []
        self._rest = np.zeros((0, 2), np.float32)

    def add(self, samples: np.ndarray) -> None:
        """Add the next samples (N, channels) float32 at 16 kHz."""
        stereo = samples if samples.shape[1] == 2 else np.zeros((len(samples), 2), np.float32)
        joined = np.concatenate([self._rest, stereo])
        whole = len(joined) - len(joined) % _FRAME
        power = np.square(joined[:whole]).reshape(-1, _FRAME, 2).mean(axis=1)
        self._levels.append(10 * np.log10(power + 1e-10))
        self._rest = joined[whole:]

    def hold_different_voices(self, speech: Sequence[tuple[Seconds, Seconds]]) -> bool:
        """Whether each channel speaks while the other is silent.

        Args:
            speech: spans of speech in the mix, in seconds from the first sample.
        """
        levels = self._all
        times = (np.arange(len(levels)) + 0.5) * _STEP
        levels = levels[np.searchsorted(np.ravel(speech), times, side="right") % 2 == 1]
        if not len(levels):
            return False
        louder = levels.max(axis=1)
        left, right = levels[louder > np.percentile(louder, 90) - _ACTIVE_DB].T
        alone = np.array([(left - right > _APART_DB).sum(), (right - left > _APART_DB).sum()])
        return bool(alone.min() >= max(_SHORTEST / _STEP, _EACH * len(left)) and alone.sum() >= _BOTH * len(left))

    def difference(self, start: Seconds, end: Seconds) -> float:
        """Decibels by which the left channel is louder than the right one: the mean over the frames with sound.

        A frame counts at most `_APART_DB`, and 0 dB come out where none has any.

        Args:
            start: seconds from the first sample; ``end`` likewise.
        """
        levels = self._all
        if not len(levels):
            return 0.0
        least = np.percentile(levels.max(axis=1), 90) - _ACTIVE_DB
        part = levels[max(0, round(start / _STEP)) : max(0, round(end / _STEP))]
        part = part[part.max(axis=1, initial=-np.inf) > least]
        return float(np.clip(part[:, 0] - part[:, 1], -_APART_DB, _APART_DB).mean()) if len(part) else 0.0

    @property
    def _all(self) -> np.ndarray:
        """(N, 2) of each frame."""
        self._levels = [np.concatenate([np.zeros((0, 2), np.float32), *self._levels])]
        return self._levels[0]
