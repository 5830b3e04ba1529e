"""Prosody: pitch, loudness, speaking rate and pauses over time.

Sources: pitch by de Cheveigné and Kawahara, "YIN, a fundamental frequency estimator for speech and music", JASA 2002;
speaking rate by the peaks of loudness that mark syllables, after de Jong and Wempe, "Praat script to detect syllable
nuclei and measure speech rate automatically", Behavior Research Methods 2009.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import median_filter, uniform_filter1d

from mmemo.document import array_rounded_to, rounded_to
from mmemo.errors import ArgumentError
from mmemo.evidence import SAMPLE_RATE, Seconds

STEP: Seconds = 0.02
"""Between two values."""
LOWEST, HIGHEST = 60.0, 500.0
"""Hz: the range of pitch that is detected."""
SHORTEST_PAUSE: Seconds = 0.25
"""A shorter gap between words is part of speaking."""
_STEP = int(STEP * SAMPLE_RATE)
_LONGEST = int(SAMPLE_RATE / LOWEST) + 1
_FRAME = 2 * _LONGEST
"""Samples of one value of pitch: two periods of the lowest voice, 33 ms."""
_DOUBT = 0.2
"""Aperiodicity, 0 to 1, from which a frame has no pitch."""
_FLOOR = -100.0
_AROUND: Seconds = 1.0
"""The rate at a moment is that of this much before and after it."""
_DIP_DB, _BELOW_LOUD_DB = 2.0, 25.0
"""A syllable stands out by so much from the dips beside it, and is at most so much below the loudest."""


@dataclass(frozen=True, eq=False)
class Prosody:
    """Prosody of one clip; all arrays are (N,) float32, one value each ``step``.

    Attributes:
        summary: figures of the whole clip; None where there is nothing to measure: ``pitch``, the median in Hz;
            ``pitch_range``, semitones between its 5th and 95th percentile; ``rate``, mean syllables a second;
            ``pause_share``, of the time from the first word to the last.
        start: seconds in the file at which the first value lies.
        step: seconds from one value to the next.
        pitch: fundamental frequency in Hz; NaN where the voice has none, or nobody speaks.
        energy: level in dBFS, at least -100.
        rate: syllables a second of speech, over a second before and after; NaN where nobody speaks.
        pauses: stretches of at least 0.25 s between two spans of speech, start and end in seconds.

    Raises:
        ArgumentError: if the arrays differ in shape.
    """

    summary: Annotated[dict[str, float | None], rounded_to(3)] = field(init=False)
    start: Seconds
    step: Seconds = field(init=False, default=STEP)
    pitch: Annotated[np.ndarray, array_rounded_to(1)]
    energy: Annotated[np.ndarray, array_rounded_to(1)]
    rate: Annotated[np.ndarray, array_rounded_to(2)]
    pauses: tuple[tuple[Seconds, Seconds], ...]

    def __post_init__(self) -> None:
        if not self.pitch.shape == self.energy.shape == self.rate.shape or self.pitch.ndim != 1:
            raise ArgumentError(
                "Prosody: expected pitch, energy and rate of one shape (N,), got "
                f"{self.pitch.shape}, {self.energy.shape} and {self.rate.shape}."
            )
        if "summary" not in vars(self):  # a document brings that of the values before they were rounded
            object.__setattr__(self, "summary", self._summary())

    def __repr__(self) -> str:
        end = self.start + len(self.pitch) * self.step
        return f"<Prosody {self.start:.1f} to {end:.1f} s: {self.summary}>"

    @property
    def times(self) -> np.ndarray:
        """(N,) float64 seconds in the file."""
        return self.start + np.arange(len(self.pitch)) * STEP

    def _summary(self) -> dict[str, float | None]:
        voiced = self.pitch[np.isfinite(self.pitch)]
        spoken = np.flatnonzero(np.isfinite(self.rate))
        low, middle, high = np.percentile(voiced, [5, 50, 95]) if len(voiced) else (np.nan,) * 3
        span = (spoken[-1] - spoken[0] + 1) * STEP if len(spoken) else np.nan
        figures = {
            "pitch": middle,
            "pitch_range": 12 * np.log2(high / low),
            "rate": np.nanmean(self.rate) if len(spoken) else np.nan,
            "pause_share": sum(end - begin for begin, end in self.pauses) / span,
        }
        return {name: round(float(value), 3) if np.isfinite(value) else None for name, value in figures.items()}


def measure(blocks: Iterable[np.ndarray], spans: Sequence[tuple[Seconds, Seconds]], start: Seconds = 0.0) -> Prosody:
    """Measure a stream of sound; memory grows by 12 bytes a value, not with the sound.

    Args:
        blocks: float32 mono arrays of shape (N,) at 16 kHz, in order; values that are not numbers count as silence.
        spans: where somebody speaks, in seconds of the file, as `mmemo.speech.activity.speech_spans` gives them.
        start: seconds in the file of the first sample.
    """
    pitches, energies = [], []
    # Each value is of the sound around it: half a frame of silence before the first.
    held = np.zeros(_FRAME // 2, np.float32)
    for block in blocks:
        held = np.concatenate([held, np.nan_to_num(np.asarray(block, np.float32), nan=0.0, posinf=0.0, neginf=0.0)])
        count = max(0, (len(held) - _FRAME) // _STEP + 1)
        if count:
            pitch, energy = _frames(held, count)
            pitches.append(pitch)
            energies.append(energy)
            held = held[count * _STEP :]
    if len(held) > _FRAME // 2:
        count = -(-(len(held) - _FRAME // 2) // _STEP)
        pitch, energy = _frames(np.pad(held, (0, _FRAME)), count)
        pitches.append(pitch)
        energies.append(energy)
    pitch = np.concatenate(pitches) if pitches else np.zeros(0, np.float32)
    energy = np.concatenate(energies) if energies else np.zeros(0, np.float32)
    times = start + np.arange(len(pitch)) * STEP
    speech = np.zeros(len(pitch), bool)
    for begin, end in spans:
        speech |= (times >= begin) & (times < end)
    pitch = np.where(speech, _without_leaps(pitch), np.nan).astype(np.float32)
    pauses = tuple((end, begin) for (_, end), (begin, _) in pairwise(spans) if begin - end >= SHORTEST_PAUSE)
    return Prosody(start, pitch, energy, _rate(pitch, energy, speech), pauses)


def _frames(sound: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pitch, NaN where there is none, and energy of ``count`` frames that begin at each `_STEP`; (count,) float32."""
    pitch, energy = np.empty(count, np.float32), np.empty(count, np.float32)
    view = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::_STEP]
    for first in range(0, count, 1000):
        frames = view[first : first + min(1000, count - first)].astype(np.float64)
        frames = frames - frames.mean(axis=1, keepdims=True)  # DC is no sound
        power = np.mean(np.square(frames), axis=1)
        energy[first : first + len(frames)] = np.maximum(10 * np.log10(np.maximum(power, 1e-12)), _FLOOR)
        pitch[first : first + len(frames)] = _yin(frames)
    return pitch, energy


