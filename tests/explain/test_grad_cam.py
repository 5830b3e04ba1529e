"""Heat maps of the face network: they depend on its weights, on the label, and lie on the face."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import mmemo
from mmemo import Analyzer, EmotionModel
from mmemo.encoders.face.encoder import FaceEncoder
from mmemo.errors import ArgumentError, MissingExtraError, MissingStreamError
from mmemo.explain.grad_cam import heat_map, outline
from mmemo.faces import FaceFinder
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7
from mmemo.pretrained import WEIGHTS
from mmemo.samples import make_clip, portrait
from mmemo.testing import TinyEncoder

pytestmark = pytest.mark.slow

pytest.importorskip("captum", reason="needs the extra explain")


@pytest.fixture(scope="module")
def encoder() -> FaceEncoder:
    return FaceEncoder.load(WEIGHTS / "face")


@pytest.fixture(scope="module")
def model(encoder: FaceEncoder) -> EmotionModel:
    return EmotionModel([encoder], LateFusion(EKMAN7, {"face": 1.0}))


def test_a_smile_is_explained_by_the_mouth(model: EmotionModel) -> None:
    explained = mmemo.explain.face(portrait(), model=model)
    assert explained.label == "happiness"
    assert explained.score == max(explained.scores.values()) > 0.5
    assert explained.heat.shape == explained.crop.shape[:2] == (112, 112)
    assert 0 <= float(explained.heat.min()) < 0.1
    assert float(explained.heat.max()) == 1
    rows = np.arange(112) / 112
    height = float((explained.heat.sum(axis=1) * rows).sum() / explained.heat.sum())
    assert height > 0.55  # eyes are at 0.37, the mouth at 0.75
    found = FaceFinder().find(portrait())[0]
    assert explained.on_face > outline(found).mean() + 0.05  # more than its share of the area


def test_it_is_the_definition_of_grad_cam(encoder: FaceEncoder) -> None:
    """Computed again by hand: channel weights are the mean gradients; their weighted sum, rectified."""
    crop = FaceFinder().find(portrait())[0].crop
    network = encoder.network
    from mmemo.encoders.face.encoder import gray_crops

    total = np.zeros(())
    for flipped in (False, True):
        view = crop[:, ::-1] if flipped else crop
        image = torch.from_numpy(gray_crops(view[None], encoder.size))[None]
        kept = {}
        layer = network.blocks[-1]
        hook = layer.register_forward_hook(lambda _, __, out, kept=kept: kept.update(out=out))
        logits = network(image)[1]
        hook.remove()
        (gradient,) = torch.autograd.grad(logits[0, 1], kept["out"])
        raw = torch.relu((gradient.mean((2, 3), keepdim=True) * kept["out"]).sum(1))[0].detach().numpy()
        total = total + (raw[:, ::-1] if flipped else raw)
    expected = np.maximum(cv2.resize(np.ascontiguousarray(total), (112, 112), interpolation=cv2.INTER_CUBIC), 0)
    assert heat_map(encoder, crop, "happiness") == pytest.approx(expected / expected.max(), abs=1e-3)


def test_the_map_changes_when_the_weights_are_random(encoder: FaceEncoder) -> None:
    """Adebayo et al. 2018: a map that stays the same would show the picture and not the model."""
    crop = FaceFinder().find(portrait())[0].crop
    before = heat_map(encoder, crop, "happiness")
    likeness = []
    for seed in range(3):
        torch.manual_seed(seed)
        network = copy.deepcopy(encoder.network)
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.reset_parameters()
        after = heat_map(FaceEncoder(network, EKMAN7), crop, "happiness")
        likeness.append(spearmanr(before.ravel(), after.ravel())[0] if after.any() else 0.0)
    assert any(likeness)
    assert max(likeness) < 0.6
    assert np.mean(likeness) < 0.4
    assert spearmanr(before.ravel(), heat_map(encoder, crop, "happiness").ravel())[0] > 0.999


def test_the_map_depends_on_the_label(encoder: FaceEncoder) -> None:
    crop = FaceFinder().find(portrait())[0].crop
    happy, sad = (heat_map(encoder, crop, label) for label in ("happiness", "sadness"))
    assert happy.max() == 1
    assert np.abs(happy - sad).mean() > 0.1  # in a smile there may be nothing at all for sadness: a map of zeros


@pytest.mark.data
def test_heat_falls_on_real_faces_rather_than_the_border(encoder: FaceEncoder, shared_data: Path) -> None:
    """On posed faces of every class, a place on the face is on average hotter than one in the rim of the crop."""
    rim = np.ones((112, 112), bool)
    rim[11:-11, 11:-11] = False
    inside, border, finder = [], [], FaceFinder()
    for folder in sorted((shared_data / "face" / "CK+48").iterdir()):
        for path in sorted(folder.glob("*.png"))[::20][:8]:
            found = finder.find(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))[0]
            gray = cv2.cvtColor(found.crop, cv2.COLOR_RGB2GRAY)
            prepared = cv2.resize(gray, (encoder.size,) * 2, interpolation=cv2.INTER_AREA) / np.float32(255)
            window = np.stack([prepared, np.ones_like(prepared)])[None].astype(np.float32)
            label = EKMAN7[int(encoder.encode([window]).logits[0].argmax())]
            heat = heat_map(encoder, found.crop, label)
            inside.append(float(heat[outline(found) & ~rim].mean()))
            border.append(float(heat[rim].mean()))
    assert len(inside) > 40
    assert np.mean(inside) > 1.25 * np.mean(border)
    assert np.mean(np.array(inside) > np.array(border)) > 0.75


def test_a_result_is_explained_at_its_clearest_window(analyzer: Analyzer, clip: Path, tmp_path: Path) -> None:
    result = Analyzer(analyzer.model, modalities=("face",))(clip)
    explained = mmemo.explain.face(result, model=analyzer.model)
    assert explained.label == "happiness"
    clearest = max(result.segments, key=lambda segment: max(segment.modalities["face"].scores.values()))
    assert clearest.start <= explained.time <= clearest.end + 0.1
    path = explained.save(tmp_path / "why.png")
    picture = cv2.imread(str(path))
    assert picture.shape == (488, 896, 3)
    left, right = picture[40:, :448].astype(int), picture[40:, 448:].astype(int)
    red, plain = (half[..., 2] - half[..., 0] for half in (right, left))
    assert red.max() > 120 > 0  # what is hot is drawn red over a grey crop
    assert not np.array_equal(red, plain)
    assert [file.name for file in tmp_path.iterdir()] == ["why.png"]


def test_a_person_a_time_and_a_label_may_be_named(model: EmotionModel, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "two.mp4", faces=2, size=(480, 240), sound=None, seconds=2.0)
    result = mmemo.analyze(path, model=model)
    boxes = [mmemo.explain.face(result, model=model, person=person.id, at=1.0).box for person in result.people]
    for person, box in zip(result.people, boxes, strict=True):
        assert box[0] / 480 == pytest.approx(person.box[0], abs=0.05)
    explained = mmemo.explain.face(path, model=model, label="anger", at=1.0)
    assert explained.label == "anger"
    assert explained.time == pytest.approx(1.0, abs=0.05)
    with pytest.raises(ArgumentError, match=r"Person of this result: expected one of \['0', '1'\]"):
        mmemo.explain.face(result, model=model, person=7)
    with pytest.raises(ArgumentError, match="Person: expected one of"):
        mmemo.explain.face(portrait(), model=model, person=3)


def test_says_what_is_wrong(model: EmotionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingStreamError, match="no face"):
        mmemo.explain.face(np.full((64, 64, 3), 90, np.uint8), model=model)
    with pytest.raises(ArgumentError, match="Did you mean 'happiness'"):
        mmemo.explain.face(portrait(), label="happines", model=model)
    text = EmotionModel([TinyEncoder()], LateFusion(EKMAN7, {"text": 1.0}))
    with pytest.raises(ArgumentError, match="own face network"):
        mmemo.explain.face(portrait(), model=text)
    with pytest.raises(MissingStreamError, match="text alone"):
        mmemo.explain.face(mmemo.analyze(text="hello", model=text), model=model)
    wall = make_clip(tmp_path / "wall.mp4", faces=0, sound=None, seconds=1.0)
    with pytest.raises(MissingStreamError, match="no face at"):
        mmemo.explain.face(wall, model=model)
    explained = mmemo.explain.face(portrait(), model=model)
    with pytest.raises(ArgumentError, match="Suffix of a picture"):
        explained.save(tmp_path / "why.gif")
    with pytest.raises(ArgumentError, match="There is no folder"):
        explained.save(tmp_path / "missing" / "why.png")
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mmemo\[explain\]'"):
        mmemo.explain.face(portrait(), model=model)
