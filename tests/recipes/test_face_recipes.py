"""The face recipes explain themselves, and the one for sequences runs from a manifest of clips to networks."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from mmemo.data.prepare import prepare
from mmemo.encoders.face.sequence import FaceSequenceEncoder
from mmemo.errors import LeakError, UnknownModelError
from mmemo.samples import make_clip, portrait

typer_testing = pytest.importorskip("typer.testing")
import typer  # noqa: E402

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(RECIPES))


@pytest.mark.parametrize("name", ["face_fer2013", "face_blendshapes", "face_sequence", "face_semi_supervised"])
def test_help_explains_every_option(recipes: None, name: str) -> None:
    app = typer.Typer()
    app.command()(importlib.import_module(name).main)
    shown = typer_testing.CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    out = "--alone" if name == "face_semi_supervised" else "--out"  # it makes no weights
    for word in (out, "--run", "--seed", "Of weights" if name == "face_fer2013" else "seed"):
        assert word in shown.output


def test_weights_to_go_on_from_are_loaded_before_the_corpus_is_read(recipes: None, tmp_path: Path) -> None:
    recipe = importlib.import_module("face_fer2013")
    with pytest.raises(UnknownModelError, match="No checkpoint"):
        recipe.main(tmp_path, out=tmp_path / "out", run=tmp_path / "run", start=tmp_path / "none", threads=1)


def test_blendshapes_are_compared_with_and_beside_the_network(recipes: None) -> None:
    recipe = importlib.import_module("face_blendshapes")
    rng = np.random.default_rng(0)
    label = rng.integers(7, size=700)
    good, poor = ((width * np.eye(7)[label] + rng.normal(size=(700, 7))).astype(np.float32) for width in (1.5, 1.0))
    report = recipe.compare(label, good, poor, recipe.fit_fusion(good, poor, label))
    assert report["gain"]["accuracy"][1] > 0, report  # two independent sources are better than one


def run_sequences(recipe: ModuleType, tmp_path: Path, allow: list[str]) -> None:
    recipe.main(
        tmp_path / "clips.csv",
        test=[tmp_path / "clips.csv"],
        out=tmp_path / "out",
        run=tmp_path / "run",
        face=RECIPES.parent / "mmemo" / "weights" / "face",
        frames=3,
        test_frames=2,
        folds=2,
        lstm_epochs=1,
        lstm_rate=1e-3,
        inflated_epochs=1,
        inflated_rate=1e-3,
        seed=0,
        threads=1,
        allow=allow,
    )


def test_sequences_from_clips_and_pictures_to_networks(
    recipes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = importlib.import_module("face_sequence")
    columns = ["id", "path", "label", "speaker", "extra.sequence"]
    rows = []
    for i, label in enumerate(["happiness", "sadness", "happiness", "sadness"]):
        make_clip(tmp_path / f"clip{i}.mp4", seconds=0.6, size=(160, 120), sound=None)
        rows.append([f"clip{i}", f"clip{i}.mp4", label, f"s{i}", ""])
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"still_{i}.png"), portrait()[:, :, ::-1])
        rows.append([f"still{i}", f"still_{i}.png", "surprise", "s4", "still"])
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    rows.append(["broken", "broken.mp4", "contempt", "s5", ""])  # no label of ours: never opened
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    sequences = recipe.sequences_of(recipe.read_clips(tmp_path / "clips.csv"))
    assert [[clip.speaker for clip in sequence] for sequence in sequences] == [
        ["s0"],
        ["s1"],
        ["s2"],
        ["s3"],
        ["s4"] * 3,
    ]
    assert len(recipe.read_pictures(sequences[4], 2)) == 2
    with pytest.raises(LeakError, match="--allow same-media"):  # the clips of all four people are one
        run_sequences(recipe, tmp_path, allow=[])
    run_sequences(recipe, tmp_path, allow=["same-media"])
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["clips"], report["subjects"]) == (5, 5)
    assert set(report["folds"]) >= {"image network", "lstm", "inflated", "time adds to lstm", "time adds to inflated"}
    assert report["tests"][str(tmp_path / "clips.csv")]["all"]["lstm"]["samples"] == 5
    for kind in ("lstm", "inflated"):
        encoder = FaceSequenceEncoder.load(tmp_path / "out" / kind)
        assert encoder.network.architecture.kind == kind
        window = np.zeros((3, 2, encoder.size, encoder.size), np.float32)
        assert encoder.encode([window]).logits.shape == (1, 7)


def test_ck48_is_read_by_sequence(recipes: None, tmp_path: Path) -> None:
    recipe = importlib.import_module("face_sequence")
    for folder, names in {"happy": ["S010_004_00000018", "S010_004_00000017", "S011_001_00000009"], "contempt": ["S138_008_00000007"]}.items():  # fmt: skip
        (tmp_path / folder).mkdir()
        for name in names:
            cv2.imwrite(str(tmp_path / folder / f"{name}.png"), np.zeros((8, 8), np.uint8))
    prepare("ck48", tmp_path, tmp_path / "ck48.jsonl")
    sequences = recipe.sequences_of(recipe.read_clips(tmp_path / "ck48.jsonl"))
    assert [[clip.path.stem for clip in sequence] for sequence in sequences] == [
        ["S010_004_00000017", "S010_004_00000018"],
        ["S011_001_00000009"],
    ]
    assert {clip.label for sequence in sequences for clip in sequence} == {"happiness"}


def test_few_labels_are_drawn_by_class_and_the_fewer_are_among_the_more(recipes: None) -> None:
    recipe = importlib.import_module("face_semi_supervised")
    label = np.random.default_rng(0).choice(7, 4000, p=[0.17, 0.25, 0.17, 0.14, 0.14, 0.015, 0.115])
    few, many = (recipe.choose_labeled(label, count, seed=0) for count in (100, 500))
    assert set(few) <= set(many)
    shares = np.bincount(label) / len(label)
    assert np.abs(np.bincount(label[few], minlength=7) - 100 * shares).max() <= 1
    assert set(few) != set(recipe.choose_labeled(label, 100, seed=1))


def test_confident_labels_of_weak_views_teach_and_others_do_not(recipes: None) -> None:
    torch = pytest.importorskip("torch")
    recipe = importlib.import_module("face_semi_supervised")

    class Brightness(torch.nn.Module):
        """Class 0 of dark images, 1 of bright ones."""

        def forward(self, images):
            light = images.mean(dim=(1, 2, 3)) * 20 - 10
            return light, torch.stack([-light, light], dim=1)

    dark, bright, gray = (torch.full((1, 1, 4, 4), value) for value in (0.1, 0.9, 0.5))

    def loss(weak, strong, shares=None):
        batch = recipe.Batch(dark, torch.tensor([0]), weak, strong)
        return float(recipe.fixmatch_loss(Brightness(), batch, 0.95, shares))

    alone = loss(gray[:0], gray[:0])
    assert loss(bright, bright) == pytest.approx(alone, abs=1e-3)  # sure, and the strong view agrees
    assert loss(bright, dark) > alone + 10  # sure, and it does not
    assert loss(gray, dark) == pytest.approx(alone, abs=1e-3)  # not sure
    assert loss(gray, dark, torch.tensor([0.01, 0.99])) > alone + 10  # the shares decide


def test_faces_with_and_without_unlabeled_ones(recipes: None, tmp_path: Path) -> None:
    recipe = importlib.import_module("face_semi_supervised")
    rng, fer = np.random.default_rng(0), tmp_path / "fer2013"
    names = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    for i in range(84):
        usage = ("Training", "Training", "PublicTest", "PrivateTest")[i // 7 % 4]
        folder = fer / ("train" if usage == "Training" else "test") / names[i % 7]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{usage}_{i}.jpg"), rng.integers(0, 256, (48, 48), dtype=np.uint8))
    (fer / "fer2013new.csv").write_text("Image name\n")
    (fer / "fer_map.csv").write_text("jpg,png\n")
    np.savez(
        tmp_path / "crops.npz",
        gray=rng.integers(0, 256, (84, 112, 112), dtype=np.uint8),
        placement=np.zeros((84, 2, 3), np.float32),
        quality=np.ones(84, np.float32),
        found=np.ones(84, bool),
    )
    (tmp_path / "more").mkdir()
    cv2.imwrite(str(tmp_path / "more" / "portrait.png"), portrait()[:, :, ::-1])
    reports = {}
    for alone in (False, True):
        run = tmp_path / f"run{alone}"
        recipe.main(
            tmp_path, labels=14, alone=alone, more=tmp_path / "more", crops=tmp_path / "crops.npz", run=run,
            epochs=2, steps=2, size=16, batch=4, threshold=0.1, align=True, learning_rate=1e-3, weight_decay=0.05,
            averaging=0.9, bfloat16=False, seed=0, workers=1, threads=1,
        )  # fmt: skip
        reports[alone] = json.loads((run / "report.json").read_text())
        assert len((run / "history.jsonl").read_text().splitlines()) == 2
    assert (reports[False]["unlabeled"], reports[True]["unlabeled"]) == (43, 0)
    assert reports[False]["test"]["samples"] == reports[True]["test"]["samples"] == 21
