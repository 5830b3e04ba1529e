"""``run.py`` of an exported model scores as `analyze` does, in a process in which mmemo can't be imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

import mmemo
from mmemo import Analyzer
from mmemo.encoders.face.architecture import FaceArchitecture
from mmemo.encoders.face.encoder import FaceEncoder
from mmemo.encoders.face.network import FaceNetwork
from mmemo.errors import ArgumentError
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7
from mmemo.samples import make_clip, moved_portrait, speech
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


@pytest.fixture(scope="module")
def listen() -> Analyzer:
    return Analyzer(modalities=("voice",), transcriber=None)


def written(path: Path, sound: np.ndarray, rate: int = 16_000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(sound * 32767, channels).astype("<i2").tobytes())
    return path


def run(folder: Path, *media: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", BARE.format(str(folder / "run.py")), *map(str, media)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)


def test_the_scores_are_those_of_an_analysis(folder: Path, tmp_path: Path) -> None:
    look = Analyzer(modalities=("face",))
    leaning, turned = tmp_path / "leaning_01.png", tmp_path / "leaning_02.png"
    cv2.imwrite(str(leaning), moved_portrait(lean=25)[:, :, ::-1])
    cv2.imwrite(str(turned), moved_portrait(turn=1.0, closed=1.0)[:, :, ::-1])  # it is not the next frame of that one
    files = (make_clip(tmp_path / "clip.mp4", seconds=0.4), leaning, turned)
    done = run(folder, *files)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    scores = json.loads(done.stdout)
    for file in files:
        assert scores[str(file)] == pytest.approx(look(file).scores, abs=0.01)


def test_the_voice_too(folder: Path, listen: Analyzer, tmp_path: Path) -> None:
    rng, sentence = np.random.default_rng(0), speech()
    pause = 0.001 * rng.normal(size=40_000)
    long = np.concatenate([sentence, pause, 0.05 * sentence, pause, sentence])  # of two blocks, at two levels
    files = (
        written(tmp_path / "sentence.wav", sentence),
        written(tmp_path / "long.wav", long),
        written(tmp_path / "stereo.wav", np.interp(np.arange(192_000) / 3, np.arange(64_000), sentence), 48_000, 2),
    )
    done = run(folder, *files)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    for file in files:
        assert scores[str(file)] == pytest.approx(listen(file).scores, abs=0.005)


def test_int8_is_the_voice_in_int8(folder: Path, tmp_path: Path) -> None:
    settings = json.loads((folder / "run.json").read_text())
    assert settings["voice"]["networks"]["classifier"][0] == "voice/model.int8.onnx"
    encoder = FaceEncoder(FaceNetwork(FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1))), EKMAN7)
    mmemo.EmotionModel([encoder], LateFusion(EKMAN7, {"face": 1.0})).save(tmp_path / "run")
    with pytest.raises(ArgumentError, match="int8 has no effect"):
        export_model(tmp_path / "run", tmp_path / "out", int8=True)
    assert not (tmp_path / "out").exists()


def test_without_a_voice_it_says_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    for file, message in (
        (written(tmp_path / "silence.wav", np.zeros(32_000)), "no voice"),
        (tmp_path / "text.wav", "ffmpeg"),
        (tmp_path / "missing.wav", "No such file"),
    ):
        done = run(folder, file)
        assert done.returncode == 1
        assert message in done.stderr.splitlines()[-1]


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
