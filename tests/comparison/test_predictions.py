from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmemo.comparison.predictions import Predictions, has_prediction, merge, predicted_classes
from mmemo.errors import ArgumentError


def test_equal_scores_are_no_prediction() -> None:
    scores = np.array([[0.5, 0.3, 0.2], [1 / 3, 1 / 3, 1 / 3], [0.2, 0.4, 0.4]])
    assert has_prediction(scores).tolist() == [True, False, True]
    assert predicted_classes(scores).tolist() == [0, 3, 1]


def test_systems_are_selected_and_renamed_with_their_ablations(predictions: Predictions) -> None:
    few = predictions.select(["late", "face"]).rename("my {}".format)
    assert list(few.scores) == ["my late", "my face"]
    assert set(few.ablations) == {"my late", "my face"}
    np.testing.assert_array_equal(few.ablations["my late"]["face",], predictions.ablations["late"]["face",])


def test_bad_predictions_are_refused_by_name(predictions: Predictions) -> None:
    whole = predictions.scores["late"]
    for scores, message in (
        ({"late": whole[:5]}, "must be"),
        ({"late": whole * 2}, "sum to 1"),
        ({"late": np.where(whole == whole.max(), np.nan, whole)}, "without NaN"),
        ({}, "clips and systems"),
    ):
        with pytest.raises(ArgumentError, match=message):
            replace(predictions, scores=scores, ablations={})
    with pytest.raises(ArgumentError, match="ids repeat"):
        replace(predictions, ids=np.zeros(len(predictions)).astype(str))
    with pytest.raises(ArgumentError, match="target from 0 to 2"):
        replace(predictions, target=predictions.target + 1)
    with pytest.raises(ArgumentError, match=r"Did you mean 'late'"):
        predictions.select(["lat"])


def test_sources_are_joined_on_the_clips_that_all_have(predictions: Predictions) -> None:
    shuffled = predictions.rows(np.random.default_rng(0).permutation(200)).rename("other {}".format)
    joined = merge([predictions, shuffled])
    assert len(joined) == 200
    np.testing.assert_allclose(joined.scores["late"], joined.scores["other late"])
    assert any("the 200 that all have are compared" in note for note in joined.notes)
    with pytest.raises(ArgumentError, match="occur twice"):
        merge([predictions, predictions])
    with pytest.raises(ArgumentError, match="different labels"):
        merge([predictions, replace(shuffled, labels=("x", "y", "z"))])
    with pytest.raises(ArgumentError, match="no clip in common"):
        merge([predictions, replace(shuffled, ids=np.array([f"x{name}" for name in shuffled.ids]))])
    with pytest.raises(ArgumentError, match="disagree on the labels"):
        merge([predictions, replace(shuffled, target=(shuffled.target + 1) % 3)])
