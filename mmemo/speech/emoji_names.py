"""Emoji as words: their names in the Unicode CLDR, for networks that read words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

MOST = 2
"""How often one emoji is named in a text; a row of twenty says no more, and would fill the network's input."""
PICTURE = re.compile("[\u2600-\u27bf\u2b50\U0001f000-\U0001faff]\ufe0f?")
"""A part of every emoji that shows something. Arrows, squares, keycaps and signs such as © are left as they are."""
_SKIN_TONE = re.compile("[\U0001f3fb-\U0001f3ff]")


@dataclass(frozen=True)
class NamedText:
    """A text with names for emoji.

    Attributes:
        text: with the names.
        places: start and end in the original of each of its characters, those of a name being the emoji's; None where
            the text is the original.
    """

    text: str
    places: tuple[tuple[int, int], ...] | None = None

    def original(self, span: tuple[int, int]) -> tuple[int, int]:
        """Start and end in the original of a span of the text; an empty span stays as it is."""
        start, end = span
        return span if self.places is None or end <= start else (self.places[start][0], self.places[end - 1][1])


def holds_words(text: str) -> bool:
    """Whether there is a letter or an emoji in a text, so that a network has something to read."""
    return any(map(str.isalpha, text)) or name_emoji(text).places is not None


def name_emoji(text: str, languages: Sequence[str] = ("en",)) -> NamedText:
    """A text with the names of its emoji in their place, without skin tones; a third one of a kind is left out.

    Args:
        languages: that the network reads, ISO 639-1. The names are in English if it is one of these, else in the first
            one that CLDR names are at hand in.

    >>> from mmemo.speech.emoji_names import name_emoji
    >>> name_emoji("I have my exam today 😭").text
    'I have my exam today loudly crying face'
    >>> name_emoji("👍🏽!", ("es",)).text
    'pulgar hacia arriba !'
    """
    if not PICTURE.search(text):
        return NamedText(text)
    import emoji  # its tables take a moment to load

    found = [match for match in emoji.emoji_list(text) if PICTURE.search(match["emoji"])]
    if not found:
        return NamedText(text)
    spoken = next((one for one in ("en", *languages) if one in languages and one in emoji.LANGUAGES), "en")
    emoji.config.load_language(spoken)
    named, past = "", 0
    places: list[tuple[int, int]] = []
    counts: Counter[str] = Counter()
    for match in found:
        start, end = match["match_start"], match["match_end"]
        named += text[past:start]
        places += [(place, place + 1) for place in range(past, start)]
        bare = _SKIN_TONE.sub("", match["emoji"])
        counts[bare] += 1
        data = emoji.EMOJI_DATA.get(bare, emoji.EMOJI_DATA[match["emoji"]])
        name = data[spoken].strip(":").replace("_", " ") if counts[bare] <= MOST else ""
        before = " " if named[-1:].strip() else ""
        after = " " if name and text[end : end + 1].strip() else ""
        named += before + name + after
        places += [(start, start)] * len(before) + [(start, end)] * len(name) + [(end, end)] * len(after)
        past = end
    places += [(place, place + 1) for place in range(past, len(text))]
    return NamedText(named + text[past:], tuple(places))
