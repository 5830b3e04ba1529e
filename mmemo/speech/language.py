"""The language of a text that comes without one, and the encoding of an old file."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from tempfile import gettempdir
from typing import TYPE_CHECKING, NamedTuple

from mmemo.errors import ArgumentError
from mmemo.speech.emoji_names import PICTURE

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
_MOST = 4000
"""Characters of a file from which its encoding is detected."""


_BY_ITS_SIGNS = {
    **{name: name for name in ("big5", "big5hkscs", "cp932", "cp949", "euc_jis_2004", "euc_jp", "euc_kr", "gb18030")},
    **{name: name for name in ("cp1251", "cp1253", "cp1255", "cp1256", "koi8_r", "koi8_u", "shift_jis")},
    **{"gb2312": "gb18030", "gbk": "gb18030", "mac_cyrillic": "cp1251", "mac_greek": "cp1253"},
}
"""Encodings of other scripts than the Latin one, by the names that charset-normalizer has for them."""
_BY_ITS_WORDS = {
    "cp1252": (
        "en",
        "de",
        "fr",
        "es",
        "it",
        "pt",
        "nl",
        "sv",
        "da",
        "no",
        "fi",
        "is",
        "ca",
        "gl",
        "eu",
        "id",
        "ms",
        "sq",
    ),
    "cp1250": ("pl", "cs", "hu", "sk", "sl", "hr", "bs", "ro"),
    "cp1254": ("tr",),
}
"""Languages of the Latin code pages, which differ in a few letters."""


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
    ranked = _identifier().rank(PICTURE.sub("", text).strip())  # emoji are in no language, and dilute it
    best, probability = ranked[0]
    english = dict(ranked)["en"]
    if len(words) >= FEWEST and english >= ENGLISH:
        return Detected("en", english)
    return Detected(best if len(words) >= FEWEST or probability >= SURE else None, probability)


def detect_encoding(data: bytes) -> str:
    """The encoding of a text that is not in Unicode, as Python names it.

    Of other scripts charset-normalizer tells it; of the Latin code pages the one in which the text is most probably in
    one of its languages. Measured on subtitles of 20 lines, 8 to 25 files each: simplified and traditional Chinese,
    Japanese, Russian, Bulgarian, Arabic, Hebrew and nine languages of Latin letters all right, Greek 7 of 8.
    """
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    if best is not None and best.encoding in _BY_ITS_SIGNS:
        return _BY_ITS_SIGNS[best.encoding]
    chances = {"latin-1": 0.0}  # it takes any byte
    for encoding, languages in _BY_ITS_WORDS.items():
        with suppress(UnicodeDecodeError):
            rows = [
                row for row in data.decode(encoding).splitlines() if "-->" not in row and re.search(r"[^\W\d_]", row)
            ]
            ranked = dict(_identifier().rank("\n".join(rows)[:_MOST]))
            chances[encoding] = sum(ranked[language] for language in languages)
    return max(chances, key=lambda encoding: chances[encoding])


@cache
def _identifier() -> LanguageIdentifier:
    """The library's model, loaded when a first text needs it.

    Raises:
        ArgumentError: if there is no room to unpack it.
    """
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    try:
        identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    except OSError as error:  # it unpacks its model into a temporary file
        raise ArgumentError(
            f"The language of the words can't be identified: {gettempdir()} has no room for 70 MB ({error.strerror}). "
            "Make room there, name another folder in TMPDIR, or name the language of the clips (Clip(language=…))."
        ) from None
    identifier.set_languages(LANGUAGES)
    return identifier
