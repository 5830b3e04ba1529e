"""The blendshape encoder: its features, its contract, and that it says what a face shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax

from mmemo import EmotionModel, analyze, load_model
from mmemo.encoders.base import Encoder
from mmemo.encoders.face.blendshapes import FEATURES, BlendshapeEncoder, features, mirror
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence, FaceEvidence
from mmemo.faces import BLENDSHAPES, FaceFinder
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, MEGC3, LabelSet
from mmemo.samples import portrait
from mmemo.testing import check_encoder

pytestmark = pytest.mark.slow


def evidence(count: int, seed: int = 0, quality: np.ndarray | None = None) -> Evidence:
    rng = np.random.default_rng(seed)
    left, top = rng.uniform(100, 140, (2, count))
    face = FaceEvidence(
        person=0,
        times=np.arange(count) / 25,
        crops=np.zeros((count, 8, 8, 3), np.uint8),
        quality=np.ones(count, np.float32) if quality is None else quality.astype(np.float32),
        landmarks=np.zeros((count, 478, 3), np.float32),
        blendshapes=rng.uniform(0, 1, (count, 52)).astype(np.float32),
        pose=rng.normal(0, 10, (count, 3)).astype(np.float32),
        box=np.stack([left, top, left + 80, top + 100], axis=1).astype(np.float32),
        frame_size=(640, 360),
        coverage=1.0,
    )
    return Evidence(0.0, 2.0, face=face)


def weights(hidden: int = 6, classes: int = 7, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "mean": rng.normal(size=58).astype(np.float32),
        "scale": rng.uniform(0.5, 2, 58).astype(np.float32),
        "weight1": rng.normal(size=(58, hidden)).astype(np.float32) / 8,
        "bias1": rng.normal(size=hidden).astype(np.float32),
        "weight2": rng.normal(size=(hidden, classes)).astype(np.float32),
        "bias2": rng.normal(size=classes).astype(np.float32),
    }


@pytest.fixture(scope="module")
def encoder() -> BlendshapeEncoder:
    return BlendshapeEncoder(weights(), EKMAN7)


def test_is_an_encoder(encoder: BlendshapeEncoder) -> None:
    assert isinstance(encoder, Encoder)
    assert (encoder.modality, encoder.dim) == ("blendshapes", 6)
    check_encoder(encoder, [evidence(1), evidence(5, seed=1)])


def test_features_are_blendshapes_pose_and_movement() -> None:
    face = evidence(3).face
    assert face is not None
    values = features(face)
    assert values.shape == (3, len(FEATURES)) == (3, 58)
    assert np.array_equal(values[:, :52], face.blendshapes)
    assert np.array_equal(values[:, 52:55], face.pose)
    assert np.median(values[:, 55:57], axis=0) == pytest.approx([0, 0], abs=1e-6)
    x = (face.box[:, 0] + face.box[:, 2]) / 2
    assert values[2, 55] - values[0, 55] == pytest.approx((x[2] - x[0]) / 80, abs=1e-5)
    assert values[:, 57] == pytest.approx(0, abs=1e-6)


def test_a_face_that_comes_nearer() -> None:
    window = evidence(3)
    assert window.face is not None
    grown = window.face.box.copy()
    grown[2] = [60, 60, 60 + 160, 60 + 200]
    window = Evidence(0.0, 2.0, FaceEvidence(**{**vars(window.face), "box": grown}))
    assert window.face is not None
    assert features(window.face)[:, 57] == pytest.approx([0, 0, np.log(2)], abs=1e-5)


def test_a_still_has_no_movement() -> None:
    assert features(evidence(1).face)[0, 55:] == pytest.approx([0, 0, 0])


def test_mirroring_twice_changes_nothing_and_once_exchanges_the_sides() -> None:
    values = features(evidence(4).face)
    assert np.array_equal(mirror(mirror(values)), values)
    once = mirror(values)
    left, right = BLENDSHAPES.index("mouthSmileLeft"), BLENDSHAPES.index("mouthSmileRight")
    assert np.array_equal(once[:, left], values[:, right])
    assert np.array_equal(once[:, BLENDSHAPES.index("jawOpen")], values[:, BLENDSHAPES.index("jawOpen")])
    assert np.array_equal(once[:, FEATURES.index("yaw")], -values[:, FEATURES.index("yaw")])
    assert np.array_equal(once[:, FEATURES.index("pitch")], values[:, FEATURES.index("pitch")])


def test_mirroring_agrees_with_the_landmarker_on_a_mirrored_picture() -> None:
    """The features of a mirrored photo are the mirrored features, as far as the landmarker is symmetric."""
    finder, photo = FaceFinder(), portrait()
    plain, flipped = (finder.find(np.ascontiguousarray(image))[0] for image in (photo, photo[:, ::-1]))
    values = [np.concatenate([face.blendshapes, face.pose, np.zeros(3)])[None] for face in (plain, flipped)]
    assert np.abs(mirror(values[0])[0, :52] - values[1][0, :52]).mean() < 0.05
    assert mirror(values[0])[0, 52:55] == pytest.approx(values[1][0, 52:55], abs=3.0)


def test_logits_by_hand(encoder: BlendshapeEncoder) -> None:
    window = evidence(2, quality=np.array([0.2, 0.6]))
    w, values = weights(), features(window.face)

    def hidden(x: np.ndarray) -> np.ndarray:
        return np.maximum((x - w["mean"]) * w["scale"] @ w["weight1"] + w["bias1"], 0)

    layer = (hidden(values) + hidden(mirror(values))) / 2
    scores = log_softmax(layer @ w["weight2"] + w["bias2"], axis=1)
    encoding = encoder.encode([encoder.prepare(window)])
    assert encoding.tokens[0] == pytest.approx(layer, abs=1e-4)
    assert encoding.logits[0] == pytest.approx(0.25 * scores[0] + 0.75 * scores[1], abs=1e-4)


def test_prepare_without_a_usable_face(encoder: BlendshapeEncoder) -> None:
    assert encoder.prepare(Evidence(0.0, 1.0)) is None
    assert encoder.prepare(evidence(2, quality=np.array([0.01, 0.02]))) is None
    prepared = encoder.prepare(evidence(3, quality=np.array([0.5, 0.01, 0.7])))
    assert prepared is not None
    assert prepared.shape == (2, 59)


def test_saves_and_loads(encoder: BlendshapeEncoder, tmp_path: Path) -> None:
    BlendshapeEncoder(weights(), EKMAN7, modality="face", frames=3, card={"corpora": {"a": "b"}}).save(tmp_path / "b")
    again = BlendshapeEncoder.load(tmp_path / "b")
    assert (again.modality, again.frames, again.card["corpora"]) == ("face", 3, {"a": "b"})
    window = encoder.prepare(evidence(3))
    assert np.array_equal(again.encode([window]).logits, encoder.encode([window]).logits)
    with pytest.raises(UnknownModelError):
        BlendshapeEncoder.load(tmp_path)
    config = tmp_path / "b" / "config.json"
    config.write_text(config.read_text().replace('"modality"', '"mode"'))
    with pytest.raises(WeightsError, match="modality"):
        BlendshapeEncoder.load(tmp_path / "b")


def test_says_what_is_wrong(encoder: BlendshapeEncoder) -> None:
    with pytest.raises(ArgumentError, match="58 features and 3 labels"):
        BlendshapeEncoder(weights(), MEGC3)
    with pytest.raises(ArgumentError, match="empty batch"):
        encoder.encode([])
    with pytest.raises(ArgumentError, match=r"\(T, 59\), got \(2, 58\)"):
        encoder.encode([np.zeros((2, 58), np.float32)])


def test_beside_the_face_network_in_a_saved_model(encoder: BlendshapeEncoder, clip: Path, tmp_path: Path) -> None:
    face = load_model(modalities=("face",), device="cpu").encoders["face"]
    model = EmotionModel([face, encoder], LateFusion(EKMAN7, {"face": 0.8, "blendshapes": 0.2}))
    model.save(tmp_path / "model")
    result = analyze(clip, model=tmp_path / "model")
    assert set(result.modalities) == {"face", "blendshapes"}
    assert result.modalities["blendshapes"].weight == pytest.approx(0.2)


def test_labels_of_ones_own_are_saved(tmp_path: Path) -> None:
    mine = LabelSet("mine", ("calm", "tense"))
    folder = BlendshapeEncoder(weights(classes=2), mine).save(tmp_path / "mine")
    assert BlendshapeEncoder.load(folder).labels == mine


def test_folders_of_the_first_version_load(tmp_path: Path) -> None:
    config = BlendshapeEncoder(weights(), EKMAN7).save(tmp_path / "b") / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "labels": "ekman7"}))
    assert BlendshapeEncoder.load(tmp_path / "b").labels == EKMAN7
    config.write_text(json.dumps({**json.loads(config.read_text()), "labels": "mine"}))
    with pytest.raises(WeightsError, match="Label set"):
        BlendshapeEncoder.load(tmp_path / "b")
