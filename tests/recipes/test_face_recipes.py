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
from mmemo.errors import LeakError
from mmemo.samples import make_clip, portrait

typer_testing = pytest.importorskip("typer.testing")
import typer  # noqa: E402

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(RECIPES))


@pytest.mark.parametrize("name", ["face_fer2013", "face_blendshapes", "face_sequence"])
def test_help_explains_every_option(recipes: None, name: str) -> None:
    app = typer.Typer()
    app.command()(importlib.import_module(name).main)
    shown = typer_testing.CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    for word in ("--out", "--run", "--seed", "Of weights" if name == "face_fer2013" else "seed"):
        assert word in shown.output


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
