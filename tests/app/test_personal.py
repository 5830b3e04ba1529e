"""What the app knows of people and place, as the worker gets it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mmemo import Adaptation, Analyzer, Baseline
from mmemo.app.personal import Personal
from mmemo.app.sessions import Features
from mmemo.errors import ArgumentError
from mmemo.personal.corrections import ClipFeatures, Corrections

LINES = ("I am so happy!", "I am so sad.", "It makes me angry.", "What a lovely day.")
ANALYZER = Analyzer(modalities=("text",))


@pytest.fixture(scope="module")
def clips() -> Sequence[Features]:
    """Features of each line."""
    encoded = [ANALYZER.analyze_and_encode(text=line)[1] for line in LINES]
    return [{name: ClipFeatures.of(one) for name, one in encodings.items()} for encodings in encoded]


def test_earlier_clips_are_a_baseline(clips: Sequence[Features]) -> None:
    """The same as `Baseline.fit` makes of the results."""
    request = json.loads(json.dumps(Personal("natural").request(ANALYZER.model, clips)))
    baseline = Baseline.from_dict(request["baseline"])
    expected = Baseline.fit([ANALYZER(text=line) for line in LINES])
    assert baseline.weights == expected.weights
    np.testing.assert_allclose(baseline.modalities["text"].mean, expected.modalities["text"].mean, atol=0.01)
    assert (request["prior"], request["adaptation"]) == ("natural", None)
    assert Personal().request(ANALYZER.model)["baseline"] is None


def test_they_lie_within_the_place(clips: Sequence[Features]) -> None:
    place = Baseline.fit([ANALYZER(text=line) for line in LINES], of="place")
    for given in (place, Baseline.fit([ANALYZER(text=LINES[0])], place=place)):
        document = Personal(baseline=given).request(ANALYZER.model, clips)["baseline"]
        assert document["place"] == place.to_dict()
        assert document["modalities"]["text"]["clips"] == len(LINES)
        assert Personal(baseline=given).request(ANALYZER.model)["baseline"] == given.to_dict()


def test_corrections_are_the_adaptation(clips: Sequence[Features], tmp_path: Path) -> None:
    personal, model = Personal(corrections=Corrections(tmp_path)), ANALYZER.model
    assert personal.corrections is not None
    for count, clip in enumerate(clips[:3]):
        assert personal.request(model)["adaptation"] is None, count
        personal.corrections.add("anger", "happiness", clip, model)
    assert personal.request(model)["adaptation"]["clips"] == {"anger": 3}
    assert personal.adjusted(model)._corrections


def test_an_adaptation_beside_corrections_is_refused(tmp_path: Path) -> None:
    adaptation = Adaptation.of_encodings([(ANALYZER.analyze_and_encode(text=LINES[0])[1], "fear")], ANALYZER.model)
    with pytest.raises(ArgumentError, match="not both"):
        Personal(adaptation=adaptation, corrections=Corrections(tmp_path))
