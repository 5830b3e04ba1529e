"""What is kept of a live session: its windows are scored as those of a file are, as soon as each is complete."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from threading import Thread

import numpy as np

from mmemo.evidence import SAMPLE_RATE, Evidence, Seconds
from mmemo.notes import Note
from mmemo.pipeline.analyzer import Analyzer
from mmemo.pipeline.extract import NO_VOICE, Extraction, SightingLog, TrackedFaces
from mmemo.pipeline.live_voice import LiveVoice, voice_of
from mmemo.pipeline.live_words import LiveWords
from mmemo.pipeline.score import ClipScores, score
from mmemo.pipeline.windows import Grid, Sighting, Span, face_windows
from mmemo.result import EmotionResult
from mmemo.speech.activity import BLOCK, SpeechDetector
from mmemo.speech.transcript import words_between

SETTLED: Seconds = 0.5
"""After which a window's speech activity changes no more: short pauses are bridged, short voices dropped."""
BLOCKS: Seconds = BLOCK / SAMPLE_RATE
"""Sound is judged in blocks as long as those of a file, so that the result is that of a file."""
LATE: Seconds = 20.0
"""So long a window waits for a stream that has stopped, and for its words."""
WAITING = 32
"""Windows that may wait to be scored, each with its pictures: a megabyte a person."""


@dataclass(frozen=True, eq=False)
class _Window:
    """A window whose voice is not known yet.

    Attributes:
        people: faces and words.
        waveform: its sound; None without any.
        fresh: the sound that was not judged yet and is needed to judge this.
        last: whether no sound will come after that.
    """

    people: tuple[Evidence, ...]
    waveform: np.ndarray | None
    fresh: np.ndarray
    last: bool


