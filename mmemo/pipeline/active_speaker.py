"""Active speaker detection: the speaker is the person whose mouth moves with the sound.

How far the lips are open, and how fast they move, are each correlated with the level of the sound over a few
seconds; the mean of both is the agreement of mouth and sound. Source of the idea: Cutler & Davis, "Look who's talking:
speaker detection using video and audio correlation", ICME 2000.

Thresholds were chosen on nine talking clips (CREMA-D and RAVDESS, two people), their speech without the pauses before
and after it, put one after another in many orders, against the mouths of twelve MEAD clips (three people) under the
same sound. Over 2, 4 and 6 s the median agreement of the true mouth was .52, .46 and .45, and 99% of the others stayed
below .54, .42 and .36: about 3.3 by the root of the number of frames. Over 6 s the true mouth was ahead of the other
one by a tenth in all draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from mmemo.evidence import SAMPLE_RATE, Evidence, FaceEvidence, Seconds
from mmemo.faces.landmarks import LOWER_LIP, UPPER_LIP, eye_centers
from mmemo.notes import Note
from mmemo.pipeline.windows import Span

CONTEXT: Seconds = 2.0
"""Used before and after a window, so that a window of two seconds is decided by six."""
MIN_AGREEMENT, CHANCE, MARGIN = 0.33, 3.3, 0.1
"""Agreement from which a person counts as speaking: MIN_AGREEMENT, or CHANCE by the root of the number of frames if
that is more; and the margin over every other mouth in view."""
TURN: Seconds = 4.0
"""A window whose speaker is certain decides uncertain ones up to so far away."""
MIN_FRAMES = 24
"""With fewer nobody counts as speaking."""
UNSEEN = 5
"""Windows from which a clip in which no visible mouth ever moves with the sound has a note."""
SHOWN = 5
"""Spans that a note names; more would not be read."""
LAGS = np.arange(-3, 4) / 15
"""Seconds by which the sound may be late, or early."""
_FRAME: Seconds = 0.066
"""Length of sound whose power is measured."""
_RANGE = (-40.0, 10.0)
"""Decibels relative to the loud parts nearby; fainter is silence."""
_LOUD = 95
"""Percentile of the power that is loud."""


@dataclass
class _Mouth:
    """One person's mouth by time: how far it is open, and the power of the sound at each lag."""

    moments: dict[Seconds, tuple[float, float, np.ndarray]] = field(default_factory=dict)


_SEVERAL = "the mouths of several move with the sound"
_NONE = "no visible mouth moves with it"
_FEW = "too few frames show a mouth"


@dataclass(frozen=True)
class Decision:
    """Who speaks in the windows with a voice and a face.

    Attributes:
        speakers: the speaker of each window where that is known.
        unknown: why it is not known, in each other window.
        crowded: windows with several people in view.
    """

    speakers: Mapping[Span, int]
    unknown: Mapping[Span, str]
    crowded: Set[Span]

    def extended(self, others: Mapping[Span, int]) -> Decision:
        """The same with the speakers of windows in which the faces alone don't tell."""
        added = {span: person for span, person in others.items() if span in self.unknown}
        unknown = {span: reason for span, reason in self.unknown.items() if span not in added}
        return Decision({**added, **self.speakers}, unknown, self.crowded)

    def note(self) -> Note | None:
        """A note where the voice is credited to nobody though people are in view, with the times; None otherwise."""
        reasons = list(self.unknown.values())
        if not self.speakers and _SEVERAL not in reasons and reasons.count(_NONE) >= UNSEEN:
            message = (
                f"In none of {reasons.count(_NONE)} windows with a face and a voice does a visible mouth move with the "
                "sound: who speaks seems to be out of view. Fused scores mix the face with another person's voice."
            )
            return Note("unseen-speaker", message)
        undecided = {span: reason for span, reason in self.unknown.items() if span in self.crowded}
        if not undecided:
            return None
        why = "; ".join(
            f"{reason} ({_times([span for span in undecided if undecided[span] == reason])})"
            for reason in dict.fromkeys(undecided.values())
        )
        message = (
            f"In {len(undecided)} of {len(self.crowded)} windows with a voice and several people in view it is not "
            f"known who speaks, so voice and words count for none of them there: {why}."
        )
        return Note("unknown-speaker", message)


