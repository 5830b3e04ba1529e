"""Prosody: pitch, loudness, speaking rate and pauses over time.

Sources: pitch by Mauch and Dixon, "pYIN: a fundamental frequency estimator using probabilistic threshold
distributions", ICASSP 2014, as librosa has it; speaking rate by the peaks of loudness that mark syllables, after
de Jong and Wempe, "Praat script to detect syllable nuclei and measure speech rate automatically", Behavior Research
Methods 2009.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Annotated

import numpy as np

from mmemo.document import array_rounded_to, rounded_to
from mmemo.errors import ArgumentError, require_extra
from mmemo.evidence import SAMPLE_RATE, Seconds

STEP: Seconds = 0.02
"""Between two values."""
LOWEST, HIGHEST = 60.0, 500.0
"""Hz: the range of pitch that is detected."""
SHORTEST_PAUSE: Seconds = 0.25
"""A shorter gap between words is part of speaking."""
_STEP = int(STEP * SAMPLE_RATE)
_FRAME = 3 * int(SAMPLE_RATE / LOWEST)
"""Samples of the sound around one value: three periods of the lowest voice, 50 ms."""
_STRETCH, _AROUND_PITCH = 500, 25
"""Values computed together (10 s), and those before and after that the path of the pitch goes through as well."""
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

    Raises:
        MissingExtraError: if librosa is not installed.
    """
    require_extra("Prosody", "prosody", "librosa")
    pitches, energies, speeches = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)], [np.zeros(0, bool)]
    done = 0
    for sound, count in _stretches(blocks):
        times = start + np.arange(done, done + count) * STEP
        speech = np.searchsorted(np.ravel(spans), times, side="right") % 2 == 1
        speeches.append(speech)
        energies.append(_energy(sound[_AROUND_PITCH * _STEP :], count))
        pitches.append(_pitch(sound, speech))
        done += count
    pitch, energy, speech = np.concatenate(pitches), np.concatenate(energies), np.concatenate(speeches)
    pauses = tuple((end, begin) for (_, end), (begin, _) in pairwise(spans) if begin - end >= SHORTEST_PAUSE)
    return Prosody(start, pitch, energy, _rate(pitch, energy, speech), pauses)


def _stretches(blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, int]]:
    """The sound of `_STRETCH` values at a time, the last of fewer, and their number.

    The frame of value 0 begins ``_AROUND_PITCH * _STEP`` samples into an array, and as much follows that of the last.
    """
    around = _AROUND_PITCH * _STEP + _FRAME // 2
    stretch = _STRETCH * _STEP
    silence = np.zeros(around, np.float32)
    held = silence
    for block in chain(blocks, [silence]):
        held = np.concatenate([held, np.nan_to_num(np.asarray(block, np.float32), nan=0.0, posinf=0.0, neginf=0.0)])
        while len(held) >= stretch + 2 * around:
            yield held[: stretch + 2 * around], _STRETCH
            held = held[stretch:]
    if len(held) > 2 * around:
        count = -(-(len(held) - 2 * around) // _STEP)
        yield np.pad(held, (0, _STEP)), count


def _energy(sound: np.ndarray, count: int) -> np.ndarray:
    """Level in dBFS, without DC, of the first ``count`` frames that begin at each `_STEP`; (count,) float32."""
    import librosa

    frames = librosa.util.frame(sound, frame_length=_FRAME, hop_length=_STEP)[:, :count]
    power = frames.var(axis=0, dtype=np.float64)
    level: np.ndarray = librosa.power_to_db(power, amin=10 ** (_FLOOR / 10), top_db=None).astype(np.float32)
    return level


def _pitch(sound: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """Pitch where ``speech`` (N,) is True and the voice has one, else NaN; (N,) float32. Sound as of `_stretches`."""
    import librosa

    pitch = np.full(len(speech), np.nan, np.float32)
    spoken = np.flatnonzero(speech)
    if len(spoken):
        first, last = spoken[0], spoken[-1] + 1
        wanted = sound[first * _STEP : (last + 2 * _AROUND_PITCH) * _STEP + _FRAME - _STEP]
        found, _, _ = librosa.pyin(
            wanted,
            fmin=LOWEST,
            fmax=HIGHEST,
            sr=SAMPLE_RATE,
            frame_length=_FRAME,
            hop_length=_STEP,
            center=False,
        )
        pitch[first:last] = found[_AROUND_PITCH : _AROUND_PITCH + last - first]
        pitch[~speech] = np.nan
    return pitch


def _rate(pitch: np.ndarray, energy: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """Syllables a second of speech around each moment, NaN where nobody speaks; all (N,)."""
    rate = np.full(len(pitch), np.nan, np.float32)
    if not speech.any():
        return rate
    loudest = np.percentile(energy[speech], 95)
    places = _peaks(np.where(speech, energy, _FLOOR), _DIP_DB)
    voiced = np.isfinite(pitch)
    syllables = np.zeros(len(pitch))
    for place in places:
        if speech[place] and energy[place] > loudest - _BELOW_LOUD_DB and voiced[max(0, place - 1) : place + 2].any():
            syllables[place] = 1
    around = 2 * round(_AROUND / STEP) + 1
    spoken = _sum_around(speech.astype(np.float64), around) * STEP
    counted = _sum_around(syllables, around)
    # Less than a quarter of a second gives no rate.
    rate[speech] = np.where(spoken > 0.25, counted / np.maximum(spoken, 0.25), np.nan)[speech]
    return rate


def _sum_around(values: np.ndarray, size: int) -> np.ndarray:
    """Sum of the ``size`` values, an odd number, around each; (N,) to (N,)."""
    return np.convolve(values, np.ones(size))[size // 2 : size // 2 + len(values)]


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
