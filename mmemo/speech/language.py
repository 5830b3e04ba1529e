"""The language of a text that comes without one, by the library py3langid."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

LANGUAGES = (
    "af", "am", "ar", "bg", "bs", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr",
    "gl", "he", "hi", "hr", "hu", "id", "is", "it", "ja", "ko", "mk", "ml", "mr", "ms", "nl", "no", "pl",
    "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "sw", "ta", "te", "th", "tr", "uk", "vi", "zh",
)  # fmt: skip
"""ISO 639-1 codes of the languages it chooses from: fewer mistakes than among all 140 that the library knows."""
ENGLISH = 0.1
"""Probability of English from which on a text of `FEWEST` words counts as English: it is not lightly given up."""
FEWEST = 4
"""Words from which on the language of a text is decided in any case."""
SURE = 0.5
"""Probability from which on that of a shorter one is."""


class Detected(NamedTuple):
    """The language of a text, and the probability that it is this one.

    Attributes:
        language: ISO 639-1 code; None for a text too short to decide, or without letters.
        probability: 0 to 1; 1 for a text without letters.
    """

    language: str | None
    probability: float


def detect_language(text: str) -> Detected:
    """Identify the language of a text.

    >>> from mmemo.speech.language import detect_language
    >>> detect_language("I never said that it was your fault.").language
    'en'
    >>> detect_language("我从来没有说过这是你的错。").language
    'zh'
    >>> detect_language("Hm.").language is None
    True
    """
    words = re.findall(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*", text)
    if not words:
        return Detected(None, 1.0)
    ranked = _identifier().rank(text)
    best, probability = ranked[0]
    english = dict(ranked)["en"]
    if len(words) >= FEWEST and english >= ENGLISH:
        return Detected("en", english)
    return Detected(best if len(words) >= FEWEST or probability >= SURE else None, probability)


@cache
def _identifier() -> LanguageIdentifier:
    """The library's model, loaded when a first text needs it."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier
