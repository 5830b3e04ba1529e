from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmemo
from mmemo.checkpoint import TENSORS, load_checkpoint, tensors_sha256
from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence, TextEvidence
from mmemo.fusion.base import FusionHead
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, MEGC3, LabelSet
from mmemo.model import KIND, EmotionModel
from mmemo.pretrained import WEIGHTS, find_model, fingerprint, load_model
from mmemo.testing import TinyEncoder

MINE = LabelSet("mine", ("calm", "tense"))


class Saved(TinyEncoder):
    """A tiny encoder of one text modality that can be saved."""

    def save(self, folder: Path) -> Path:
        (folder / "more").mkdir(parents=True)
        (folder / "more" / "labels.json").write_text(json.dumps(self.labels.to_config()))
        return folder

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Saved:
        return cls(LabelSet.from_config(json.loads((folder / "more" / "labels.json").read_text())))


def model_of(labels: LabelSet = MINE, temperature: float = 1.0) -> EmotionModel:
    return EmotionModel([Saved(labels)], LateFusion(labels, {"text": 1.0}), {"text": temperature})


def window(text: str | None) -> Evidence:
    return Evidence(0.0, 1.0, text=None if text is None else TextEvidence(text, "en", 1.0, 1.0))


def change(folder: Path, **settings: Any) -> Path:
    """Settings of a saved model, as another version or hand would have written them; None takes one out."""
    file = folder / "fusion" / "config.json"
    config = json.loads(file.read_text()) | settings
    file.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    return folder


def test_a_model_knows_the_hash_of_each_weight_it_was_loaded_from(tmp_path: Path) -> None:
    model = load_model(modalities=("text",))
    expected = {
        "text": tensors_sha256(WEIGHTS / "text"),  # of two networks
        "fusion": sha256((WEIGHTS / "fusion" / TENSORS).read_bytes()).hexdigest(),
    }
    assert model.weights == expected
    assert load_model(model.save(tmp_path / "model")).weights["text"] == expected["text"]


def test_a_built_model_has_no_weights_of_a_file(tmp_path: Path) -> None:
    model = model_of()
    assert model.weights == {}
    loaded = load_model(model.save(tmp_path / "model"), classes=[Saved])  # without tensors, all files count
    labels = sha256((tmp_path / "model" / "text" / "more" / "labels.json").read_bytes()).hexdigest()
    assert loaded.weights["text"] == labels
    assert fingerprint(tmp_path / "model" / "text") == sha256(f"more/labels.json {labels}\n".encode()).hexdigest()


def test_windows_without_the_modality_are_masked() -> None:
    model = model_of(temperature=2.0)
    encoding = model.encode("text", [window("Good."), window(None), window("What a day!")])
    np.testing.assert_array_equal(encoding.present, [True, False, True])
    alone = model.encoders["text"].encode([model.encoders["text"].prepare(window("Good."))])  # type: ignore[list-item]
    np.testing.assert_allclose(encoding.logits[0], alone.logits[0] / 2.0)
    np.testing.assert_allclose(model.scores(encoding).sum(axis=1), 1)
    assert not model.encode("text", [window(None)]).present.any()


def test_a_saved_model_gives_the_same_scores(tmp_path: Path) -> None:
    model = model_of(temperature=1.7)
    again = load_model(model.save(tmp_path / "model", card={"corpus": "none", "kind": "other"}), classes=[Saved])
    assert (again.labels, again.temperatures, again.modalities) == (MINE, {"text": 1.7}, ("text",))
    windows = [window("Good."), window("What a day!")]
    one, two = (each.fuse({"text": each.encode("text", windows)}) for each in (model, again))
    np.testing.assert_array_equal(one, two)
    config = load_checkpoint(tmp_path / "model" / "fusion", KIND).config  # a card can't take a setting's place
    assert config["corpus"] == "none"
    assert config["labels"] == {"name": "mine", "labels": ["calm", "tense"]}