def _times(spans: Sequence[Span]) -> str:
    """Spans that overlap as one, such as "1.0 to 4.0, 7.0 to 9.0 s"; the first few of many."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            start = joined.pop()[0]
        joined.append((start, end))
    more = " …" if len(joined) > SHOWN else ""
    return ", ".join(f"{start:.1f} to {end:.1f}" for start, end in joined[:SHOWN]) + f"{more} s"


class ActiveSpeakerDetector:
    """Collects mouths and sound window by window, and decides at the end who speaks in which window."""

    def __init__(self) -> None:
        self._mouths: dict[int, _Mouth] = {}
        self._present: dict[Span, list[int]] = {}

    def add(self, evidence: Evidence) -> None:
        """Add one person of one window; a window without a face or a voice is passed over."""
        face, voice = evidence.face, evidence.voice
        if face is None or voice is None:
            return
        self._present.setdefault((evidence.start, evidence.end), []).append(face.person)
        mouth = self._mouths.setdefault(face.person, _Mouth())
        power = _power(voice.waveform, face.times[:, None] + LAGS - evidence.start)
        middle = (evidence.start + evidence.end) / 2
        for time, gap, sound in zip(face.times.tolist(), opening(face), power, strict=True):
            # Windows overlap: the one whose middle is nearest has sound on both sides.
            before, distance = mouth.moments.get(time), abs(time - middle)
            if before is None or distance < before[0]:
                mouth.moments[time] = (distance, float(gap), sound)

    def decide(self) -> Decision:
        """Who speaks in which window, and why it is not known in the others.

        A window whose best mouth has the margin but too little agreement goes to that person if the nearest certain
        window is theirs: people speak for longer than a window.
        """
        tracks = {person: _Track.of(mouth.moments) for person, mouth in self._mouths.items()}
        certain: dict[Span, int] = {}
        ahead: dict[Span, int] = {}
        unknown: dict[Span, str] = {}
        for span, people in self._present.items():
            ranked = sorted(((*tracks[person].agreement(span), person) for person in people), reverse=True)
            best, least, person = ranked[0]
            unknown[span] = _SEVERAL if best >= least else _NONE if np.isfinite(least) else _FEW
            if best - max((score for score, _, _ in ranked[1:]), default=0.0) >= MARGIN:
                ahead[span] = person
                if best >= least:
                    certain[span] = person
        speakers = dict(certain)
        for span, person in ahead.items() if certain else ():
            nearest = min(certain, key=lambda other: abs(other[0] - span[0]))
            if abs(nearest[0] - span[0]) <= TURN and certain[nearest] == person:
                speakers[span] = person
        return Decision(
            speakers,
            {span: reason for span, reason in unknown.items() if span not in speakers},
            {span for span, people in self._present.items() if len(people) > 1},
        )

    def voiced(self, person: int) -> Sequence[Span]:
        """The windows with a voice in which a person is in view."""
        return [span for span, people in self._present.items() if person in people]


@dataclass(frozen=True, eq=False)
class _Track:
    """One person's mouth over a clip: times (N,), opening and its speed (N,), power of the sound (N, lags)."""

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
        """The agreement of mouth and sound around a window, each at its best lag, and the least that counts."""
        near = (self.times >= span[0] - CONTEXT) & (self.times < span[1] + CONTEXT)
        if near.sum() < MIN_FRAMES:
            return 0.0, np.inf
        power = self.power[near]
        loud = np.nanpercentile(power, _LOUD)
        with np.errstate(divide="ignore"):
            level = np.clip(10 * np.log10(power / max(loud, 1e-12)), *_RANGE)
        parts = [max(correlation(one[near], sound) for sound in level.T) for one in (self.gaps, self.moves)]
        return (parts[0] + parts[1]) / 2, max(MIN_AGREEMENT, CHANCE / np.sqrt(near.sum()))


def opening(face: FaceEvidence) -> np.ndarray:
    """(N,) distance of the inner lips as a share of the distance between the eyes."""
    right, left = np.moveaxis(eye_centers(face.landmarks), 1, 0)
    lips = np.linalg.norm(face.landmarks[:, UPPER_LIP] - face.landmarks[:, LOWER_LIP], axis=1)
    return np.asarray(lips / np.maximum(np.linalg.norm(right - left, axis=1), 1e-6))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's, over the finite pairs; 0 where one does not vary, or less than half are finite."""
    known = np.isfinite(first) & np.isfinite(second)
    if 2 * known.sum() < len(known):
        return 0.0
    one, other = first[known] - first[known].mean(), second[known] - second[known].mean()
    spread = np.sqrt(np.square(one).sum() * np.square(other).sum())
    return float((one * other).sum() / spread) if spread > 1e-9 else 0.0


def _power(waveform: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mean square of the sound around times in seconds from its first sample; NaN beyond its ends."""
    total = np.concatenate([[0.0], np.cumsum(np.square(np.nan_to_num(waveform.astype(np.float64))))])
    half = round(_FRAME * SAMPLE_RATE / 2)
    middle = np.round(times * SAMPLE_RATE).astype(int)
    inside = (middle >= 0) & (middle <= len(waveform))
    low, high = np.clip(middle - half, 0, len(waveform)), np.clip(middle + half, 0, len(waveform))
    power = (total[high] - total[low]) / np.maximum(high - low, 1)
    return np.asarray(np.where(inside & (high > low), power, np.nan))
