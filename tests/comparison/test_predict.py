from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mmemo
from mmemo.clip import Clip
from mmemo.comparison.predict import predict
from mmemo.data import FeatureCache, Manifest, encode
from mmemo.errors import ArgumentError
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.late import LateFusion
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


def test_windows_give_the_scores_of_analyze(clips: Manifest, model: mmemo.EmotionModel, cache: FeatureCache) -> None:
    """Of every subset of modalities, and again from the cache."""
    few = Manifest(clips.clips[:2], clips.labels)
    encoders = list(model.encoders.values())
    for _ in range(2):
        encoded = encode(few, encoders, cache, window=0.5, hop=0.25)
        assert len(encoded.clip_of) > len(few)
        predictions = predict(model, encoded)
        for row, clip in enumerate(few):
            for name, scores in predictions.scores.items():
                result = mmemo.analyze(
                    clip.path, text=clip.text, model=model, modalities=name.split(" + "), window=0.5, hop=0.25
                )
                np.testing.assert_allclose(scores[row], list(result.scores.values()), atol=1e-6)


def test_encodings_of_another_width_than_the_head_was_trained_on(clips: Manifest) -> None:
    tiny = TinyEncoder()
    model = mmemo.EmotionModel([tiny], ConcatFusion(EKMAN7, {"text": tiny.dim}))
    encoded = encode(clips, [tiny])
    assert predict(model, encoded).scores["text"].shape == (6, 7)
    with pytest.raises(ArgumentError, match=r"width 4, these clips were encoded with 9"):
        predict(model, replace(encoded, dims={"text": 9}))


def test_twins_are_relative_to_the_other_clips_of_the_speaker() -> None:
    clips = tuple(
        Clip(text=f"{who} {chr(60 + 7 * n)}", id=f"{who}{n}", label="anger" if n % 2 else "fear", speaker=who)
        for who in ("anna", "ben", "cleo")
        for n in range(4)
    )
    tiny = TinyEncoder()
    model = mmemo.EmotionModel([tiny], LateFusion(EKMAN7, {"text": 1.0}), {"text": 0.3})
    predictions = predict(model, encode(Manifest(clips, EKMAN7), [tiny]), baseline=True)
    results = [mmemo.analyze(text=clip.text, model=model) for clip in clips]
    place = mmemo.Baseline.fit(results[4:], of="place")
    baseline = mmemo.Baseline.fit(results[1:4]).within(place)
    relative = mmemo.analyze(text=clips[0].text, model=model, baseline=baseline)
    plain, twin = predictions.scores["text"][0], predictions.scores["text (baseline)"][0]
    np.testing.assert_allclose(plain, list(results[0].scores.values()), atol=2e-3)
    np.testing.assert_allclose(twin, list(relative.scores.values()), atol=2e-3)
    assert np.abs(plain - twin).max() > 0.05
    assert list(predictions.ablations["text (baseline)"]) == [("text",)]
    assert any("relative to the other compared clips of its speaker" in note for note in predictions.notes)
