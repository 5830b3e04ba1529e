from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmemo.errors import WeightsError
from mmemo.faces import FaceFinder
from mmemo.faces import model as face_model
from mmemo.faces.model import CANONICAL_FACE, DETECTOR, FOLDER, IDENTITY, LANDMARKS, SHA256, canonical_face, checked

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the weights, which are loaded from there."""
    folder = shutil.copytree(FOLDER, tmp_path / "faces")
    monkeypatch.setattr(face_model, "FOLDER", folder)
    monkeypatch.setattr(face_model, "_networks", {})
    return folder


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")  # of what loads ahead
@pytest.mark.parametrize("name", [DETECTOR, LANDMARKS])
def test_a_damaged_network_is_refused(copied: Path, portrait: np.ndarray, name: str) -> None:
    _damage(copied / name)
    finder = FaceFinder()
    with pytest.raises(WeightsError, match=rf"{name} is not the file .*SHA-256.* Reinstall mmemo"):
        finder.find(portrait)


def test_a_missing_network_is_named(copied: Path, portrait: np.ndarray) -> None:
    (copied / LANDMARKS).unlink()
    finder = FaceFinder()
    with pytest.raises(WeightsError, match=rf"{LANDMARKS}: No such file"):
        finder.find(portrait)


def test_a_damaged_mean_face_is_refused(copied: Path) -> None:
    _damage(copied / CANONICAL_FACE)
    with pytest.raises(WeightsError, match="SHA-256"):
        canonical_face.__wrapped__()


def test_every_file_has_a_checksum() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(SHA256)
    for name in SHA256:
        checked(FOLDER / name)


def test_canonical_face_is_a_symmetric_face_that_looks_at_the_viewer() -> None:
    face = canonical_face()
    assert face.shape == (468, 3)
    assert face.dtype == np.float32
    np.testing.assert_allclose(face[33] * (-1, 1, 1), face[263], atol=1e-4)  # outer corners of the eyes
    assert face[1, 2] > face[[33, 263, 152, 10], 2].max()  # the tip of the nose stands out
    assert face[10, 1] > face[33, 1] > face[1, 1] > face[152, 1]  # forehead, eye, nose, chin


def test_the_models_start_in_silence_and_a_process_may_end_while_they_load() -> None:
    code = "import sys; from mmemo.faces import FaceTracker; FaceTracker(); print('alone', file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "alone\n")


@pytest.mark.slow
def test_the_recipe_writes_these_files(tmp_path: Path) -> None:
    pytest.importorskip("tflite")
    bundle = os.environ.get("MMEMO_FACE_LANDMARKER") or pytest.skip("MMEMO_FACE_LANDMARKER names no bundle")
    recipe = ROOT / "recipes" / "face_landmarker_onnx.py"
    subprocess.run([sys.executable, recipe, bundle, "--out", tmp_path / "faces"], check=True, timeout=300)
    for name in set(SHA256) - {IDENTITY}:  # another recipe's
        checked(tmp_path / "faces" / name)
