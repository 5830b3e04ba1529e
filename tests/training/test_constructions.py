"""Sentences made by rule: what fills a pattern decides the label, in each language."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mmemo.labels import EKMAN7
from mmemo.training.constructions import LANGUAGES, constructions
from mmemo.training.text_corpora import Row


def by_text(language: str) -> dict[str, Row]:
    return {row.text: row for row in constructions(language)}


def label(row: Row) -> str:
    return EKMAN7[int(row.target.argmax())]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_has_shares_and_no_place_left_open(language: str) -> None:
    rows = constructions(language)
    assert len(rows) > 5000
    assert np.stack([row.target for row in rows]).sum(axis=1) == pytest.approx(1)
    assert not [row.text for row in rows if re.search(r"[{}]|  ", row.text)]
    assert set(map(label, rows)) == set(EKMAN7)


def test_one_text_has_one_label() -> None:
    for language in LANGUAGES:
        seen: dict[tuple[object, ...], Row] = {}
        for row in constructions(language):
            first = seen.setdefault((row.text, row.context), row)
            assert np.array_equal(first.target, row.target), row.text


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "I'm glad.", "happiness"),
        ("en", "I'm not glad.", "sadness"),
        ("en", "Nobody was furious.", "neutral"),
        ("en", "I've never been so furious.", "anger"),
        ("en", "There was nobody who was not glad.", "happiness"),
        ("en", "I wish I were glad.", "sadness"),
        ("zh", "我一点也不生气。", "neutral"),
        ("zh", "我从来没有这么生气过。", "anger"),
        ("es", "ninguno de nosotros se sintió asustado.", "neutral"),
        ("es", "ojalá estuviera feliz.", "sadness"),
    ],
)
def test_patterns_turn_the_label(language: str, text: str, expected: str) -> None:
    rows = by_text(language)
    assert label(rows[text[0].upper() + text[1:]]) == expected


def test_the_second_of_two_events_weighs_more() -> None:
    lines = [Row("my tooth came out on its own", np.eye(7, dtype=np.float32)[EKMAN7.index("surprise")], "a")]
    rows = constructions("en", lines)
    labels = {label(row) for row in rows if row.text.startswith("Although I got the job,")}
    assert labels
    assert "happiness" not in labels
    said = {label(row) for row in rows if row.text.endswith("my tooth came out on its own.") and "but" in row.text}
    assert said == {"surprise"}


def test_praise_means_its_opposite_after_bad_news_alone() -> None:
    labels = {row.context[0].text: label(row) for row in constructions("en") if row.text == "Just perfect."}
    assert labels["He lied to me again."] == "anger"
    assert labels["I got the job."] == labels["The train leaves at nine."] == "happiness"