class LiveRecording:
    """The windows of one live session, and their result at the end. Its methods are called by one thread at a time.

    Args:
        analyzer: scores the windows, in a thread of its own.
        patient: wait for that thread; without, a window that finds `WAITING` others before it is lost.

    Attributes:
        lost: windows that were lost so.
    """

    def __init__(self, analyzer: Analyzer, start: Seconds, *, patient: bool) -> None:
        self._analyzer, self._patient, self._start = analyzer, patient, start
        self._extraction = Extraction(Grid(0.0, analyzer.window, analyzer.hop, start))
        self._log = SightingLog(self._extraction)
        self._sightings: list[Sighting] = []
        self._seen: Seconds | None = None
        self._number = 0
        self._running = analyzer.running_baseline()
        self._detector, self._judged = SpeechDetector(start, BLOCK, keep=True), start
        self._ready: queue.Queue[_Window | None] = queue.Queue(WAITING)
        self._scored: ClipScores | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._score, name="mmemo-live-result", daemon=True)
        self._thread.start()
        self.lost = 0

    def begin(self, start: Seconds) -> None:
        """Begin at an earlier time, as long as no window is complete: streams don't begin together."""
        if self._number == 0 and start < self._start:
            self._start = self._judged = start
            self._detector = SpeechDetector(start, BLOCK, keep=True)

    def see(self, sighting: Sighting) -> None:
        """Take in the faces of the next frame, which were matched to people."""
        self._log.add(sighting)
        self._sightings.append(sighting)
        self._seen = sighting.time

    def advance(self, voice: LiveVoice | None, words: LiveWords | None, now: Seconds, *, hears: bool) -> None:
        """Score the windows that are complete at a time.

        Args:
            voice: None where no modality needs the sound; ``words`` likewise.
            hears: whether any sound has come so far.
        """
        while True:
            span = self._span(self._number)
            reached = [] if self._seen is None else [self._seen]
            reached += [self._whole_blocks(voice.end) - SETTLED] if voice is not None and hears else []
            reached += [words.decided] if words is not None and hears else []
            if (not reached or min(reached) < span[1]) and now - span[1] < LATE:
                return
            self._put(self._window(span, voice if hears else None, words), patient=self._patient)
            self._number += 1

    def finish(
        self, voice: LiveVoice | None, words: LiveWords | None, faces: TrackedFaces | None, end: Seconds
    ) -> None:
        """Score the windows that are left, the last of which is cut at the end, and end the thread."""
        extraction = self._extraction
        extraction.grid = grid = Grid(max(0.0, end - self._start), *self._length, self._start)
        for number in range(self._number, len(grid)):
            last = number == len(grid) - 1
            self._put(self._window(grid[number], voice, words, at_end=True, last=last), patient=True)
        self.close()
        extraction.activity = None if voice is None or voice.activity is None else self._detector.whole()
        extraction.transcript = None if words is None else words.transcript
        if self._seen is not None and faces is not None:
            self._log.note(faces.crowded and not faces.is_all, faces.unsure, faces.most)
        if extraction.activity is not None and extraction.activity.absence:
            extraction.notes.append(Note(*NO_VOICE[extraction.activity.absence]))

    def close(self) -> None:
        """End the thread, once the windows that wait are scored."""
        if self._thread.is_alive():
            self._put(None, patient=True)
        self._thread.join()

    def result(self, source: str, notes: Iterable[Note]) -> EmotionResult:
        """The result, once it is finished.

        Args:
            notes: on the session.

        Raises:
            MissingStreamError: if there was nothing to score.
        """
        if self._error is not None:
            raise self._error
        assert self._scored is not None
        extraction = replace(self._extraction, notes=[*notes, *self._extraction.notes])
        return self._analyzer.result(source, extraction, self._scored, self._running)

    @property
    def _length(self) -> tuple[Seconds, Seconds]:
        return self._analyzer.window, self._analyzer.hop

    def _span(self, number: int) -> Span:
        window, hop = self._length
        start = self._start + number * hop
        return start, start + window

    def _whole_blocks(self, end: Seconds) -> Seconds:
        """Seconds up to which sound that ends somewhere can be judged."""
        return self._start + max(0.0, end - self._start) // BLOCKS * BLOCKS

    def _window(
        self,
        span: Span,
        voice: LiveVoice | None,
        words: LiveWords | None,
        *,
        at_end: bool = False,
        last: bool = False,
    ) -> _Window:
        start, end = span
        self._sightings = [one for one in self._sightings if one.time >= start]
        held = [one for one in self._sightings if one.time < end or last]
        # Boxes and landmarks are in pixels, so a window is of frames of one size.
        held = [one for one in held if one.size == held[-1].size]
        faces = next(face_windows(held, Grid(end - start, *(2 * (end - start,)), start))) if held else ()
        transcript = None if words is None else words.transcript
        text = words_between(transcript, start, end) if transcript else None
        people = tuple(Evidence(start, end, face, None, text) for face in faces or (None,))
        if voice is None or voice.activity is None:
            return _Window(people, None, _NO_SOUND, at_end)
        until = voice.sound.end if at_end else self._whole_blocks(voice.end)
        return _Window(people, voice.sound.between(start, end), voice.sound.between(self._judged, until), at_end)

    def _put(self, window: _Window | None, *, patient: bool) -> None:
        while self._error is None:
            try:
                self._ready.put(window, timeout=0.1 if patient else 0.0)
            except queue.Full:
                if patient:
                    continue
                self.lost += 1
                return
            self._judged += 0.0 if window is None else len(window.fresh) / SAMPLE_RATE
            return

    def _score(self) -> None:
        try:
            self._scored = score(self._analyzer.model, self._windows(), self._running)
        except BaseException as error:
            self._error = error

    def _windows(self) -> Iterator[tuple[Evidence, ...]]:
        while (window := self._ready.get()) is not None:
            self._detector.add(window.fresh)
            if window.last:
                self._detector.finish()
            first = window.people[0]
            voice = None
            if window.waveform is not None:
                voice = voice_of(window.waveform, self._detector.activity().voice, first.start, first.end)
            yield tuple(replace(one, voice=voice) for one in window.people)


_NO_SOUND = np.zeros(0, np.float32)
