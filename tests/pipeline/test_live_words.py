from collections.abc import Iterable
from types import SimpleNamespace

import numpy as np

from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.notes import Note
from mmemo.pipeline.live_words import LiveWords, SpeechPiece
from mmemo.speech.transcript import Line, Transcript


class Recognizer:
    """Detects some languages, one after the other, each with its probability; it recognizes the name of the language."""

    def __init__(self, *detected: tuple[str, float]) -> None:
        self.detected = iter(detected)

    def __call__(
        self, segments: Iterable[tuple[Seconds, np.ndarray]], language: str | None = None
    ) -> tuple[Transcript, tuple[Note, ...]]:
        ((start, _),) = segments
        code, probability = (language, 1.0) if language else next(self.detected)
        line = Line(start, start + 1.0, f"in {code}")
        return Transcript((line,), "recognition", code, language_probability=probability), ()


def recognized(*detected: tuple[str, float]) -> Transcript:
    words = LiveWords(SimpleNamespace(modalities=()), Recognizer(*detected))  # type: ignore[arg-type]
    for place in range(len(detected)):
        piece = SpeechPiece(2.0 * place, 2.0 * place + 1, np.zeros(SAMPLE_RATE, np.float32))
        words._open.append(piece.start)
        assert words.recognize(piece)
    assert words.transcript is not None
    return words.transcript


def test_a_piece_of_unsure_language_is_in_that_of_those_before() -> None:
    transcript = recognized(("zh", 0.99), ("ko", 0.5), ("en", 0.95), ("zh", 0.9))
    assert transcript.text == "in zh in zh in en in zh"
    assert transcript.language == "zh"
    assert 0.5 < transcript.language_probability < 1


def test_the_first_piece_has_its_own() -> None:
    assert recognized(("pl", 0.4)).text == "in pl"
