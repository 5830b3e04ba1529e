from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mmemo
from mmemo.comparison.predict import predict
from mmemo.data import FeatureCache, Manifest, encode
from mmemo.errors import ArgumentError
from mmemo.fusion.concat import ConcatFusion
from mmemo.labels import EKMAN7
from mmemo.testing import TinyEncoder

pytestmark = pytest.mark.slow


def test_each_modality_and_all_agree_with_analyze(
    clips: Manifest, model: mmemo.EmotionModel, cache: FeatureCache
) -> None:
    encoded = encode(clips, list(model.encoders.values()), cache)
    predictions = predict(model, encoded)
    result = mmemo.analyze(clips[0].path, text=clips[0].text, model=model, window=10, hop=10)
    for modality in ("voice", "text"):
        expected = list(result.modalities[modality].scores.values())
        np.testing.assert_allclose(predictions.scores[modality][0], expected, atol=2e-3)
    np.testing.assert_allclose(predictions.scores["voice + text"][0], list(result.scores.values()), atol=2e-3)
    np.testing.assert_allclose(predictions.ablations["voice + text"]["voice",], predictions.scores["text"], atol=1e-6)


def test_encodings_of_another_width_than_the_head_was_trained_on(clips: Manifest) -> None:
    tiny = TinyEncoder()
    model = mmemo.EmotionModel([tiny], ConcatFusion(EKMAN7, {"text": tiny.dim}))
    encoded = encode(clips, [tiny])
    assert predict(model, encoded).scores["text"].shape == (6, 7)
    with pytest.raises(ArgumentError, match=r"width 4, these clips were encoded with 9"):
        predict(model, replace(encoded, dims={"text": 9}))