def _yin(frames: np.ndarray) -> np.ndarray:
    """Pitch of frames (F, `_FRAME`), NaN where the difference function has no dip below `_DOUBT`."""
    half, shortest = _FRAME - _LONGEST, int(SAMPLE_RATE / HIGHEST)
    size = next_fast_len(_FRAME + half, real=True)
    # Difference of the first half and itself a lag later: two energies less twice the correlation.
    correlation = irfft(rfft(frames, size) * np.conj(rfft(frames[:, :half], size)), size)[:, :_LONGEST]
    squares = np.concatenate([np.zeros((len(frames), 1)), np.cumsum(np.square(frames), axis=1)], axis=1)
    energies = squares[:, half : half + _LONGEST] - squares[:, :_LONGEST]
    difference = np.maximum(energies[:, :1] + energies - 2 * correlation, 0)
    mean = np.cumsum(difference[:, 1:], axis=1) / np.arange(1, _LONGEST)
    normal = np.ones_like(difference)
    normal[:, 1:] = difference[:, 1:] / np.maximum(mean, 1e-12)
    inner = normal[:, shortest - 1 :]
    dips = (inner[:, 1:-1] < _DOUBT) & (inner[:, 1:-1] <= inner[:, :-2]) & (inner[:, 1:-1] < inner[:, 2:])
    pitch = np.full(len(frames), np.nan, np.float32)
    rows = np.flatnonzero(dips.any(axis=1) & (energies[:, 0] > 1e-9 * half))
    lag = dips[rows].argmax(axis=1) + shortest  # the first dip: later ones are octaves below
    before, here, after = (normal[rows, lag + offset] for offset in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.divide(0.5 * (before - after), bend, out=np.zeros(len(rows)), where=bend > 1e-12)
    pitch[rows] = SAMPLE_RATE / (lag + np.clip(shift, -0.5, 0.5))
    return pitch


def _without_leaps(pitch: np.ndarray) -> np.ndarray:
    """The same without values that are far from their neighbors': octave errors of a frame or two."""
    known = np.flatnonzero(np.isfinite(pitch))
    if len(known) < 5:
        return pitch
    values = pitch[known]
    kept = np.abs(np.log2(values / median_filter(values, 7, mode="nearest"))) < 0.4
    cleaned = np.full_like(pitch, np.nan)
    cleaned[known[kept]] = values[kept]
    return cleaned


def _rate(pitch: np.ndarray, energy: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """Syllables a second of speech around each moment, NaN where nobody speaks; all (N,)."""
    rate = np.full(len(pitch), np.nan, np.float32)
    if not speech.any():
        return rate
    smooth = uniform_filter1d(energy.astype(np.float64), 3, mode="nearest")
    loudest = np.percentile(smooth[speech], 95)
    places = _peaks(np.where(speech, smooth, _FLOOR), _DIP_DB)
    voiced = np.isfinite(pitch)
    syllables = np.zeros(len(pitch))
    for place in places:
        if speech[place] and smooth[place] > loudest - _BELOW_LOUD_DB and voiced[max(0, place - 1) : place + 2].any():
            syllables[place] = 1
    around = 2 * round(_AROUND / STEP) + 1
    spoken = uniform_filter1d(speech.astype(np.float64), around, mode="constant") * around * STEP
    counted = uniform_filter1d(syllables, around, mode="constant") * around
    # Less than a quarter of a second gives no rate.
    rate[speech] = np.where(spoken > 0.25, counted / np.maximum(spoken, 0.25), np.nan)[speech]
    return rate


def _peaks(values: np.ndarray, dip: float) -> list[int]:
    """Places of the maxima between which the values fall by at least ``dip``."""
    peaks: list[int] = []
    high, low, place, rising = -np.inf, np.inf, 0, True
    for index, value in enumerate(values):
        if rising:
            if value > high:
                high, place = value, index
            elif value < high - dip:
                peaks.append(place)
                low, rising = value, False
        elif value < low:
            low = value
        elif value > low + dip:
            high, place, rising = value, index, True
    return [*peaks, place] if rising and high > _FLOOR else peaks
