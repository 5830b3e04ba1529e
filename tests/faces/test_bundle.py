from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmemo.errors import WeightsError
from mmemo.faces import bundle


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    data = bytearray(bundle.BUNDLE.read_bytes())
    data[1000] ^= 1
    damaged = tmp_path / "face_landmarker.task"
    damaged.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        bundle.read_bundle.__wrapped__(damaged)


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.task"):
        bundle.read_bundle.__wrapped__(tmp_path / "absent.task")


def test_canonical_face_is_a_symmetric_face_that_looks_at_the_viewer() -> None:
    face = bundle.canonical_face()
    assert face.shape == (468, 3)
    assert face.dtype == np.float32
    np.testing.assert_allclose(face[33] * (-1, 1, 1), face[263], atol=1e-4)  # outer corners of the eyes
    assert face[1, 2] > face[[33, 263, 152, 10], 2].max()  # the tip of the nose stands out
    assert face[10, 1] > face[33, 1] > face[1, 1] > face[152, 1]  # forehead, eye, nose, chin


def test_the_models_start_in_silence() -> None:
    code = "import sys; from mmemo.faces import FaceTracker; FaceTracker(); print('heard', file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "heard\n")
