"""Filter against hallucinations: sentences that a speech recognizer invents are kept away from the scores.

A recognizer transcribes any sound into something, and a language it was not trained on into invented English. An
English-only model can't identify the language either; but its word probabilities are low then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mmemo.notes import Note
from mmemo.speech.line import Line

MIN_CERTAINTY = 0.62
"""The least certainty of a file's words, and of a line's (`certainty`).

Chosen on 60 clips a corpus and measured on 120 others each (Whisper tiny.en, speech cut out by
`mmemo.speech.activity`). Kept of English: RAVDESS 95.8% (the five dropped ones were recognized wrong), SAVEE 89.2%;
word error rate on RAVDESS 5.7% of what was kept, 7.1% of all. Dropped of other languages: Polish (nEMO) 100%, Amharic
(ASED) 99.2%, Turkish single words (TurEV-DB) 100%. Five clips at a time judged as one file, 200 draws a corpus: all
kept of both English ones, all dropped of the others but for one Amharic draw.
"""
PRIOR, PRIOR_WORDS = 0.35, 2
"""Mean word probability on a language the model does not know, and how many words of it a file is weighed against: a
file of two words must be quite certain, one of many need not."""
MIN_THANKS = 0.9
"""Mean word probability from which a line that only thanks is kept."""
COMPRESSION = 2.4
"""Length of a text by its length after zlib: above this it goes in circles (Whisper's own limit)."""
LETTERS = 30.0
"""Letters a second: nobody speaks faster."""

INVENTED = re.compile(
    r"(?:thanks|thank you)(?: (?:so|very) much)? for (?:watching|listening|viewing)\b.*"
    r"|(?:subtitles|captions|transcription|translation|subtitled|transcribed|translated) by\b.*"
    r"|(?:please )?(?:don't forget to )?(?:like and )?subscribe\b.*"
    r"|.*\bsee you (?:in the |all )?next (?:time|video|one)\b.*"
    r"|.*\bgo to the next (?:one|video)\b.*"
)
"""Sentences from the subtitles recognizers were trained on, which they give where they recognize nothing."""
THANKS = re.compile(r"(?:okay |well |and |so )?(?:thanks|thank you)(?: (?:so|very) much)?")


@dataclass(frozen=True)
class Hypothesis:
    """One line as a recognizer gave it.

    Attributes:
        line: with its words, whose confidence is the recognizer's probability.
        language: ISO 639-1 code of the language that the recognizer detected.
        compression: length of the text of its piece by that after zlib.
    """

    line: Line
    language: str
    compression: float


def filter_hypotheses(hypotheses: Sequence[Hypothesis], recognizer: str) -> tuple[list[Hypothesis], tuple[Note, ...]]:
    """The lines that are certain enough, and a note on the others.

    All of a file's words are weighed first: if they are uncertain together, nothing is kept, however certain a line is.
    In a file that passes, a line is weighed with the file's own mean, so that a clear "No!" counts.
    """
    plausible = [one for one in hypotheses if not _invented(one)]
    probabilities = [word.confidence for one in plausible for word in one.line.words]
    if certainty(probabilities, PRIOR) < MIN_CERTAINTY:
        what = (
            f"words with a mean probability of {_mean(probabilities):.2f} only" if probabilities else "no words in it"
        )
        return [], (
            Note(
                "transcript-unsure",
                f"Somebody speaks, but {recognizer} found {what}; the language may be one it does not know. "
                "Nothing of it was used: give the words as text or subtitles if you have them.",
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
    text = " ".join(re.findall(r"[\w']+", line.text.lower()))
    return bool(
        not text
        or hypothesis.compression > COMPRESSION
        or len(text) > LETTERS * max(line.end - line.start, 0.2)
        or INVENTED.fullmatch(text)
        or (THANKS.fullmatch(text) and line.confidence < MIN_THANKS)
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
