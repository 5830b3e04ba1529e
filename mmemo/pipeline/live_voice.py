"""Sound of a live source: its last minute, where somebody speaks in it, and the scores of the voice now."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import Lock

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.evidence import SAMPLE_RATE, Evidence, Seconds, VoiceEvidence
from mmemo.model import EmotionModel
from mmemo.pipeline.windows import Grid, Span, voice_windows
from mmemo.speech.activity import SpeechActivity, SpeechDetector

STRIDE: Seconds = 0.5
"""Between scores of the voice: a window of two seconds takes a tenth of a second on a slow core."""
KEPT: Seconds = 60.0
"""Of sound, for windows and words that are not done yet; 4 MB."""
LONGEST_GAP: Seconds = 10.0
"""A longer one is not filled with silence: what was before it is forgotten."""
_LOOSE: Seconds = 0.3
"""By which the time of a block may differ from the samples' count: clocks jitter, and sound cards drift."""


class SoundBuffer:
    """The latest sound of a source, by time. It may be read by other threads than the one that adds to it.

    Args:
        start: seconds of the first sample.
    """

    def __init__(self, start: Seconds = 0.0) -> None:
        self._lock, self._blocks = Lock(), deque[np.ndarray]()
        self._first = self._past = round(start * SAMPLE_RATE)  # places of the first sample, and after the last one

    @property
    def end(self) -> Seconds:
        """Seconds after the last sample."""
        return self._past / SAMPLE_RATE

    def add(self, samples: np.ndarray) -> None:
        """The next samples (N,) float32; what is older than `KEPT` goes."""
        with self._lock:
            self._blocks.append(samples)
            self._past += len(samples)
            while self._past - self._first - len(self._blocks[0]) > KEPT * SAMPLE_RATE:
                self._first += len(self._blocks.popleft())

    def between(self, start: Seconds, end: Seconds) -> np.ndarray:
        """(N,) from a time to another, silence where it has begun later; shorter where it has not come so far."""
        begin, past = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        with self._lock:
            place, pieces = self._first, []
            for block in self._blocks:
                if place + len(block) > begin and place < past:
                    pieces.append(block[max(0, begin - place) : past - place])
                place += len(block)
            missing = min(self._first, past) - begin
        if missing > 0:
            pieces.insert(0, np.zeros(missing, np.float32))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


class LiveVoice:
    """The voice of one live source, block by block. One thread adds to it; others may read its attributes.

    Args:
        model: its voice encoder is used, if it has one.
        window: seconds that the scores are of.
        stride: seconds between scores.

    Attributes:
        sound: the last minute.
        activity: where there is a voice in the last minute; None before the first sound.
        end: seconds up to which the sound was judged.
        encoding: of the voice, B = 1, over the last window; None where there was none.
        coverage: share of the last window with a voice.
        speaking: whether somebody speaks, or laughs or cries, at the end.
    """

    def __init__(self, model: EmotionModel, window: Seconds, stride: Seconds = STRIDE) -> None:
        self._model, self._window, self._stride = model, window, stride
        self._detector: SpeechDetector | None = None
        self._start = self._scored = 0.0
        self.sound = SoundBuffer()
        self.activity: SpeechActivity | None = None
        self.encoding: Encoding | None = None
        self.coverage = 0.0
        self.speaking = False

    @property
    def end(self) -> Seconds:
        return -np.inf if self._detector is None else self._detector.end

    def update(self, samples: np.ndarray, time: Seconds) -> bool:
        """Take in the next samples (N,) float32, 16 kHz mono, the first of them at ``time``.

        Returns:
            Whether the scores are new.
        """
        gap = time - self.sound.end
        if self._detector is None or gap > LONGEST_GAP:
            self._begin(time)
        elif gap > _LOOSE:
            self._add(np.zeros(round(gap * SAMPLE_RATE), np.float32))
        self._add(samples)
        if self.end - self._scored < self._stride:
            return False
        self._score()
        return True

    def finish(self) -> None:
        """Judge what waits, at the end of the sound."""
        if self._detector is not None:
            self._detector.finish()
            self._detected()

    def _begin(self, time: Seconds) -> None:
        self.sound, self._detector = SoundBuffer(time), SpeechDetector(time)
        self._start = self._scored = time

    def _add(self, samples: np.ndarray) -> None:
        assert self._detector is not None
        self.sound.add(samples)
        self._detector.add(samples)
        self._detected()

    def _detected(self) -> None:
        assert self._detector is not None
        self.activity = self._detector.activity()
        self.speaking = bool(self.activity.voice) and self.activity.voice[-1][1] >= self.end - 1e-6

    def _score(self) -> None:
        assert self.activity is not None
        end = self._scored = self.end
        start = max(end - self._window, self._start)
        voice = voice_of(self.sound.between(start, end), self.activity.voice, start, end)
        self.encoding, self.coverage = None, 0.0 if voice is None else voice.coverage
        if voice is not None and "voice" in self._model.modalities:
            encoding = self._model.encode("voice", [Evidence(start, end, voice=voice)])
            self.encoding = encoding if encoding.present[0] else None


def voice_of(waveform: np.ndarray, spans: Sequence[Span], start: Seconds, end: Seconds) -> VoiceEvidence | None:
    """The voice of one window, of its sound and the spans with a voice; None where there is none."""
    grid = Grid(end - start, end - start, end - start, start)
    return next(voice_windows([waveform], spans, grid))
