"""What the recipe of the voice does with corpora that have some of the labels only."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmemo.labels import EKMAN7

pytestmark = pytest.mark.slow

NEUTRAL, DISGUST = EKMAN7.index("neutral"), EKMAN7.index("disgust")


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "voice_speech", Path(__file__).parents[2] / "recipes" / "voice_speech.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["voice_speech"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_corpus_without_disgust_is_no_evidence_against_it(recipe: ModuleType) -> None:
    """Two corpora sound the same; one has no disgust. Where it sounds like disgust, that is what is scored."""
    rng = np.random.default_rng(0)
    utterances, points = [], []
    for corpus, labels in (("ravdess", (0, 1, 5)), ("nemo", (0, 1))):
        for label in labels:
            utterances += [recipe.Utterance(corpus, "", "one", label, "train")] * 20
            points.append(rng.normal(size=(20, 8)) * 0.3 + np.eye(8)[label] * 2)
    points = np.concatenate(points).astype(np.float32)
    count = len(points)
    features = recipe.Features(points, np.arange(count), np.ones(count, bool), np.ones(count), np.zeros(count, bool))
    matrix, offset = recipe.fit_speech(points, features, utterances, ("ravdess", "nemo"), 0.01)
    ambiguous = (np.eye(8)[NEUTRAL] + np.eye(8)[DISGUST]).astype(np.float32)
    logits = matrix @ ambiguous + offset
    assert abs(logits[NEUTRAL] - logits[DISGUST]) < 0.5
    masks = recipe.lacking(utterances)
    assert masks["nemo"][DISGUST] < -10
    assert masks["ravdess"][DISGUST] == 0


def test_each_file_counts_once_however_long(recipe: ModuleType) -> None:
    files = np.array([0, 0, 0, 1, 2, 3])
    weights = recipe.balanced([("a", 0), ("a", 0), ("a", 0), ("a", 0), ("a", 1), ("b", 0)], files)
    np.testing.assert_allclose(np.bincount(files, weights), [0.25, 0.25, 0.5, 1.0])


def test_windows_of_a_file(recipe: ModuleType) -> None:
    assert recipe.spans_of(110) == [(0, 110)]
    assert recipe.spans_of(210) == [(0, 210), (0, 100), (50, 150), (100, 200)]
