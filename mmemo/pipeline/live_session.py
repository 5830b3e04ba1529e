"""A live session: pictures and sound come in, in whatever threads, and updates of the scores go out."""

from __future__ import annotations

import asyncio
import atexit
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from threading import Condition, Lock, RLock, Thread, current_thread
from typing import Any, Self, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from mmemo.encoders.modality import MODALITIES
from mmemo.errors import ArgumentError, MediaError
from mmemo.evidence import SAMPLE_RATE, Evidence, Seconds
from mmemo.in_memory import Color, Frames, Picture, Sound
from mmemo.media import Frame
from mmemo.media.live import (
    MAX_SIDE,
    Block,
    LiveResampler,
    LiveSource,
    Piece,
)
from mmemo.media.live_writing import LiveWriter
from mmemo.notes import Note
from mmemo.pipeline.analyzer import Analyzer
from mmemo.pipeline.extract import MAX_RATE, TrackedFaces, most_faces
from mmemo.pipeline.live_faces import LiveFaces
from mmemo.pipeline.live_recording import LiveRecording
from mmemo.pipeline.live_update import Dropped, Kind, LiveUpdate
from mmemo.pipeline.live_voice import LiveVoice
from mmemo.pipeline.live_words import COUNTS, SHOWN, LiveWords, SpeechPiece
from mmemo.pipeline.live_worker import STEP, Clock, Worker
from mmemo.pipeline.score import fused_segments
from mmemo.pipeline.windows import Sighting
from mmemo.result import EmotionResult
from mmemo.speech.recognition import Transcriber, default_transcriber

T = TypeVar("T")
UPDATES = 64
"""Updates that may wait for their consumer; of more, the oldest are dropped."""
MOST_SOUND, MOST_PIECES = 16, 4
"""Blocks of sound that may wait for the voice, and pieces of speech that may wait to be recognized."""
LATENESS: Seconds = 0.03
"""By which a pushed picture may come late without moving the times at which the next ones are due."""
MOST_WRITTEN = 32
"""Pictures and blocks of sound that may wait to be written."""
STALE: Seconds = 1.5
"""After which the last scores of a stream that has stopped don't count any more."""
SILENT: Seconds = 3.0
"""After which a stream that has not begun is noted."""


_Arrived = tuple[T, float]
"""With the moment it came, by `time.perf_counter`."""


