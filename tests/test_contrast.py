"""The contrast set of `benchmarks/contrast.py` is sound."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from mmemo.labels import EKMAN7

FILE = Path(__file__).parents[1] / "benchmarks" / "contrast.tsv"
GROUPS = {
    "denial", "quantifiers", "intensifiers", "wishes", "past", "mixed", "sarcasm", "sincere", "emoji", "caps", "slang",
    "typos", "quotes",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def plain(text: str) -> str:
    """The text without case, blanks and punctuation; emoji stay."""
    kept = (character for character in text.casefold() if unicodedata.category(character)[0] not in "PZ")
    return "".join(kept)


def test_rows_are_whole_and_their_ids_unique(rows: list[dict[str, str]]) -> None:
    assert len(rows) >= 400
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["id"].startswith(f"{row['group']}-{row['language']}-")
        assert row["half"] in ("dev", "test")
        assert row["text"] == row["text"].strip() != ""
        assert None not in row.values(), row["id"]


def test_labels_are_the_seven_and_more_than_one_is_rare(rows: list[dict[str, str]]) -> None:
    labels = [row["label"].split("|") for row in rows]
    assert {label for several in labels for label in several} == set(EKMAN7)
    assert sum(len(several) > 1 for several in labels) < 0.03 * len(rows)
    for half in ("dev", "test"):
        counts = Counter(several[0] for row, several in zip(rows, labels, strict=True) if row["half"] == half)
        assert min(counts.values()) >= 12, counts
        assert max(counts.values()) <= 50, counts


def test_halves_are_equal_in_each_group_and_language(rows: list[dict[str, str]]) -> None:
    assert {row["group"] for row in rows} == GROUPS
    counts = Counter((row["group"], row["language"], row["half"]) for row in rows)
    for group, language, _ in counts:
        assert counts[group, language, "dev"] == counts[group, language, "test"], (group, language)
    languages = Counter(row["language"] for row in rows)
    assert languages["en"] >= 300
    assert min(languages["zh"], languages["es"]) >= 60


def test_no_text_is_in_both_halves(rows: list[dict[str, str]]) -> None:
    dev, test = ({plain(row["text"]) for row in rows if row["half"] == half} for half in ("dev", "test"))
    assert not dev & test


def test_sarcasm_has_context_and_twins_differ_in_label(rows: list[dict[str, str]]) -> None:
    by_id = {row["id"]: row for row in rows}
    for row in rows:
        assert bool(row["context"]) == (row["group"] in ("sarcasm", "sincere")), row["id"]
        assert all(line[:3] in ("A: ", "B: ") for line in row["context"].split("|") if line), row["id"]
        if row["twin"]:
            twin = by_id[row["twin"]]
            assert (twin["twin"], twin["half"], twin["language"]) == (row["id"], row["half"], row["language"])
            assert not {*row["label"].split("|")} & {*twin["label"].split("|")}, row["id"]
