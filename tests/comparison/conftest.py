from __future__ import annotations

import numpy as np
import pytest

import mmemo
from mmemo.comparison.compare import compare_predictions
from mmemo.comparison.predictions import Predictions
from mmemo.comparison.result import Comparison
from mmemo.data import FeatureCache, Manifest
from mmemo.data.corpora import read_corpus
from mmemo.encoders.softmax import softmax
from mmemo.samples import make_corpus

LABELS = ("a", "b", "c")


def made_up(clips: int = 240, speakers: int = 8, seed: int = 0) -> Predictions:
    """A face and a voice that each know something, and their product, which knows more."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, clips)
    logits = {name: rng.normal(0, 1, (clips, 3)) + 1.2 * np.eye(3)[target] for name in ("face", "voice")}
    scores = {name: softmax(one) for name, one in logits.items()}
    scores["late"] = softmax(logits["face"] + logits["voice"])
    uniform = np.full((clips, 3), 1 / 3)
    ablations = {
        "face": {("face",): uniform},
        "voice": {("voice",): uniform},
        "late": {("face",): scores["voice"], ("voice",): scores["face"], ("face", "voice"): uniform},
    }
    who = np.arange(clips) % speakers
    groups = {
        "speaker": np.array([f"speaker {number}" for number in who]),
        "gender": np.where(who % 2, "female", "male"),
    }
    return Predictions(LABELS, np.arange(clips).astype(str), target, scores, ablations, groups)


@pytest.fixture(scope="session")
def predictions() -> Predictions:
    return made_up()


@pytest.fixture(scope="session")
def comparison(predictions: Predictions) -> Comparison:
    return compare_predictions(predictions, "made up", draws=500)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    sheet = make_corpus(tmp_path_factory.mktemp("corpus"), speakers=3)
    columns = {"path": "file", "label": "emotion", "speaker": "actor", "transcript": "words"}
    manifest = read_corpus("table", sheet, columns=columns).manifest
    return manifest.update(lambda clip: {"gender": "female" if clip.speaker == "actor 1" else "male"})


@pytest.fixture(scope="session")
def model() -> mmemo.EmotionModel:
    return mmemo.load_model(modalities=("voice", "text"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    return FeatureCache(tmp_path_factory.mktemp("cache") / "features.sqlite")
