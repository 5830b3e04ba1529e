from __future__ import annotations

import json

import numpy as np
import pytest

from mmemo import labels
from mmemo.errors import LabelError
from mmemo.labels import EKMAN7, RAVDESS8, RAVDESS8_TO_EKMAN7, LabelMapping, LabelSet


def test_an_unknown_label_lists_the_known_ones() -> None:
    with pytest.raises(LabelError, match=r"expected one of .*'happiness'.*got 'hapiness'.*Did you mean 'happiness'"):
        EKMAN7.index("hapiness")


@pytest.mark.parametrize("names", [("one",), ("a", "a")])
def test_a_label_set_needs_two_different_labels(names: tuple[str, ...]) -> None:
    with pytest.raises(LabelError):
        LabelSet("bad", names)


def test_scores_are_named_in_order() -> None:
    assert EKMAN7.scores(np.arange(7.0))["surprise"] == 6.0
    with pytest.raises(LabelError, match="7 labels"):
        EKMAN7.scores(np.zeros(6))


def test_a_mapping_counts_and_says_what_it_loses() -> None:
    matrix = RAVDESS8_TO_EKMAN7.matrix()
    assert matrix.shape == (8, 7)
    assert (np.eye(8)[RAVDESS8.index("calm")] @ matrix).argmax() == EKMAN7.index("neutral")
    assert "Calm" in RAVDESS8_TO_EKMAN7.loses


def test_every_mapping_is_complete() -> None:
    found = [thing for thing in vars(labels).values() if isinstance(thing, LabelMapping)]
    assert len(found) >= 6
    for mapping in found:
        assert mapping.matrix().sum() == sum(to is not None for to in mapping.pairs.values())
        dropped = [label for label, to in mapping.pairs.items() if to is None]
        assert not dropped or mapping.loses, f"{mapping.source.name} drops {dropped} without a word"


def test_a_mapping_that_forgets_a_label_is_refused() -> None:
    with pytest.raises(LabelError, match="says nothing of"):
        LabelMapping(RAVDESS8, EKMAN7, {"neutral": "neutral"})


def test_every_corpus_finds_its_way_into_the_seven() -> None:
    for name, mapping in vars(labels).items():
        if name.endswith("_TO_EKMAN7"):
            assert labels.to_ekman7(mapping.source) is mapping
    assert labels.to_ekman7(labels.EKMAN7)("fear") == "fear"
    assert labels.to_ekman7(labels.LabelSet("mine", ("happy", "anger")))("happy") == "happiness"
    with pytest.raises(LabelError, match=r"bored.*of your own"):
        labels.to_ekman7(labels.LabelSet("mine", ("bored", "anger")))


@pytest.mark.parametrize("labels", [EKMAN7, LabelSet("mine", ("calm", "tense"))], ids=["ours", "own"])
def test_a_label_set_has_one_form_on_disk(labels: LabelSet) -> None:
    assert LabelSet.from_config(json.loads(json.dumps(labels.to_config()))) == labels


def test_label_sets_of_the_first_version_are_read() -> None:
    assert LabelSet.from_config("ekman7") == EKMAN7
    assert LabelSet.from_config(list(EKMAN7)) == EKMAN7
    assert LabelSet.from_config(["calm", "tense"]) == LabelSet("own", ("calm", "tense"))


@pytest.mark.parametrize(
    "config", ["ekman8", {"name": "mine"}, {"name": 1, "labels": ["a", "b"]}, [1, 2], ["a", "a"], 7, None]
)
def test_what_is_no_label_set_is_refused(config: object) -> None:
    with pytest.raises(LabelError):
        LabelSet.from_config(config)
