"""The recipe of micro-expressions on clips and classes of one's own, from the manifest to a recognizer."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from mmemo import media
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.errors import ManifestError
from mmemo.labels import LabelSet
from mmemo.micro.recognition import MicroRecognizer
from mmemo.samples import portrait
from mmemo.testing import MadeSequence, Movement, brow_raise, smile_corner
from mmemo.training.micro import MicroSchedule

pytestmark = pytest.mark.slow

pytest.importorskip("typer")
MINE = LabelSet("mine", ("brows", "corner"))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two movements each of four speakers, who have one face."""
    folder = tmp_path_factory.mktemp("own")
    clips = []
    for number in range(8):
        label = MINE[number % 2]
        flow = (brow_raise if label == "brows" else smile_corner)(2.5 + 0.2 * number)
        made = MadeSequence(portrait(), [Movement(0.05, 0.2, 0.35, flow)], seconds=0.24, rate=25)
        media.write_video(folder / f"{number}.mp4", made, rate=25)
        path = folder / f"{number}.mp4"
        clips.append(Clip(path, id=str(number), label=label, onset=0.0, apex=0.2, speaker=f"s{number // 2}"))
    return Manifest(tuple(clips), MINE).write(folder / "clips.jsonl")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes"))
    module = importlib.import_module("micro_megc2019")
    monkeypatch.setitem(module.SCHEDULES, "cnn", MicroSchedule(epochs=2, learning_rate=3e-3, weight_decay=0.1))
    return module


def test_from_a_manifest_to_a_recogniser(
    recipe: object, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"models": "svm_lbp_top,svm_flow,cnn", "seeds": 1, "workers": 1}
    recipe.main(None, manifest, tmp_path / "run", tmp_path / "out", **settings)  # type: ignore[attr-defined]
    tables = json.loads((tmp_path / "run" / "figures.json").read_text())["tables"]
    assert set(tables) == {"svm_flow", "cnn", "cnn, mean of all seeds"}  # there are no apex faces for LBP-TOP
    assert tables["svm_flow"]["all"]["uf1"] == [1.0]  # the two are easy to separate
    printed = capsys.readouterr().out
    assert "svm_flow" in printed
    assert "not developed on" not in printed  # nothing was developed on these people
    own = MicroRecognizer.load(tmp_path / "out")
    assert own.labels.labels == MINE.labels
    assert own(np.zeros((1, 3, 28, 28), np.float32)).shape == (1, 2)


def test_clips_without_times_are_no_samples(recipe: object, manifest: Path, tmp_path: Path) -> None:
    clips = Manifest.read(manifest).update(lambda clip: {"apex": None})
    with pytest.raises(ManifestError, match="onset and apex"):
        recipe.read_manifest(clips.write(tmp_path / "clips.jsonl"))  # type: ignore[attr-defined]
