from __future__ import annotations

import subprocess
import sys

import pytest

from mmemo.speech.emoji_names import MOST, NamedText, holds_words, name_emoji
from mmemo.speech.language import detect_language

CRYING, THUMB, BROWN = "\U0001f62d", "\U0001f44d", "\U0001f3fd"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"Exam today {CRYING}", "Exam today loudly crying face"),
        (f"no{CRYING}way", "no loudly crying face way"),
        (f"{THUMB}{BROWN}!", "thumbs up !"),
        ("I \u2764\ufe0f it, I \u2764 it", "I red heart it, I red heart it"),
        ("\U0001f575\U0001f3fd\u200d\u2642\ufe0f", "man detective"),
        ("\U0001f44b\U0001f468\u200d\U0001f469\u200d\U0001f467", "waving hand family man woman girl"),
    ],
)
def test_emoji_become_their_names_without_skin_tones_and_variants(text: str, named: str) -> None:
    assert name_emoji(text).text == named


@pytest.mark.parametrize("text", ["", "plain", "\u00a9 2026 \u2122 \u2605 \u266a 1\ufe0f\u20e3 \u2192", "\u4f60\u597d"])
def test_other_signs_stay(text: str) -> None:
    assert name_emoji(text) == NamedText(text)


def test_a_row_of_one_emoji_is_named_twice() -> None:
    name = "loudly crying face"
    assert name_emoji(f"Oh {CRYING * 20}no").text == f"Oh {name} {name} no"
    assert name_emoji(f"{THUMB}{BROWN} " * 3 + THUMB).text.count("thumbs up") == MOST


def test_names_are_in_a_language_that_the_network_reads() -> None:
    def name(*languages: str) -> str:
        return name_emoji(CRYING, languages).text

    assert name("es") == name("hi", "es") == "cara llorando fuerte"
    assert name("zh", "es") == "\u653e\u58f0\u5927\u54ed"
    assert name("es", "en") == name("hi") == "loudly crying face"


def test_places_are_those_of_the_original() -> None:
    text = f"Oh{CRYING}, {THUMB}{BROWN}{THUMB * 4} fine"
    named = name_emoji(text)
    assert named.places is not None
    assert len(named.places) == len(named.text)
    for word, there in (
        ("Oh", "Oh"),
        ("loudly", CRYING),
        ("face", CRYING),
        ("thumbs", THUMB + BROWN),
        ("fine", "fine"),
    ):
        start = named.text.index(word)
        begin, end = named.original((start, start + len(word)))
        assert text[begin:end] == there
    assert named.original((0, 0)) == (0, 0)
    assert all(a <= c and b <= d for (a, b), (c, d) in zip(named.places, named.places[1:], strict=False))


def test_letters_and_emoji_are_words() -> None:
    assert holds_words("a")
    assert holds_words(CRYING)
    assert not any(map(holds_words, ("", "12:30?!", "\u2605 \u266a", "\u00a9")))


def test_emoji_do_not_make_the_language_less_sure() -> None:
    assert (
        detect_language(f"The bus is late {CRYING * 9}").probability == detect_language("The bus is late").probability
    )
    assert detect_language(CRYING) == (None, 1.0)


@pytest.mark.slow
def test_the_library_is_loaded_by_the_first_emoji() -> None:
    lines = (
        "import sys, mmemo; from mmemo.speech.emoji_names import name_emoji as f; f('no'); a = 'emoji' in sys.modules"
    )
    code = f"{lines}; f('\\U0001f62d'); print(a, 'emoji' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "True"]