class LiveSession:
    """A live person followed: iterate over its updates, with ``for`` or ``async for``. `stream` makes it.

    Leaving the loop ends the session, as `close` does, and so does the end of a ``with`` block.

    Args:
        analyzer: its settings, and its loaded model.
        sources: are read, each in a thread of its own; without any, the caller pushes.
        pieces: of a file, that are read as the updates are taken, and not before: nothing is dropped then.
        realtime: work in threads, and drop what comes too fast; otherwise what is pushed is worked on at once, in the
            thread that pushes.
        keep: keep the scores of all windows for `result`: some 10 KB a second.
        start: seconds at which the first window begins; that of the first picture or sound if None.
        end: seconds at which the last window ends, where that is known.
        name: of the source in results.
        record: writes the pictures and sound that are scored to a file.

    Attributes:
        notes: remarks so far.
        dropped: what came too late, so far.
    """

    def __init__(
        self,
        analyzer: Analyzer,
        sources: tuple[LiveSource, ...] = (),
        pieces: Iterator[Piece] | None = None,
        *,
        realtime: bool = True,
        keep: bool = False,
        start: Seconds | None = None,
        end: Seconds | None = None,
        name: str | None = None,
        record: LiveWriter | None = None,
    ) -> None:
        self._analyzer, self._model, self._sources, self._pieces = analyzer, analyzer.model, sources, pieces
        self._realtime, self._keep, self._start, self._known_end, self._name = realtime, keep, start, end, name
        sees, hears, reads = needs(analyzer.modalities)
        people, most = analyzer._people, most_faces(analyzer._people, analyzer._max_faces)
        self._tracked = TrackedFaces(most, people) if sees else None
        self._faces = None if self._tracked is None else LiveFaces(self._model, self._tracked)
        self._voice = LiveVoice(self._model, analyzer.window) if hears else None
        transcriber = _transcriber(analyzer) if reads else None
        self._words = None if transcriber is None else LiveWords(self._model, transcriber, keep=keep)
        self._recording: LiveRecording | None = None
        self._writer = record
        self._clocks = {"face": Clock(), "voice": Clock()}
        self._due, self._rate = -math.inf, 0
        self._size: tuple[int, ...] | None = None
        self._resampler: LiveResampler | None = None
        self._now: Seconds = -math.inf
        self._begun, self._end = math.inf, -math.inf
        self._framed: Seconds | None = None  # time of the last picture
        self._step = STEP  # from one picture to the next
        self._come: dict[Kind, Seconds] = {}  # how far each stream has come
        self._changed, self._finishing, self._finished = Condition(RLock()), Lock(), False
        self._updates: deque[LiveUpdate] = deque()
        self._notes: dict[str, Note] = {}
        self._error: BaseException | None = None
        self._ended = False
        self.dropped = Dropped()
        self._workers: dict[Kind, Worker[Any]] = {}
        self._readers = [
            Thread(target=self._read, args=(one,), name="mmemo-live-source", daemon=True) for one in sources
        ]
        self._reading = len(sources)
        if realtime:
            self._workers = {
                "face": Worker("face", self._see, 1, self._drop_frame, self._fail),
                "voice": Worker("voice", self._hear, MOST_SOUND, self._drop_sound, self._fail),
                "words": Worker("words", self._recognize, MOST_PIECES, self._drop_words, self._fail),
            }
        self._writing: Worker[Piece] | None = None
        if record is not None and realtime:
            self._writing = Worker("record", record.add, MOST_WRITTEN, self._drop_written, self._fail)
        atexit.register(self.close)
        for reader in self._readers:
            reader.start()

    # What comes in

    def push_frame(self, picture: Picture, time: Seconds, *, color: Color = "rgb") -> None:
        """Give the next picture.

        Args:
            picture: (H, W, 3) or (H, W), uint8 or floats in 0 to 1, a PIL image or a tensor, as `mmemo.Frames` takes.
            time: in seconds, on the same clock as that of the sound.
            color: "bgr" for OpenCV's.

        Raises:
            ArgumentError: if it is no picture or no time, or the session has ended.
        """
        arrived = _moment()
        self._check_open()
        if self._tracked is None:
            return
        frames = Frames([picture], color=color)  # checks it
        with self._changed:
            at = self._session_time("face", time)
            if at is None or at < self._due:
                if at is None:
                    self._drop_frame(None)
                return
            # A little early, as frame times jitter; live, a picture that comes late does not make the next one early.
            self._due = max(self._due, at - (LATENESS if self._realtime else 0.0)) + 0.9 / MAX_RATE
        image = frames.image(0)
        side = max(image.shape[:2])
        if side > MAX_SIDE:
            scale = MAX_SIDE / side
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        elif self._realtime and np.shares_memory(image, picture):
            image = image.copy()  # the caller may use it for the next one
        self._take(Frame(at, image), arrived)

    def push_sound(self, samples: npt.ArrayLike, time: Seconds, *, sample_rate: int = SAMPLE_RATE) -> None:
        """Give the next samples.

        Args:
            samples: (N,), (N, channels) or (channels, N), floats in -1 to 1 or integers, as `mmemo.Sound` takes them;
                blocks of a tenth of a second, say.
            time: of the first of them, in seconds, on the same clock as that of the pictures.
            sample_rate: in Hz; it may change from block to block.

        Raises:
            ArgumentError: if it is no sound or no time, or the session has ended.
        """
        arrived = _moment()
        self._check_open()
        if self._voice is None:
            return
        sound = Sound(samples, sample_rate)
        with self._changed:
            at = self._session_time("voice", time)
            if at is None:
                self._count_sound(sound.duration)
                return
            if self._resampler is None or sound.sample_rate != self._rate:
                self._resampler, self._rate = LiveResampler(sound.sample_rate), sound.sample_rate
            block = Block(at, self._resampler(sound.samples))
        self._take(block, arrived)

    # What goes out

    def poll(self) -> list[LiveUpdate]:
        """The updates that are there, without waiting.

        Raises:
            MmemoError: what went wrong in the session.
        """
        with self._changed:
            self._check()
            updates = list(self._updates)
            self._updates.clear()
        return updates

    def __iter__(self) -> Generator[LiveUpdate, None, None]:
        """The updates, until the source ends or the session is closed; leaving the loop closes it."""
        try:
            for piece in self._pieces or ():
                self._take(piece, _moment())
                yield from self.poll()
            if self._pieces is not None:
                self._finish(drop=False)
            while (update := self._wait()) is not None:
                yield update
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[LiveUpdate]:
        """The same, for ``async for``; waiting is left to a thread."""
        updates = iter(self)
        try:
            while (update := await asyncio.to_thread(next, updates, None)) is not None:
                yield update
        finally:
            await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def notes(self) -> tuple[Note, ...]:
        with self._changed:
            return tuple(self._notes.values())

    def close(self) -> None:
        """End the session: its sources are closed, its threads end, and updates that wait can still be taken."""
        for source in self._sources:
            source.close()
        for reader in self._readers:
            if reader is not current_thread():
                reader.join()
        self._finish(drop=not self._keep)

    def result(self) -> EmotionResult:
        """The result of all so far, as of a clip; it ends the session.

        Raises:
            ArgumentError: if the session keeps none.
            MissingStreamError: if there was no face, no voice and no words.
        """
        if not self._keep:
            raise ArgumentError("This session keeps no result. Start it with keep=True.")
        self.close()
        self._check()
        if self._recording is None:
            raise ArgumentError("Nothing has come yet, so there is no result.")
        length = self._end - self._begun
        return self._recording.result(self._name or f"<live {length:.1f} s>", self._result_notes())

    # Work

    def _read(self, source: LiveSource) -> None:
        """Take what a source gives, until it ends; the last of the readers ends the session."""
        try:
            for piece in source:
                with self._changed:
                    at = self._session_time("face" if isinstance(piece, Frame) else "voice", piece.time)
                if at is not None:
                    self._take(replace(piece, time=at), _moment())
        except MediaError as error:
            self._note(Note("device-lost", f"{error} What comes from elsewhere goes on."))
        except BaseException as error:
            self._fail(error)
        with self._changed:
            self._reading -= 1
            last = not self._reading
        if last:
            self._finish(drop=not self._keep)

    def _take(self, piece: Piece, arrived: float) -> None:
        """Hand on a picture or a block of sound to those who work on it."""
        kind: Kind = "face" if isinstance(piece, Frame) else "voice"
        if (self._tracked if kind == "face" else self._voice) is None:
            return
        with self._changed:
            if self._keep and self._recording is None:
                start = piece.time if self._start is None else self._start
                self._recording = LiveRecording(self._analyzer, start, patient=not self._realtime)
            elif self._recording is not None and kind not in self._come and self._start is None:
                self._recording.begin(piece.time)
            self._come[kind] = piece.end if isinstance(piece, Block) else piece.time
            self._begun = min(self._begun, piece.time)
            if isinstance(piece, Frame):
                if self._framed is not None:
                    self._step = min(piece.time - self._framed, 0.5)
                self._framed = piece.time
            self._end = max(self._end, piece.end if isinstance(piece, Block) else piece.time + self._step)
        if self._writing is not None:
            self._writing.put(piece)
        elif self._writer is not None:
            self._writer.add(piece)
        if self._realtime:
            self._workers[kind].put((piece, arrived))
        elif isinstance(piece, Frame):
            self._see((piece, arrived))
        else:
            self._hear((piece, arrived))

    def _see(self, item: _Arrived[Frame]) -> None:
        frame, arrived = item
        assert self._faces is not None
        assert self._tracked is not None
        size = frame.image.shape[:2]
        if self._size not in (None, size):
            self._note(Note("frame-size", "The pictures change their size; faces are followed on as well as can be."))
        self._size = size
        self._faces.update(frame, later=self._realtime)
        self._advance(frame.time, list(self._tracked.matched()))
        self._emit("face", frame.time, arrived)
        if self._realtime:
            self._tracked.search()

    def _hear(self, item: _Arrived[Block]) -> None:
        block, arrived = item
        assert self._voice is not None
        changed = self._voice.update(block.samples, block.time)
        if self._words is not None:
            for piece in self._words.take(self._voice):
                self._put_words(piece)
        self._advance(block.end)
        if changed:
            self._emit("voice", block.end, arrived)

    def _put_words(self, piece: SpeechPiece) -> None:
        if self._realtime:
            self._workers["words"].put((piece, _moment()))
        else:
            self._recognize((piece, _moment()))

    def _recognize(self, item: _Arrived[SpeechPiece]) -> None:
        piece, arrived = item
        assert self._words is not None
        some = self._words.recognize(piece)
        for note in self._words.notes.values():
            self._note(note)
        if some:
            self._emit("words", piece.end, arrived)

    def _advance(self, now: Seconds, sightings: Sequence[Sighting] = ()) -> None:
        """Let the recording know what is new: the time, and the frames whose faces were matched."""
        with self._changed:
            self._now = max(self._now, now)
            if self._recording is not None:
                for sighting in sightings:
                    self._recording.see(sighting)
                self._recording.advance(self._voice, self._words, self._now, hears="voice" in self._come)
                self.dropped = replace(self.dropped, windows=self._recording.lost)

    def _finish(self, *, drop: bool) -> None:
        """End the threads, and finish what is kept; once."""
        with self._finishing:
            if self._finished:
                return
            self._finished = True
            for kind in ("face", "voice"):
                if kind in self._workers:
                    self._workers[kind].end(drop=drop)
            for step in (partial(self._finish_streams, drop), self._finish_file, self._close_recording):
                try:
                    step()
                except BaseException as error:
                    self._fail(error)
            atexit.unregister(self.close)
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _finish_file(self) -> None:
        if self._writing is not None:
            self._writing.end(drop=False)
        if self._writer is not None:
            self._writer.close()

    def _close_recording(self) -> None:
        if self._recording is not None:
            self._recording.close()

    def _finish_streams(self, drop: bool) -> None:
        if self._tracked is not None:
            self._tracked.finish()
            self._advance(self._now, list(self._tracked.matched()))
        if self._voice is not None:
            self._voice.finish()
        if self._words is not None and self._voice is not None and not drop:
            for piece in self._words.take(self._voice, last=True):
                self._put_words(piece)
        if "words" in self._workers:
            self._workers["words"].end(drop=drop)
        if self._recording is not None:
            end = self._end if self._known_end is None else self._known_end
            self._recording.finish(self._voice, self._words, self._tracked, end)

    def _emit(self, kind: Kind, time: Seconds, arrived: float) -> None:
        with self._changed:
            self._note_absences(time)
            while len(self._updates) >= UPDATES:
                self._updates.popleft()
                self.dropped = replace(self.dropped, updates=self.dropped.updates + 1)
            self._updates.append(self._update(kind, time, arrived))
            self._changed.notify_all()

    def _update(self, kind: Kind, time: Seconds, arrived: float) -> LiveUpdate:
        faces, voice, words = self._faces, self._voice, self._words
        in_view, audible = (self._now - self._come.get(kind, -math.inf) <= STALE for kind in ("face", "voice"))
        encodings, coverage = {}, {}
        if faces is not None and in_view and faces.encoding is not None:
            encodings["face"], coverage["face"] = faces.encoding, [1.0]
        if voice is not None and audible and voice.encoding is not None:
            encodings["voice"], coverage["voice"] = voice.encoding, [voice.coverage]
        if words is not None and words.encoding is not None and words.recent(self._now, COUNTS):
            encodings["text"], coverage["text"] = words.encoding, [1.0]
        window = [(Evidence(time, time),)]
        fused = next(fused_segments(self._model, window, encodings, coverage), None) if encodings else None
        return LiveUpdate(
            time,
            kind,
            None if fused is None else fused.scores,
            None if fused is None else fused.affect,
            {} if fused is None else fused.modalities,
            faces.people if faces is not None and in_view else (),
            voice.speaking if voice is not None and "voice" in self._come else None,
            words.recent(self._now, SHOWN) if words is not None else (),
            self.dropped,
            _moment() - arrived,
            tuple(self._notes.values()),
        )

    def _wait(self) -> LiveUpdate | None:
        """The next update; None at the end."""
        with self._changed:
            while not self._updates:
                self._check()
                if self._ended:
                    return None
                self._changed.wait(1.0)  # without a limit, Windows takes no Ctrl+C meanwhile
            return self._updates.popleft()

    # What is dropped and noted

    def _session_time(self, kind: Kind, given: object) -> Seconds | None:
        """The time of a picture or a block of sound on the session's clock; None if it is late."""
        clock = self._clocks[kind]
        at = clock(given)
        if clock.was_set and "clock" not in self._notes:
            self._note(Note("clock", "The clock of what came was set back; times go on from where they were."))
        return at

    def _drop_frame(self, _: object) -> None:
        with self._changed:
            self.dropped = replace(self.dropped, frames=self.dropped.frames + 1)

    def _drop_sound(self, item: _Arrived[Block]) -> None:
        self._count_sound(item[0].end - item[0].time)

    def _count_sound(self, seconds: Seconds) -> None:
        with self._changed:
            self.dropped = replace(self.dropped, sound=self.dropped.sound + seconds)

    def _drop_words(self, item: _Arrived[SpeechPiece]) -> None:
        assert self._words is not None
        self._words.drop(item[0])
        with self._changed:
            self.dropped = replace(self.dropped, words=self.dropped.words + 1)

    def _drop_written(self, _: object) -> None:
        with self._changed:
            self.dropped = replace(self.dropped, recorded=self.dropped.recorded + 1)

    def _note(self, note: Note) -> None:
        with self._changed:
            self._notes.setdefault(note.code, note)

    def _note_absences(self, time: Seconds) -> None:
        if time - self._begun < SILENT:
            return
        for note in self._absences():
            self._note(note)

    def _absences(self) -> Iterator[Note]:
        if self._tracked is not None and "face" not in self._come:
            yield Note("no-video", "No picture has come, so no face is scored.")
        if self._voice is not None and "voice" not in self._come:
            yield Note("no-audio", "No sound has come, so no voice is scored.")

    def _result_notes(self) -> list[Note]:
        notes = {**self._notes, **{note.code: note for note in self._absences()}}
        if self.dropped.frames or self.dropped.sound or self.dropped.windows:
            lost = f"{self.dropped.frames} pictures, {self.dropped.sound:.1f} s of sound"
            lost += f" and {self.dropped.windows} windows"
            notes["dropped"] = Note("dropped", f"This machine was too slow for all that came: {lost} were dropped.")
        reads = needs(self._analyzer.modalities)[2]
        if reads and self._words is None and "voice" in self._come:
            message = "Speech recognition is not installed, or switched off, so words were not scored."
            notes["no-transcript"] = Note("no-transcript", message)
        return list(notes.values())

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _check_open(self) -> None:
        if self._finished:
            raise ArgumentError("The session has ended; start another one.")
        self._check()


def _moment() -> float:
    return time.perf_counter()


def needs(modalities: Sequence[str]) -> tuple[bool, bool, bool]:
    """Whether pictures, sound and words are needed; a user's own modality may need any of them."""
    own = any(name not in MODALITIES for name in modalities)
    face, voice, text = (own or name in modalities for name in MODALITIES)
    return face, voice or text, text


def _transcriber(analyzer: Analyzer) -> Transcriber | None:
    """Of one thread by default: the face must not wait for the words."""
    chosen = analyzer._transcriber
    return default_transcriber(threads=1) if chosen == "auto" else chosen