def test_labels_as_the_first_version_kept_them(tmp_path: Path) -> None:
    folder = model_of(MEGC3).save(tmp_path / "known")
    assert load_model(change(folder, labels="megc3"), classes=[Saved]).labels == MEGC3
    folder = model_of(MINE).save(tmp_path / "own")
    assert load_model(change(folder, labels="mine"), classes=[Saved]).labels == MINE


class NoLoad(TinyEncoder):
    def save(self, folder: Path) -> Path:
        return folder


class NoState:
    """A head that fuses, and no more."""

    kind = "none"

    def __init__(self) -> None:
        self.labels, self.inner = EKMAN7, LateFusion(EKMAN7, {"text": 1.0})

    def fuse(self, encodings: dict[str, Encoding]) -> np.ndarray:
        return self.inner.fuse(encodings)


@pytest.mark.parametrize(
    ("encoder", "head", "says"),
    [
        (TinyEncoder(), None, r"text encoder can't be saved: TinyEncoder has no save\(folder\)"),
        (NoLoad(), None, "NoLoad has no save.* or no load"),
        (Saved(EKMAN7), NoState(), "NoState can't be saved: it has no class method from_state"),
        (Saved(EKMAN7, "fusion"), LateFusion(EKMAN7, {"fusion": 1.0}), "modality named 'fusion'"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(
    encoder: TinyEncoder, head: FusionHead | None, says: str, tmp_path: Path
) -> None:
    model = EmotionModel([encoder], head or LateFusion(EKMAN7, {"text": 1.0}))
    with pytest.raises(ArgumentError, match=says):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["labels", "encoders", "temperatures", "fusion"])
def test_settings_that_lack_a_part_are_refused(part: str, tmp_path: Path) -> None:
    folder = change(model_of().save(tmp_path / "model"), **{part: None})
    for load in (find_model, load_model, EmotionModel.load):
        with pytest.raises(WeightsError, match=f"lack its {part}"):
            load(folder)


def test_other_damage_is_named(tmp_path: Path) -> None:
    folder = model_of().save(tmp_path / "model")
    change(folder, labels={"name": "mine"})
    with pytest.raises(WeightsError, match="are damaged: Label set"):
        load_model(folder, classes=[Saved])
    (folder / "text").rename(folder / "gaze")
    change(folder, encoders={"gaze": "Saved"}, temperatures={"gaze": 1.0})
    with pytest.raises(WeightsError, match="modality 'text'"):
        load_model(folder, classes=[Saved])
    with pytest.raises(UnknownModelError, match="this is none"):
        load_model(tmp_path / "nothing")


def test_parts_that_do_not_fit_are_refused() -> None:
    text, other = TinyEncoder(MINE), TinyEncoder(MINE, modality="words")
    with pytest.raises(ArgumentError, match="one encoder a modality"):
        EmotionModel([text, text], LateFusion(MINE, {"text": 1.0}))
    with pytest.raises(ArgumentError, match=r"text encoder gives \['calm', 'tense'\]"):
        EmotionModel([text, other], LateFusion(EKMAN7, {"text": 1.0}))
    with pytest.raises(ArgumentError, match="tokens of width 5, this encoder gives 4"):
        EmotionModel([text], ConcatFusion(MINE, {"text": 5}))


def test_some_modalities_only(tmp_path: Path) -> None:
    folder = mmemo.load_model(modalities=("voice", "text")).save(tmp_path / "model")
    assert load_model(folder, modalities=("text",)).modalities == ("text",)
    with pytest.raises(ArgumentError, match=r"expected one of .*'voice', 'text'"):
        load_model(folder, modalities=("face",))


@pytest.mark.parametrize(
    "change",
    [
        {"encoders": {"text": ["Saved"]}},
        {"temperatures": {"text": None}},
        {"temperatures": {"text": 0}},
        {"temperatures": {"text": [1, 2]}},
        {"fusion": {"kind": ["late"], "weights": {"text": 1.0}, "agreement": 0.5}},
        {"fusion": {"kind": "late", "weights": 5, "agreement": 0.5}},
        {"fusion": {"kind": "late", "weights": {"text": "x"}, "agreement": 0.5}},
        {"labels": {"name": "mine", "labels": [1, 2]}},
    ],
    ids=str,
)
def test_settings_of_another_kind(change: dict[str, Any], tmp_path: Path) -> None:
    config = model_of().save(tmp_path / "m") / "fusion" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(WeightsError):
        load_model(tmp_path / "m", classes=[Saved])


def test_priors_are_divided_out_and_the_stated_one_counts_once() -> None:
    encoders = [TinyEncoder(modality=name, labels=MINE) for name in ("text", "gaze")]
    skewed = {"calm": 0.8, "tense": 0.2}
    fusion = LateFusion(MINE, {"text": 1.0, "gaze": 1.0}, agreement=1.0)
    model = EmotionModel(encoders, fusion, priors=dict.fromkeys(("text", "gaze"), skewed))
    same = Encoding(np.ones((1, 1, 4), np.float32), np.ones((1, 1), bool), np.log([[0.8, 0.2]]).astype(np.float32))
    known = {name: model.calibrate(name, same) for name in ("text", "gaze")}
    np.testing.assert_allclose(model.scores(known["text"]), [[0.5, 0.5]], atol=1e-6)  # it said nothing but its habit
    np.testing.assert_allclose(model.fuse(known), [[0.5, 0.5]], atol=1e-6)
    natural, stated = model.adjusted("natural"), model.adjusted({"tense": 0.9})
    np.testing.assert_allclose(natural.fuse(known), [[0.8, 0.2]], atol=1e-6)  # once, though two experts have it
    np.testing.assert_allclose(stated.fuse(known), [[0.1, 0.9]], atol=1e-6)
    np.testing.assert_allclose(stated.scores(known["gaze"]), [[0.1, 0.9]], atol=1e-6)
    np.testing.assert_array_equal(model.prior, [0.5, 0.5])  # the model itself stays as it was


def test_corrections_come_one_after_the_other() -> None:
    model = model_of(temperature=2.0)

    def shift(by: list[float]) -> dict[str, Any]:
        return {"text": lambda one: replace(one, logits=one.logits * 2 + np.array(by, np.float32))}

    windows = [window("Good.")]
    plain = model.encode("text", windows).logits
    corrected = model.adjusted("balanced", shift([1.0, 0.0]), shift([0.0, 3.0])).encode("text", windows).logits
    np.testing.assert_allclose(corrected, (plain * 2 + [1.0, 0.0]) * 2 + [0.0, 3.0], rtol=1e-5)


def test_priors_are_saved(tmp_path: Path) -> None:
    labels = LabelSet("mine", ("calm", "tense"))
    model = EmotionModel(
        [Saved(labels)], LateFusion(labels, {"text": 1.0}), priors={"text": {"calm": 0.7, "tense": 0.3}}
    )
    again = load_model(model.save(tmp_path / "model"), classes=[Saved])
    np.testing.assert_allclose(again.priors["text"], [0.7, 0.3])
    assert load_model(modalities=("text",)).priors["text"].argmax() == 0
    with pytest.raises(WeightsError, match="prior"):
        load_model(change(tmp_path / "model", priors=[1]), classes=[Saved])


@pytest.mark.parametrize(
    "prior", ["equal", None, {"bliss": 0.5}, {"calm": 1.0}, {"calm": -0.1}, {"calm": float("nan")}, {"calm": 10**400}]
)
def test_a_prior_that_is_none(prior: Any) -> None:
    with pytest.raises(ArgumentError, match=r"[Pp]rior"):
        model_of().adjusted(prior)
