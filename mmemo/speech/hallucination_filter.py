"""What keeps the sentences that a recogniser makes up away from the scores.

A recogniser writes down something for any sound, and on a language it does not know it invents English. An
English-only model can't tell the language either; but it is unsure of nearly every word then, and that shows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mmemo.notes import Note
from mmemo.speech.transcript import Line

SURE = 0.62
"""How sure a file's words, and a line's, must be (`sureness`).

Chosen on 60 clips a corpus and measured on 120 others each (Whisper tiny.en, speech cut out by
`mmemo.speech.activity`). Kept of English: RAVDESS 95.8% (the five dropped ones were heard wrong), SAVEE 89.2%; word
error rate on RAVDESS 5.7% of what was kept, 7.1% of all. Dropped of other languages: Polish (nEMO) 100%, Amharic
(ASED) 99.2%, Turkish single words (TurEV-DB) 100%. Five clips at a time judged as one file, 200 draws a corpus: all
kept of both English ones, all dropped of the others but for one Amharic draw.
"""
GUESS, WEIGHT = 0.35, 2
"""Mean word probability on a language the model does not know, and how many words of it a file is weighed against: a
file of two words must be quite sure, one of many need not."""
SURE_THANKS = 0.9
"""Mean word probability from which a line that only thanks is believed."""
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
"""Sentences from the subtitles recognisers learned from, which they give where they understand nothing."""
THANKS = re.compile(r"(?:okay |well |and |so )?(?:thanks|thank you)(?: (?:so|very) much)?")


@dataclass(frozen=True)
class Hypothesis:
    """One line as a recogniser gave it.

    Attributes:
        line: with its words, whose confidence is the recogniser's probability.
        language: ISO 639-1 code of the language the recogniser took it for.
        compression: length of the text of its piece by that after zlib.
    """

    line: Line
    language: str
    compression: float


def gate(heard: Sequence[Hypothesis], recogniser: str) -> tuple[list[Hypothesis], tuple[Note, ...]]:
    """The lines to be believed, and a note on the others.

    All of a file's words are weighed first: if they are unsure together, nothing is kept, however sure a line is. In
    a file that passes, a line is weighed with the file's own mean, so that a clear "No!" counts.
    """
    spoken = [one for one in heard if not _made_up(one)]
    chances = [word.confidence for one in spoken for word in one.line.words]
    if sureness(chances, GUESS) < SURE:
        what = "no words in it" if not chances else f"words with a mean probability of {_mean(chances):.2f} only"
        return [], (
            Note(
                "transcript-unsure",
                f"Somebody speaks, but {recogniser} found {what}; the language may be one it does not know. "
                "Nothing of it was used: give the words as text or subtitles if you have them.",
            ),
        )
    mean = _mean(chances)
    kept = [one for one in spoken if sureness([word.confidence for word in one.line.words], mean) >= SURE]
    if len(kept) == len(heard):
        return kept, ()
    lost = len(heard) - len(kept)
    return kept, (
        Note("transcript-unsure", f"{lost} of {len(heard)} lines that {recogniser} heard are unsure and left out."),
    )


def sureness(chances: Sequence[float], prior: float) -> float:
    """Mean of word probabilities, held towards ``prior`` as if two more words had that probability."""
    return (sum(chances) + WEIGHT * prior) / (len(chances) + WEIGHT)


def _made_up(heard: Hypothesis) -> bool:
    line = heard.line
    text = " ".join(re.findall(r"[\w']+", line.text.lower()))
    return bool(
        not text
        or heard.compression > COMPRESSION
        or len(text) > LETTERS * max(line.end - line.start, 0.2)
        or INVENTED.fullmatch(text)
        or (THANKS.fullmatch(text) and line.confidence < SURE_THANKS)
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
