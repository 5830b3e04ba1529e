"""Who speaks: the person whose mouth moves with the sound.

How far the lips are open, and how fast they move, are each correlated with the level of the sound over a few
seconds; their mean is the agreement of mouth and sound. Source of the idea: Cutler & Davis, "Look who's talking:
speaker detection using video and audio correlation", ICME 2000.

Thresholds were chosen on nine talking clips (CREMA-D and RAVDESS, two people), their speech without the pauses before
and after it, put one after another in many orders, against the mouths of twelve MEAD clips (three people) under the
same sound. Over 2, 4 and 6 s the median agreement of the true mouth was .52, .46 and .45, and 99% of the others stayed
below .54, .42 and .36: about 3.3 by the root of the number of frames. Over 6 s the true mouth was ahead of the other
one by a tenth in all draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmemo.evidence import SAMPLE_RATE, Evidence, FaceEvidence, Seconds
from mmemo.faces.landmarks import LOWER_LIP, UPPER_LIP, eye_centers

Span = tuple[Seconds, Seconds]
CONTEXT: Seconds = 2.0
"""Looked at before and after a window, so a window of two seconds is judged by six."""
LEAST, CHANCE, LEAD = 0.33, 3.3, 0.1
"""Agreement from which a mouth is held to speak: LEAST, or CHANCE by the root of the number of frames if that is more;
and by how much it must be ahead of every other mouth in view."""
TURN: Seconds = 4.0
"""So near must a window be in which it is sure who speaks, to decide another one."""
FEWEST = 24
"""Frames: with fewer nobody is held to speak."""
LAGS = np.arange(-3, 4) / 15
"""Seconds by which sound may come after the picture, or before it."""
_AROUND: Seconds = 0.066
"""Of sound that is measured at a time."""
_RANGE = (-40.0, 10.0)
"""Decibels relative to the loud parts nearby; fainter is silence."""
_LOUD = 95


@dataclass
class _Mouth:
    """One person's mouth by time: how far it is open, and the power of the sound at each lag."""

    moments: dict[Seconds, tuple[float, float, np.ndarray]] = field(default_factory=dict)


class SpeakerSearch:
    """Gathers mouths and sound window by window, and tells at the end who speaks in which window."""

    def __init__(self) -> None:
        self._mouths: dict[int, _Mouth] = {}
        self._seen: dict[Span, list[int]] = {}

    def see(self, evidence: Evidence) -> None:
        """Take in one person of one window; without a face, a voice, or time between frames there is nothing to see."""
        face, voice = evidence.face, evidence.voice
        if face is None or voice is None:
            return
        self._seen.setdefault((evidence.start, evidence.end), []).append(face.person)
        mouth = self._mouths.setdefault(face.person, _Mouth())
        power = _power(voice.waveform, face.times[:, None] + LAGS - evidence.start)
        middle = (evidence.start + evidence.end) / 2
        for time, gap, sound in zip(face.times.tolist(), opening(face), power, strict=True):
            # Windows overlap: the one whose middle is nearest has sound on both sides.
            known, far = mouth.moments.get(time), abs(time - middle)
            if known is None or far < known[0]:
                mouth.moments[time] = (far, float(gap), sound)

    def speakers(self) -> dict[Span, int]:
        """Who speaks in each window; a window in which nobody in view does, or it can't be told, is not there.

        A window whose best mouth is ahead of the others but too little sure goes to that person, if the nearest window
        that is sure is theirs: people speak for longer than a window.
        """
        tracks = {person: _Track.of(mouth.moments) for person, mouth in self._mouths.items()}
        sure: dict[Span, int] = {}
        ahead: dict[Span, int] = {}
        for span, people in self._seen.items():
            judged = sorted(((*tracks[person].agreement(span), person) for person in people), reverse=True)
            best, least, person = judged[0]
            if best - max((score for score, _, _ in judged[1:]), default=0.0) >= LEAD:
                ahead[span] = person
                if best >= least:
                    sure[span] = person
        found = dict(sure)
        for span, person in ahead.items() if sure else ():
            nearest = min(sure, key=lambda other: abs(other[0] - span[0]))
            if abs(nearest[0] - span[0]) <= TURN and sure[nearest] == person:
                found[span] = person
        return found

    def heard_by(self, person: int) -> Sequence[Span]:
        """The windows with a voice in which a person is in view."""
        return [span for span, people in self._seen.items() if person in people]


@dataclass(frozen=True, eq=False)
class _Track:
    """Of one person: times (N,), how far the mouth is open and how fast it moves (N,), power of the sound (N, lags)."""

    times: np.ndarray
    gaps: np.ndarray
    moves: np.ndarray
    power: np.ndarray

    @classmethod
    def of(cls, moments: Mapping[Seconds, tuple[float, float, np.ndarray]]) -> _Track:
        times = np.array(sorted(moments))
        gaps = np.array([moments[time][1] for time in times])
        power = np.stack([moments[time][2] for time in times])
        if len(times) < 2:
            return cls(times, gaps, np.zeros(len(times)), power)
        speed = np.abs(np.gradient(gaps, times))
        return cls(times, gaps, np.convolve(np.pad(speed, 1, mode="edge"), np.ones(3) / 3, "valid"), power)

    def agreement(self, span: Span) -> tuple[float, float]:
        """How far mouth and sound agree around a window, each at its best lag, and how far they must."""
        near = (self.times >= span[0] - CONTEXT) & (self.times < span[1] + CONTEXT)
        if near.sum() < FEWEST:
            return 0.0, np.inf
        power = self.power[near]
        loud = np.nanpercentile(power, _LOUD)
        with np.errstate(divide="ignore"):
            level = np.clip(10 * np.log10(power / max(loud, 1e-12)), *_RANGE)
        parts = [max(correlation(one[near], sound) for sound in level.T) for one in (self.gaps, self.moves)]
        return (parts[0] + parts[1]) / 2, max(LEAST, CHANCE / np.sqrt(near.sum()))


def opening(face: FaceEvidence) -> np.ndarray:
    """(N,) distance of the inner lips as a share of the distance between the eyes."""
    right, left = np.moveaxis(eye_centers(face.landmarks), 1, 0)
    lips = np.linalg.norm(face.landmarks[:, UPPER_LIP] - face.landmarks[:, LOWER_LIP], axis=1)
    return np.asarray(lips / np.maximum(np.linalg.norm(right - left, axis=1), 1e-6))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's, over what both know; 0 where one does not vary, or less than half is known."""
    known = np.isfinite(first) & np.isfinite(second)
    if 2 * known.sum() < len(known):
        return 0.0
    one, other = first[known] - first[known].mean(), second[known] - second[known].mean()
    spread = np.sqrt(np.square(one).sum() * np.square(other).sum())
    return float((one * other).sum() / spread) if spread > 1e-9 else 0.0


def _power(waveform: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mean square of the sound around times in seconds from its first sample; NaN beyond its ends."""
    total = np.concatenate([[0.0], np.cumsum(np.square(np.nan_to_num(waveform.astype(np.float64))))])
    half = round(_AROUND * SAMPLE_RATE / 2)
    middle = np.round(times * SAMPLE_RATE).astype(int)
    inside = (middle >= 0) & (middle <= len(waveform))
    low, high = np.clip(middle - half, 0, len(waveform)), np.clip(middle + half, 0, len(waveform))
    power = (total[high] - total[low]) / np.maximum(high - low, 1)
    return np.asarray(np.where(inside & (high > low), power, np.nan))
