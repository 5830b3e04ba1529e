"""Affect by hand: what follows from scores is marked so, and a fused one is the mean by weight."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mmemo import EmotionResult
from mmemo.affect import PLACES, Affect, derive_affect, mean_affect, places_of
from mmemo.errors import ArgumentError
from mmemo.labels import AFFECTNET8, EKMAN7, IEMOCAP10, SENTIMENT3
from mmemo.result import ModalityScores, Person, Segment

PREDICTED = Affect(-0.2, 0.1, 0.3)
HALF_ANGRY = {"anger": 0.5, "neutral": 0.5}


def test_the_expectation_under_the_scores() -> None:
    affect = derive_affect({"Happiness": 0.6, "sadness": 0.3, "neutral": 0.1})
    assert affect is not None
    assert affect.valence == pytest.approx(0.6 * 0.81 - 0.3 * 0.63)
    assert affect.arousal == pytest.approx(0.6 * 0.51 - 0.3 * 0.27)
    assert affect.dominance == pytest.approx(0.6 * 0.46 - 0.3 * 0.33)
    assert affect.derived


def test_labels_without_a_place_give_none_rather_than_a_wrong_one() -> None:
    assert places_of(SENTIMENT3) is None
    assert places_of(IEMOCAP10) is None  # it has "other"
    assert derive_affect({"anger": 0.9, "trust": 0.1}) is None
    assert ModalityScores({"positive": 0.9, "negative": 0.1}, 1.0).affect is None
    for known in (EKMAN7, AFFECTNET8):
        places = places_of(known)
        assert places is not None
        assert places.shape == (len(known), 3)
        assert np.abs(places).max() < 1
    assert PLACES["angry"] == PLACES["anger"]


@pytest.mark.parametrize("value", [1.5, -2.0, math.nan])
def test_a_value_outside_is_refused(value: float) -> None:
    with pytest.raises(ArgumentError, match="from -1 to 1"):
        Affect(0.0, value, 0.0)


@pytest.mark.parametrize("scores", [{}, {"happy": 0.0}, {"happy": 1.0, "sad": -1.0}, {"sad": math.inf, "happy": 0.5}])
def test_scores_that_are_no_shares_are_refused(scores: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match="expected shares"):
        derive_affect(scores)


def test_the_mean_is_by_weight() -> None:
    affects = [Affect(0.8, 0.0, 0.0), Affect(-0.2, 0.5, 0.0)]
    assert mean_affect(affects, [0.25, 0.75]) == Affect(0.05, 0.375, 0.0)
    assert mean_affect(affects, [0.0, 0.0]) == Affect(0.3, 0.25, 0.0)
    assert mean_affect([affects[0], replace(affects[1], derived=True)], [0.5, 0.5]).derived


def test_what_was_predicted_is_kept_and_what_is_derived_follows_the_scores() -> None:
    predicted = ModalityScores(HALF_ANGRY, 1.0, affect=PREDICTED)
    assert predicted.affect == PREDICTED
    assert replace(predicted, scores={"anger": 0.0, "neutral": 1.0}).affect == PREDICTED
    derived = ModalityScores(HALF_ANGRY, 1.0)
    assert derived.affect == Affect(-0.255, 0.295, 0.125, derived=True)
    assert replace(derived, scores={"anger": 0.0, "neutral": 1.0}).affect == Affect(0.0, 0.0, 0.0, derived=True)


def test_a_predicted_arousal_stays_while_the_rest_follows_the_scores() -> None:
    voice = ModalityScores(HALF_ANGRY, 1.0, arousal=-0.5)
    assert voice.affect == Affect(-0.255, -0.5, 0.125, derived=True)
    assert replace(voice, scores={"anger": 0.0, "neutral": 1.0}).affect == Affect(0.0, -0.5, 0.0, derived=True)


def test_clip_windows_and_people_are_fused_by_weight() -> None:
    face = ModalityScores(HALF_ANGRY, 0.9, 0.25)
    text = ModalityScores(HALF_ANGRY, 0.5, 0.75, PREDICTED)
    both, spoken = {"face": face, "text": text}, {"text": text}
    windows = (Segment(0.0, 2.0, HALF_ANGRY, both), Segment(2.0, 4.0, HALF_ANGRY, spoken))
    person = Person(0, 0.0, 2.0, 0.5, (0.1, 0.1, 0.2, 0.2), HALF_ANGRY, windows[:1], modalities={"face": face})
    result = EmotionResult(None, 4.0, HALF_ANGRY, both, windows, (person,))
    fused = Affect(-0.21375, 0.14875, 0.25625, derived=True)
    assert result.affect == fused
    assert [window.affect for window in windows] == [fused, PREDICTED]
    assert person.affect == face.affect
    assert replace(result, modalities=spoken).affect == PREDICTED


def test_without_weights_coverage_counts() -> None:
    face, text = ModalityScores(HALF_ANGRY, 0.75), ModalityScores(HALF_ANGRY, 0.25, affect=PREDICTED)
    affect = EmotionResult(None, 1.0, HALF_ANGRY, {"face": face, "text": text}).affect
    assert affect is not None
    assert affect.valence == pytest.approx(0.75 * -0.255 + 0.25 * -0.2)


def test_a_document_from_before_has_the_same_affect() -> None:
    third = {"anger": 1 / 3, "neutral": 2 / 3}
    modalities = {"face": ModalityScores(third, 1.0, 2 / 3), "text": ModalityScores(third, 1.0, 1 / 3, PREDICTED)}
    result = EmotionResult(None, 2.0, third, modalities, (Segment(0.0, 2.0, third, modalities),))
    document = result.to_dict()
    assert document["modalities"]["text"]["affect"] == {"valence": -0.2, "arousal": 0.1, "dominance": 0.3}
    assert document["segments"][0]["affect"]["derived"] is True
    assert EmotionResult.from_dict(document).to_dict() == document
    before = EmotionResult.from_dict(document).to_dict()
    before["affect"] = before["modalities"]["text"]["affect"]  # it was that of the words alone
    for part in (before, before["segments"][0]):
        del part["modalities"]["face"]["affect"]
    del before["segments"][0]["affect"]
    assert EmotionResult.from_dict(before).to_dict() == document
