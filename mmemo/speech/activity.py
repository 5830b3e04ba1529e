"""Voice activity detection: where in a sound are speech and vocal bursts (laughs, cries, screams, sighs), or why none.

Speech is detected by Silero's network for 16 kHz, rewritten for speed by recipes/speech_activity_onnx.py, at two speeds
on sound brought to one level; vocal bursts by a linear layer on the state of the same network's LSTM, which
recipes/vocal_bursts.py fits. See docs/models/speech_activity.md.

Source: Silero Team, "Silero VAD: pre-trained enterprise-grade voice activity detector", 2024, MIT license.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.checkpoint import sha256_of
from mmemo.errors import ArgumentError, WeightsError
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.onnx_network import OnnxNetwork, usable_threads

FOLDER = Path(__file__).parents[1] / "weights" / "speech_activity"
NETWORK, VOCAL_BURSTS = FOLDER / "model.onnx", FOLDER / "vocal_bursts.npy"
NETWORK_SHA256 = "d2d5b4a3e76fdbd0e181ba779d079363f679312c014c0cdd2c155e4b3c64b540"
VOCAL_BURSTS_SHA256 = "a6ad4df434fc14efb9ec4e796a27120624315e4ef3cdfaaca6e058bdbb453b29"

CHUNK, CONTEXT = 512, 64
"""Samples the detector judges at once, and those before them that it sees as well."""
CHUNK_SECONDS: Seconds = CHUNK / SAMPLE_RATE / 1.5
"""21.3 ms, the finer of the grids of the two detectors, see `_ScaledDetector`."""
BLOCK = 131_072
"""Samples computed together: 8.2 s."""
LIVE_BLOCK = 2048
"""Samples of live sound computed together: 128 ms."""
_REMEMBERED: Seconds = 60.0

SPEECH = 0.5, 0.35
"""Probability at which speech begins, and below which it ends (the detector's published defaults)."""
BURST = 0.98, 0.9
"""The same of a voice of any kind: see docs/models/speech_activity.md for how they were chosen."""
SHORTEST_SPEECH, SHORTEST_PAUSE, MARGIN = 0.25, 0.2, 0.06
"""Seconds: a shorter voice is dropped, shorter pauses are bridged, and each span is widened by the margin."""

SILENCE_DB = -90.0
"""dBFS: a recording below this holds nothing but the rounding of 16 bits."""
QUIET_DB = -75.0
"""dBFS: below this a recording is too quiet to tell speech from its noise."""
TARGET_DB, HIGHEST_GAIN_DB = -20.0, 55.0
"""The level the loud chunks are brought to before the detector, and the most that is added for it, in dB."""


@dataclass(frozen=True)
class SpeechActivity:
    """Where there are speech and vocal bursts in one recording.

    Attributes:
        spans: of speech: (start, end) in seconds from the first sample, in order, not overlapping.
        vocal_bursts: of voices without words outside the speech (laughs, cries, screams, sighs), in the same form.
        duration: seconds of sound that were given.
        peak_db: level of the loudest 32 ms in dBFS; minus infinity for digital silence or no sound at all.
        invalid: number of samples that were NaN or infinite; they count as silence.
    """

    spans: tuple[tuple[Seconds, Seconds], ...]
    vocal_bursts: tuple[tuple[Seconds, Seconds], ...]
    duration: Seconds
    peak_db: float
    invalid: int

    @property
    def voice(self) -> tuple[tuple[Seconds, Seconds], ...]:
        """Spans with a voice, speech and vocal bursts, in order, not overlapping."""
        return tuple(sorted(self.spans + self.vocal_bursts))

    def shifted(self, seconds: Seconds) -> SpeechActivity:
        """The same spans, later by some seconds."""
        spans, bursts = (
            tuple((start + seconds, end + seconds) for start, end in each) for each in (self.spans, self.vocal_bursts)
        )
        return replace(self, spans=spans, vocal_bursts=bursts)

    @property
    def absence(self) -> str | None:
        """Why there is no voice: "empty", "digital-silence", "too-quiet" or "no-speech"; None where there is one."""
        if self.voice:
            return None
        if self.duration == 0:
            return "empty"
        if self.peak_db < SILENCE_DB:
            return "digital-silence"
        return "too-quiet" if self.peak_db < QUIET_DB else "no-speech"


def speech_spans(blocks: Iterable[np.ndarray]) -> SpeechActivity:
    """Detect speech and vocal bursts in a stream of sound; memory does not grow with its length.

    Args:
        blocks: float32 mono arrays of shape (N,) at 16 kHz, in order, of any lengths.

    Raises:
        ArgumentError: if a block is not one-dimensional.
        WeightsError: if a file of weights is missing, or not the one that mmemo was released with.
    """
    with ThreadPoolExecutor(2) as pool:  # starts threads only when it is used
        detector = _SpeechDetector(_Gain, pool.map if usable_threads() > 1 else map)
        for sound in _regrouped(blocks):
            detector.add(sound)
    return detector.activity()


class SpeechDetector:
    """Detects speech and vocal bursts in sound as it comes; see `speech_spans`.

    Args:
        start: seconds of the first sample.
        block: samples that are judged together, a multiple of 1024. The shorter, the sooner it is known where somebody
            speaks, and the less is known of the level; with BLOCK it is what `speech_spans` detects.
        keep: keep the spans that ended over a minute ago, for `whole`.
    """

    def __init__(self, start: Seconds = 0.0, block: int = LIVE_BLOCK, *, keep: bool = False) -> None:
        self._detector = _SpeechDetector(_Gain if block == BLOCK else _RunningGain, map)
        self._start, self._block, self._keep = start, block, keep
        self._waiting: list[np.ndarray] = []
        self._past: list[tuple[Seconds, Seconds]] = []
        self._past_bursts: list[tuple[Seconds, Seconds]] = []

    @property
    def end(self) -> Seconds:
        """Seconds up to which the sound was judged."""
        return self._start + self._detector.samples / SAMPLE_RATE

    def add(self, sound: np.ndarray) -> None:
        """Judge the next samples (N,) float32; what does not fill a block waits for more."""
        self._waiting.append(sound)
        if sum(map(len, self._waiting)) < self._block:
            return
        held = np.concatenate(self._waiting)
        whole = len(held) - len(held) % self._block
        for first in range(0, whole, self._block):
            self._detector.add(held[first : first + self._block])
        self._waiting = [held[whole:]]
        self._forget(self._detector.samples / SAMPLE_RATE - _REMEMBERED)

    def finish(self) -> None:
        """Judge the samples that wait, at the end of the sound."""
        held = np.concatenate([np.zeros(0, np.float32), *self._waiting])
        self._waiting = []
        if len(held):
            self._detector.add(held)

    def activity(self) -> SpeechActivity:
        """What was detected in the last minute; a voice that goes on ends here."""
        return self._detector.activity().shifted(self._start)

    def whole(self) -> SpeechActivity:
        """What was detected in all of the sound, if it is kept."""
        recent = self._detector.activity()
        spans, bursts = (*self._past, *recent.spans), (*self._past_bursts, *recent.vocal_bursts)
        return replace(recent, spans=spans, vocal_bursts=bursts).shifted(self._start)

    def _forget(self, before: Seconds) -> None:
        if not self._detector.has_spans(before - MARGIN):
            return
        if self._keep:
            activity = self._detector.activity()
            self._past += [span for span in activity.spans if span[1] <= before]
            self._past_bursts += [span for span in activity.vocal_bursts if span[1] <= before]
        self._detector.forget(before - MARGIN)


class _SpeechDetector:
    """The detectors of speech and of vocal bursts on one sound, block by block.

    Args:
        gain: makes what brings a sound to the level that they need.
        map_both: runs both speeds of a block, one after the other or together.
    """

    def __init__(self, gain: Callable[[], _Gain], map_both: Callable[..., Iterable[Any]]) -> None:
        self._detectors, self._map = (_ScaledDetector(gain()), _ScaledDetector(gain())), map_both
        self._speech, self._bursts = _Spans(*SPEECH), _Spans(*BURST)
        self.samples = self._invalid = 0
        self._peak = 0.0

    def add(self, sound: np.ndarray) -> None:
        """The next block (N,) float32: of a multiple of 1024 samples, but for the last one."""
        valid = np.isfinite(sound)
        self.samples, self._invalid = self.samples + len(sound), self._invalid + len(sound) - int(valid.sum())
        sound = np.where(valid, sound, 0)
        both = self._map(_ScaledDetector.__call__, self._detectors, (sound, _slowed(sound)))
        (level, plain, burst), (_, slow, _) = both
        self._peak = max(self._peak, float(level.max()))
        # Two chunks at full speed last as long as three slowed ones: (0, 0, 1), (2, 2, 3) and so on.
        self._speech.add(np.maximum(slow, np.repeat(plain, 3)[::2][: len(slow)]))
        self._bursts.add(np.repeat(burst, 3)[::2][: len(slow)])

    def activity(self) -> SpeechActivity:
        """What was detected so far."""
        duration = self.samples / SAMPLE_RATE
        peak_db = 20 * float(np.log10(self._peak)) if self._peak > 0 else -np.inf
        spoken = self._speech.until(duration)
        bursts = _outside(self._bursts.until(duration), spoken)
        return SpeechActivity(spoken, bursts, duration, peak_db, self._invalid)

    def has_spans(self, before: Seconds) -> bool:
        """Whether a span ended before a time."""
        return any(each.spans and each.spans[0][1] <= before for each in (self._speech, self._bursts))

    def forget(self, before: Seconds) -> None:
        """Forget the spans that ended before a time."""
        for spans in (self._speech, self._bursts):
            spans.spans = [span for span in spans.spans if span[1] > before]


def speech_mask(spans: Sequence[tuple[Seconds, Seconds]], start: Seconds, samples: int) -> np.ndarray:
    """(samples,) bool, True within the spans, for a stretch of sound that begins at ``start`` seconds."""
    mask = np.zeros(samples, bool)
    for begin, end in spans:
        first, last = (round((time - start) * SAMPLE_RATE) for time in (begin, end))
        mask[max(0, first) : max(0, last)] = True
    return mask


def _outside(
    spans: Iterable[tuple[Seconds, Seconds]], covered: Sequence[tuple[Seconds, Seconds]]
) -> tuple[tuple[Seconds, Seconds], ...]:
    """The parts of the spans between those that are covered, without the short ones."""
    ends = [0.0, *(end for _, end in covered)]
    starts = [*(start for start, _ in covered), math.inf]
    parts = (
        (max(start, free), min(end, until)) for start, end in spans for free, until in zip(ends, starts, strict=True)
    )
    return tuple((start, end) for start, end in parts if end - start >= SHORTEST_SPEECH)


def _amplitude(level_db: float) -> float:
    return float(10 ** (level_db / 20))


def _regrouped(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same sound in arrays of BLOCK samples, the last one shorter."""
    waiting: list[np.ndarray] = []
    held = 0
    for block in blocks:
        block = np.asarray(block, np.float32)
        if block.ndim != 1:
            raise ArgumentError(f"speech_spans: expected mono blocks of shape (N,), got {block.shape}.")
        waiting.append(block)
        held += len(block)
        if held >= BLOCK:
            joined = np.concatenate(waiting)
            whole = held - held % BLOCK
            for first in range(0, whole, BLOCK):
                yield joined[first : first + BLOCK]
            waiting, held = [joined[whole:]], held - whole
    if held:
        yield np.concatenate(waiting)


def _slowed(sound: np.ndarray) -> np.ndarray:
    """The sound at two thirds of its speed, by linear interpolation; (N,) to (3 N / 2,)."""
    even = np.append(sound, np.zeros(len(sound) % 2, np.float32))
    first, second = even[::2], even[1::2]
    third = np.append(first[1:], second[-1:])
    slowed = np.empty((len(first), 3), np.float32)
    slowed[:, 0], slowed[:, 1], slowed[:, 2] = first, (first + 2 * second) / 3, (2 * second + third) / 3
    flat: np.ndarray = slowed.reshape(-1)
    return flat


def _chunks(sound: np.ndarray) -> np.ndarray:
    """(C, CHUNK) float32 without DC, which carries no sound and would count as loudness; the last value fills up."""
    chunks = np.full((-(-len(sound) // CHUNK), CHUNK), sound[-1], np.float32)
    chunks.reshape(-1)[: len(sound)] = sound
    chunks -= chunks.mean(axis=1, keepdims=True)
    return chunks


class _ScaledDetector:
    """A detector for a sound at one speed, brought to the level that it needs.

    Two are used, one at full speed and one at two thirds. The detector misses shouts and screams, because few
    voices in its training data were so high; seven semitones lower it detects them. Single words it detects better at
    their own speed. Neither takes noise for speech.
    """

    def __init__(self, gain: _Gain) -> None:
        self.detector, self.gain = _Detector(), gain

    def __call__(self, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Level (root mean square) and probabilities of speech and of any voice of each chunk of a sound; each (C,)."""
        chunks = _chunks(sound)
        level: np.ndarray = np.sqrt(np.mean(np.square(chunks), axis=1, dtype=np.float64))
        if level.max() < _amplitude(QUIET_DB):
            return level, 0 * level, 0 * level
        speech, states = self.detector(chunks * self.gain(level)[:, None])
        *weight, bias = _burst_layer()
        return level, speech, 1 / (1 + np.exp(-(states @ weight + bias)))


class _Gain:
    """Brings the loud chunks of a recording near TARGET_DB, without knowing what is still to come.

    The detector misses speech far below the level it learned (RAVDESS lies near -40 dBFS). The reference is
    the 95th percentile of the levels of a block, remembered with a half-life of one block, so that a pause
    after speech is not turned up to the level of speech.
    """

    def __init__(self) -> None:
        self.reference = 0.0

    def __call__(self, level: np.ndarray) -> np.ndarray:
        """Gain of each chunk from the levels of a block, both (C,)."""
        before = self.reference
        self.reference = self._loudness(level)
        reference = np.full(len(level), self.reference)
        if before:
            # From the old gain to the new one within the first 16 chunks: a step would itself sound like an
            # onset.
            ramp = np.linspace(0, 1, min(16, len(level)), endpoint=False)
            reference[: len(ramp)] = before * (1 - ramp) + self.reference * ramp
        gain = _amplitude(TARGET_DB) / np.maximum(reference, 1e-9)
        bounded: np.ndarray = np.clip(gain, 0.05, _amplitude(HIGHEST_GAIN_DB)).astype(np.float32)
        return bounded

    def _loudness(self, level: np.ndarray) -> float:
        return max(float(np.quantile(level, 0.95)), 0.5 * self.reference)


class _RunningGain(_Gain):
    """The same for blocks that are much shorter: the percentile is that of the last BLOCK samples."""

    def __init__(self) -> None:
        super().__init__()
        self._recent: deque[float] = deque(maxlen=BLOCK // CHUNK)

    def _loudness(self, level: np.ndarray) -> float:
        self._recent.extend(level.tolist())
        faded = self.reference * math.pow(0.5, len(level) * CHUNK / BLOCK)
        return max(float(np.quantile(np.array(self._recent), 0.95)), faded)


@cache
def _network() -> OnnxNetwork:
    """The network, loaded once in each process; it keeps no state between calls and is shared by threads."""
    return OnnxNetwork(_checked(NETWORK, NETWORK_SHA256), threads=1)  # each run in the thread that calls it


@cache
def _burst_layer() -> np.ndarray:
    """(129,) float32: the weights of the LSTM's 128 units, and the bias, of the probability of a voice."""
    layer: np.ndarray = np.load(_checked(VOCAL_BURSTS, VOCAL_BURSTS_SHA256))
    return layer


def _checked(file: Path, expected: str) -> Path:
    """The file, if it has this SHA-256."""
    try:
        sha256 = sha256_of(file)
    except OSError as error:
        raise WeightsError(
            f"The network for speech activity can't be read from {file}: {error.strerror}. "
            "Reinstall with: pip install --force-reinstall mmemo"
        ) from error
    if sha256 != expected:
        raise WeightsError(
            f"{file} is not the network for speech activity that this version of mmemo was released with. "
            "Reinstall with: pip install --force-reinstall mmemo"
        )
    return file


def network_states(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the layer for vocal bursts is fitted on: see recipes/vocal_bursts.py.

    Args:
        sound: (N,) float32 mono at 16 kHz.

    Returns:
        level (C,) float64, root mean square of each chunk of 32 ms, and the network's state (C, 128) float32 after it.
    """
    gain, detector, levels, states = _Gain(), _Detector(), [], []
    for block in _regrouped([sound]):
        chunks = _chunks(block)
        levels.append(np.sqrt(np.mean(np.square(chunks), axis=1, dtype=np.float64)))
        states.append(detector(chunks * gain(levels[-1])[:, None])[1])
    return np.concatenate(levels), np.concatenate(states)


class _Detector:
    """The network on one stream of sound, whose state it keeps from block to block."""

    def __init__(self) -> None:
        self.network = _network()
        self.context = np.zeros(CONTEXT, np.float32)
        self.hidden = self.cell = np.zeros((1, 1, 128), np.float32)

    def __call__(self, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability of speech (C,) and state of the LSTM (C, 128) of the next C chunks, (C, CHUNK) float32."""
        before = np.concatenate([self.context[None], chunks[:-1, -CONTEXT:]])
        self.context = chunks[-1, -CONTEXT:].copy()
        sound = np.concatenate([before, chunks], axis=1)
        probabilities, self.hidden, self.cell, states = self.network(sound, self.hidden, self.cell)
        return probabilities, states


class _Spans:
    """Turns probabilities into spans with a hysteresis, as they come.

    Args:
        enter: probability at which a span begins; ``leave``: below which it ends.
    """

    def __init__(self, enter: float, leave: float) -> None:
        self.enter, self.leave = enter, leave
        self.spans: list[tuple[Seconds, Seconds]] = []
        self.chunk = 0
        self.start: Seconds | None = None

    def add(self, probabilities: np.ndarray) -> None:
        for probability in probabilities.tolist():
            time = self.chunk * CHUNK_SECONDS
            if self.start is None and probability >= self.enter:
                self.start = time
            elif self.start is not None and probability < self.leave:
                self.spans = _joined_to(self.spans, self.start, time)
                self.start = None
            self.chunk += 1

    def until(self, duration: Seconds) -> tuple[tuple[Seconds, Seconds], ...]:
        """The spans so far; one that goes on ends here."""
        spans = list(self.spans)
        if self.start is not None:
            spans = _joined_to(spans, self.start, duration)
        return tuple(
            (max(0.0, start - MARGIN), min(duration, end + MARGIN))
            for start, end in spans
            if min(duration, end) - start >= SHORTEST_SPEECH
        )


def _joined_to(spans: list[tuple[Seconds, Seconds]], start: Seconds, end: Seconds) -> list[tuple[Seconds, Seconds]]:
    """The spans and one more, joined to the last one if the pause between them is short."""
    if spans and start - spans[-1][1] < SHORTEST_PAUSE:
        start = spans.pop()[0]
    return [*spans, (start, end)]
