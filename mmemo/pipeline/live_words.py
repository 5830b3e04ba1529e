"""Words of a live source: speech is cut at its pauses and recognized piece by piece."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.evidence import Evidence, Seconds
from mmemo.model import EmotionModel
from mmemo.notes import Note
from mmemo.pipeline.live_voice import LiveVoice
from mmemo.pipeline.windows import Span
from mmemo.speech.line import Line
from mmemo.speech.recognition import SURE, Transcriber
from mmemo.speech.transcript import Transcript, words_between

PAUSE: Seconds = 0.7
"""After which the speech before it is recognized; of a file, speech with pauses up to 1 s is recognized together."""
LONGEST: Seconds = 12.0
"""Speech without such a pause is cut at its last short one."""
SHOWN: Seconds = 30.0
"""For which an update has a line."""
COUNTS: Seconds = 6.0
"""After the end of a line, for which its scores are the current ones of the words."""


@dataclass(frozen=True, eq=False)
class SpeechPiece:
    """Speech to be recognized: its span, and its sound (N,)."""

    start: Seconds
    end: Seconds
    waveform: np.ndarray


class LiveWords:
    """The words of one live source. One thread takes pieces off the sound, another may recognize them.

    Args:
        model: its text encoder is used, if it has one.
        transcriber: recognizes speech.
        keep: keep all lines, not only the last ones.

    Attributes:
        encoding: of the last line, B = 1; None without.
        notes: on what was left out.
    """

    def __init__(self, model: EmotionModel, transcriber: Transcriber, *, keep: bool = False) -> None:
        self._model, self._transcriber, self._keep = model, transcriber, keep
        self._lock = Lock()
        self._taken: Seconds = -np.inf  # speech before this was taken
        self._decided: Seconds = -np.inf  # of what was taken, all that is not open is recognized
        self._open: list[Seconds] = []  # starts of pieces that are not recognized yet
        self._lines: tuple[Line, ...] = ()
        self._languages: dict[str, float] = defaultdict(float)  # seconds of speech, by their probability
        self.encoding: Encoding | None = None
        self.notes: dict[str, Note] = {}

    def take(self, voice: LiveVoice, *, last: bool = False) -> list[SpeechPiece]:
        """The pieces of speech that are complete; at the end, ``last``, all that is left."""
        spans: list[Span] = []
        if voice.activity is not None:
            spans = [(max(start, self._taken), end) for start, end in voice.activity.spans if end > self._taken]
        pieces: list[SpeechPiece] = []
        while (span := _complete(spans, voice.end, last=last)) is not None:
            pieces.append(SpeechPiece(*span, voice.sound.between(*span)))
            self._taken = span[1]
            spans = [one for one in spans if one[1] > self._taken]
        with self._lock:
            self._open += [piece.start for piece in pieces]
            self._decided = spans[0][0] if spans else voice.end
        return pieces

    def drop(self, piece: SpeechPiece) -> None:
        """Give a piece up, as there is no time for it."""
        with self._lock:
            self._open.remove(piece.start)

    def recognize(self, piece: SpeechPiece) -> bool:
        """Recognize the words of a piece; gives whether there are any."""
        transcript, notes = self._transcriber([(piece.start, piece.waveform)])
        usual, probability = self._usual()
        if usual and transcript.language not in (None, usual) and transcript.language_probability < SURE:
            # so short a piece is more probably in the language of those before it
            transcript, notes = self._transcriber([(piece.start, piece.waveform)], usual)
            transcript = replace(transcript, language_probability=probability)
        encoding = None
        if transcript.lines and "text" in self._model.modalities:
            first, last = transcript.lines[0].start, transcript.lines[-1].end
            words = words_between(transcript, first, last) if last > first else None
            encoding = self._model.encode("text", [Evidence(first, last, text=words)]) if words else None
        with self._lock:
            self._open.remove(piece.start)
            self.notes |= {note.code: note for note in notes}
            if not transcript.lines:
                return False
            if transcript.language is not None:
                self._languages[transcript.language] += transcript.language_probability * (piece.end - piece.start)
            since = -np.inf if self._keep else piece.start - 2 * SHOWN
            self._lines = (*(line for line in self._lines if line.end >= since), *transcript.lines)
            self.encoding = encoding if encoding is not None and encoding.present[0] else None
        return True

    def _usual(self) -> tuple[str | None, float]:
        """The language of most of the speech so far, and its share."""
        with self._lock:
            if not self._languages:
                return None, 1.0
            language, seconds = max(self._languages.items(), key=lambda item: item[1])
            return language, seconds / sum(self._languages.values())

    @property
    def decided(self) -> Seconds:
        """Seconds up to which all words are known."""
        with self._lock:
            return min([self._decided, *self._open])

    @property
    def transcript(self) -> Transcript | None:
        """The lines so far; None without any."""
        language, share = self._usual()
        with self._lock:
            lines = tuple(sorted(self._lines, key=lambda line: line.start))
        return Transcript(lines, "recognition", language, language_probability=share) if lines else None

    def recent(self, time: Seconds, past: Seconds) -> tuple[Line, ...]:
        """The lines that ended within some seconds before a time."""
        with self._lock:
            return tuple(line for line in self._lines if line.end >= time - past)


def _complete(spans: list[Span], now: Seconds, *, last: bool) -> Span | None:
    """The first stretch of speech that is followed by a pause, or is too long to wait for one."""
    if not spans:
        return None
    start, end = spans[0]
    for place, (_, past) in enumerate(spans):
        if place and past - start > LONGEST:
            return start, end
        end = past
        if (spans[place + 1][0] if place + 1 < len(spans) else now) - end >= PAUSE:
            return start, end
    return (start, end) if last or end - start > LONGEST else None
