"""``run.py`` of an exported model scores faces as `analyze` does, in a process in which mmemo can't be imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import mmemo
from mmemo import Analyzer
from mmemo.fusion.late import LateFusion
from mmemo.samples import make_clip, moved_portrait
from mmemo.testing import TinyEncoder
from mmemo.training.export_onnx import export_model
from mmemo.training.runner import write_runner

pytestmark = pytest.mark.slow

BARE = (
    "import runpy, sys; sys.modules['mmemo'] = sys.modules['torch'] = None; runpy.run_path({0!r}, run_name='__main__')"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model, exported and then moved to another place."""
    made = export_model("default", tmp_path_factory.mktemp("made") / "model", int8=True)
    return Path(shutil.move(made, tmp_path_factory.mktemp("moved") / "model"))


def run(folder: Path, media: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", BARE.format(str(folder / "run.py")), str(media)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)


def test_the_scores_are_those_of_an_analysis(folder: Path, tmp_path: Path) -> None:
    look = Analyzer(modalities=("face",))
    leaning, turned = tmp_path / "leaning_01.png", tmp_path / "leaning_02.png"
    cv2.imwrite(str(leaning), moved_portrait(lean=25)[:, :, ::-1])
    cv2.imwrite(str(turned), moved_portrait(turn=1.0, closed=1.0)[:, :, ::-1])  # it is not the next frame of that one
    for media in (make_clip(tmp_path / "clip.mp4", seconds=0.4), leaning, turned):
        done = run(folder, media)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        scores = json.loads(done.stdout)
        assert scores == pytest.approx(look(media).scores, abs=0.01)


def test_without_a_face_it_says_so(folder: Path, tmp_path: Path) -> None:
    wall = tmp_path / "wall.png"
    cv2.imwrite(str(wall), moved_portrait()[250:, :60])
    for path in (wall, tmp_path / "missing.mp4"):
        done = run(folder, path)
        assert done.returncode == 1
        assert "no face" in done.stderr.splitlines()[-1]


def test_the_folder_is_still_a_model_and_is_replaced(folder: Path) -> None:
    assert mmemo.load_model(folder).modalities == ("face", "voice", "text")
    before = {path.name for path in folder.iterdir()}
    export_model("default", folder)
    assert {path.name for path in folder.iterdir()} == before >= {"run.py", "run.json", "faces"}


def test_a_model_without_a_face_network_has_no_runner(tmp_path: Path) -> None:
    encoder = TinyEncoder(modality="text")
    write_runner(mmemo.EmotionModel([encoder], LateFusion(encoder.labels, {"text": 1.0})), tmp_path)
    assert list(tmp_path.iterdir()) == []
