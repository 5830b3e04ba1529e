"""Parity with MediaPipe's own FaceLandmarker, of whose three models ours are a conversion.

What it gives for the portraits is in ``mediapipe_reference.npz``. For the tests that run it, name its bundle
(docs/models/faces.md says where it comes from) in ``MMEMO_FACE_LANDMARKER`` and install its package, which mmemo does
not need and which wants another OpenCV than ours: ``pip install --no-deps mediapipe absl-py``, or name a Python that has
it in ``MMEMO_MEDIAPIPE_PYTHON``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmemo.faces import BLENDSHAPES, FaceFinder
from mmemo.faces.blendshapes import blendshapes
from mmemo.faces.landmarker import Region
from mmemo.faces.landmarks import eye_distance
from mmemo.faces.search import FaceSearch

PYTHON = os.environ.get("MMEMO_MEDIAPIPE_PYTHON", sys.executable)
MAX_DISTANCE = 0.02  # mean distance of landmarks, in distances of the eyes
MAX_DIFFERENCE = 0.05  # mean difference of blendshapes

Reference = dict[str, np.ndarray]


def _reference(pictures: dict[str, np.ndarray], folder: Path) -> Reference:
    bundle = os.environ.get("MMEMO_FACE_LANDMARKER") or pytest.skip("MMEMO_FACE_LANDMARKER names no bundle")
    probe = subprocess.run([PYTHON, "-c", "import mediapipe.tasks.python.vision"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"mediapipe can't be imported by {PYTHON}: {probe.stderr.strip().splitlines()[-1]}")
    np.savez(folder / "pictures.npz", **pictures)
    script = Path(__file__).with_name("mediapipe_reference.py")
    arguments = [bundle, str(folder / "pictures.npz"), str(folder / "reference.npz")]
    run = subprocess.run([PYTHON, str(script), *arguments], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    return dict(np.load(folder / "reference.npz"))


def _compare(pictures: dict[str, np.ndarray], reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """Distances of landmarks and differences of blendshapes, of every face MediaPipe found."""
    finder = FaceFinder()
    distances, differences = [], []
    for name, picture in pictures.items():
        ours = finder.find(picture)
        for landmarks, shapes in zip(reference[f"{name}.landmarks"], reference[f"{name}.blendshapes"], strict=True):
            assert ours, f"MediaPipe finds a face in {name}, and we find none"
            errors = [np.linalg.norm((face.landmarks - landmarks)[:, :2], axis=1).mean() for face in ours]
            nearest = ours[int(np.argmin(errors))]
            distances.append(min(errors) / eye_distance(landmarks))
            differences.append(np.abs(nearest.blendshapes - shapes).mean())
    return np.array(distances), np.array(differences)


@pytest.fixture(scope="module")
def portraits(portrait: np.ndarray) -> dict[str, np.ndarray]:
    turned = cv2.warpAffine(portrait, cv2.getRotationMatrix2D((225, 128), 25, 1), (512, 512))
    return {
        "plain": portrait,
        "mirrored": np.ascontiguousarray(portrait[:, ::-1]),
        "turned": turned,
        "cropped": np.ascontiguousarray(portrait[:300, 80:380]),
        "enlarged": cv2.resize(portrait, (1024, 1024), interpolation=cv2.INTER_CUBIC),
        "darker": cv2.convertScaleAbs(portrait, alpha=0.5),
    }


@pytest.fixture(scope="module")
def reference() -> Reference:
    return dict(np.load(Path(__file__).with_name("mediapipe_reference.npz")))


@pytest.mark.slow
def test_the_reference_is_what_mediapipe_gives(
    portraits: dict[str, np.ndarray], reference: Reference, tmp_path: Path
) -> None:
    found = _reference(portraits, tmp_path)
    assert found.keys() == reference.keys()
    assert found.pop("names").tolist() == reference["names"].tolist()
    for name, values in found.items():
        np.testing.assert_allclose(values, reference[name], atol=0.5 if "landmarks" in name else 0.02, err_msg=name)


def test_blendshapes_have_its_names_and_order(reference: Reference) -> None:
    assert tuple(reference["names"]) == BLENDSHAPES


def test_portraits(portraits: dict[str, np.ndarray], reference: Reference) -> None:
    distances, differences = _compare(portraits, reference)
    assert len(distances) == len(portraits)
    assert distances.mean() < MAX_DISTANCE
    assert differences.mean() < MAX_DIFFERENCE


def test_one_look_as_it_takes(search: FaceSearch, portraits: dict[str, np.ndarray], reference: Reference) -> None:
    """Without our second look, which MediaPipe does not take in single pictures, the two are closer still."""
    for name, picture in portraits.items():
        (detection,) = search.detector.detect(picture)
        mesh = search.landmarker.locate(picture, Region.of_detection(detection))
        (expected,) = reference[f"{name}.landmarks"]
        errors = np.linalg.norm(mesh.landmarks - expected, axis=1)  # depth too
        assert errors.mean() / eye_distance(expected) < MAX_DISTANCE, name
        shapes = blendshapes(mesh.landmarks[None])[0]
        assert np.abs(shapes - reference[f"{name}.blendshapes"][0]).mean() < 0.03, name


@pytest.mark.slow
@pytest.mark.data
def test_clips(frames: Callable, shared_data: Path, tmp_path: Path) -> None:
    clips = [
        *sorted((shared_data / "av/crema_d").glob("*.flv")),
        *sorted((shared_data / "av/mead").glob("*.mp4"))[::4],
        *sorted((shared_data / "av/ravdess").glob("*.mp4")),
        shared_data / "av/misc/obama_speech.mp4",
    ]
    pictures = {}
    for clip in clips:
        for index, (_, picture) in enumerate(frames(clip)):
            if index in (20, 50):
                pictures[f"{clip.stem}-{index}"] = picture
    distances, differences = _compare(pictures, _reference(pictures, tmp_path))
    assert len(distances) >= len(pictures)
    assert distances.mean() < MAX_DISTANCE
    assert differences.mean() < MAX_DIFFERENCE
