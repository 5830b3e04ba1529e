"""Filter against hallucinations: sentences that a speech recognizer invents are kept away from the scores.

A recognizer transcribes any sound into something: vocal bursts into "Yeah", a language that it hardly knows into words
of no language, and noise into the ends of the subtitles it was trained on. Its word probabilities are low then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmemo.notes import Note
from mmemo.speech.invented_sentences import is_invented, is_thanks, plain
from mmemo.speech.line import Line

MIN_CERTAINTY = 0.55
"""The least certainty of a file's words, and of a line's (`certainty`).

Of Whisper base, each clip a file of its own: none of 14 vocal bursts (EmoGator), of 20 single words (TurEV-DB, BAVED)
and of 10 sentences in Amharic (ASED), which it can't recognize, has this much. Errors in what has it are 1% in English
(RAVDESS, 16 clips), 7% in Chinese (CASIA, 48), 18% in Polish (nEMO, 22) and 22% in Italian (EMOVO, 22), in what has
less 55%, 58% and 92%. See docs/how_to/transcripts.md.
"""
PRIOR, PRIOR_WORDS = 0.35, 2
"""Mean word probability where nothing is recognized, and how many words of it a file is weighed against: a file of two
words must be quite certain, one of many need not."""
MIN_THANKS = 0.9
"""Mean word probability from which a line that only thanks is kept."""
COMPRESSION = 2.4
"""Length of a text by its length after zlib: above this it goes in circles (Whisper's own limit)."""
LETTERS = 30.0
"""Letters a second: nobody speaks faster."""


@dataclass(frozen=True)
class Hypothesis:
    """One line as a recognizer gave it.

    Attributes:
        line: with its words, whose confidence is the recognizer's probability.
        language: ISO 639-1 code of the language that the recognizer detected.
        compression: length of the text of its piece by that after zlib.
        language_probability: 0 to 1, that it is this language.
    """

    line: Line
    language: str
    compression: float
    language_probability: float = 1.0


def filter_hypotheses(hypotheses: Sequence[Hypothesis], recognizer: str) -> tuple[list[Hypothesis], tuple[Note, ...]]:
    """The lines that are certain enough, and a note on the others.

    All of a file's words are weighed first: if they are uncertain together, nothing is kept, however certain a line is.
    In a file that passes, a line is weighed with the file's own mean, so that a clear "No!" counts.
    """
    plausible = [one for one in hypotheses if not _invented(one)]
    probabilities = [word.confidence for one in plausible for word in one.line.words]
    if certainty(probabilities, PRIOR) < MIN_CERTAINTY:
        what = f"words with a mean probability of {_mean(probabilities):.2f} only" if probabilities else "no words"
        languages = ", ".join(sorted({one.language for one in hypotheses})) or "unknown"
        return [], (
            Note(
                "transcript-unsure",
                f"Somebody speaks, but {recognizer} recognized {what}, so nothing of it was used. Detected language: "
                f"{languages}. If that is wrong, name it (Clip(language=…)); else give the words as text or subtitles, "
                'or take a larger model: transcriber=WhisperTranscriber("small").',
            ),
        )
    mean = _mean(probabilities)
    kept = [one for one in plausible if certainty([word.confidence for word in one.line.words], mean) >= MIN_CERTAINTY]
    if len(kept) == len(hypotheses):
        return kept, ()
    lost = len(hypotheses) - len(kept)
    return kept, (
        Note("transcript-unsure", f"{lost} of {len(hypotheses)} lines of {recognizer} are unsure and left out."),
    )


def certainty(probabilities: Sequence[float], prior: float) -> float:
    """Mean of word probabilities, held towards ``prior`` as if two more words had that probability."""
    return (sum(probabilities) + PRIOR_WORDS * prior) / (len(probabilities) + PRIOR_WORDS)


def _invented(hypothesis: Hypothesis) -> bool:
    line = hypothesis.line
    text = plain(line.text)
    return (
        not text
        or hypothesis.compression > COMPRESSION
        or len(text) > LETTERS * max(line.end - line.start, 0.2)
        or is_invented(text)
        or (is_thanks(text) and line.confidence < MIN_THANKS)
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
