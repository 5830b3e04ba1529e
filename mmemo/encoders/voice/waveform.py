"""Waveforms as voice encoders take them: the speech of one window at a fixed level, and batches of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mmemo.encoders.voice.architecture import HOP
from mmemo.evidence import SAMPLE_RATE, Evidence, Seconds, VoiceEvidence
from mmemo.speech.level import normalize

SHORTEST: Seconds = 0.3
"""A window with less speech than this has no voice."""
MARGIN: Seconds = 0.05
"""Sound that is kept before the first and after the last speech of a window."""


def prepare(voice: VoiceEvidence) -> np.ndarray | None:
    """The sound of one window from its first to its last speech, at level, in training as in inference.

    Returns:
        (N,) float32 mono at 16 kHz; None with less than 0.3 s of speech.

    >>> import numpy as np
    >>> from mmemo.encoders.voice.waveform import prepare
    >>> from mmemo.evidence import VoiceEvidence
    >>> waveform = np.random.default_rng(0).normal(size=32_000).astype(np.float32)
    >>> speech = np.zeros(32_000, bool)
    >>> speech[8_000:16_000] = True  # 0.5 s of speech, with margins of 0.05 s
    >>> prepare(VoiceEvidence(waveform, speech, coverage=0.25)).shape
    (9600,)
    """
    speech = voice.speech
    if np.count_nonzero(speech) < SHORTEST * SAMPLE_RATE:
        return None
    # Silence before and after shows how a corpus was cut, not an emotion.
    indices, margin = np.flatnonzero(speech), int(MARGIN * SAMPLE_RATE)
    stretch = slice(max(0, indices[0] - margin), indices[-1] + 1 + margin)
    waveform = normalize(voice.waveform[stretch], speech[stretch])
    return waveform if waveform.any() else None


@dataclass(frozen=True)
class Stretch:
    """The sound of a few overlapping windows.

    Attributes:
        waveform: (N,) float32 at level, from the first to the last speech of them all.
        rows: the number of each window.
        frames: first and last (exclusive) frame of each window's own speech in it.
    """

    waveform: np.ndarray
    rows: tuple[int, ...]
    frames: tuple[tuple[int, int], ...]


def stretches(windows: Sequence[Evidence], most: int) -> Iterator[Stretch]:
    """The sound of windows, overlapping ones joined.

    Args:
        windows: those without a voice, or with too little speech, are left out.
        most: windows of one stretch.
    """
    rows = [
        row
        for row, window in enumerate(windows)
        if window.voice is not None and np.count_nonzero(window.voice.speech) >= SHORTEST * SAMPLE_RATE
    ]
    while rows:
        count = 1
        while count < min(most, len(rows)) and _continues(windows[rows[count - 1]], windows[rows[count]]):
            count += 1
        stretch = _joined(windows, rows[:count])
        if stretch is not None:
            yield stretch
        rows = rows[count:]


def _continues(first: Evidence, second: Evidence) -> bool:
    """Whether two windows overlap, and hold the same sound where they do."""
    if first.voice is None or second.voice is None or not first.start < second.start < first.end:
        return False
    lap = first.voice.waveform[round((second.start - first.start) * SAMPLE_RATE) :]
    return 0 < len(lap) <= len(second.voice.waveform) and np.array_equal(
        lap, second.voice.waveform[: len(lap)], equal_nan=True
    )


def _joined(windows: Sequence[Evidence], rows: Sequence[int]) -> Stretch | None:
    """The stretch of some windows; None where it is silent."""
    origin, margin = windows[rows[0]].start, int(MARGIN * SAMPLE_RATE)
    firsts = [round((windows[row].start - origin) * SAMPLE_RATE) for row in rows]
    voices = [voice for row in rows if (voice := windows[row].voice) is not None]
    total = firsts[-1] + len(voices[-1].waveform)
    waveform, speech = np.zeros(total, np.float32), np.zeros(total, bool)
    own = []
    for first, voice in zip(firsts, voices, strict=True):
        waveform[first : first + len(voice.waveform)] = voice.waveform
        speech[first : first + len(voice.speech)] = voice.speech
        spoken = np.flatnonzero(voice.speech)
        end = min(spoken[-1] + 1 + margin, len(voice.speech))
        own.append((first + max(0, spoken[0] - margin), first + end))
    begin, finish = min(first for first, _ in own), max(last for _, last in own)
    sound = normalize(waveform[begin:finish], speech[begin:finish])
    if not sound.any():
        return None
    frames = [(round((first - begin) / HOP), -(-(last - begin) // HOP)) for first, last in own]
    return Stretch(sound, tuple(rows), tuple(frames))


def pad(waveforms: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Waveforms of any lengths as (B, N) float32, zero beyond each length, and the lengths (B,) int64 in samples."""
    lengths = np.array([len(waveform) for waveform in waveforms])
    padded = np.zeros((len(waveforms), lengths.max()), np.float32)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return padded, lengths
