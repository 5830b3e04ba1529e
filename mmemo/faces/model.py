"""The embedded networks of MediaPipe's Face Landmarker, and the mean face its landmarks were defined on.

``recipes/face_landmarker_onnx.py`` made them from Google's bundle; see docs/models/faces.md.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.checkpoint import sha256_of
from mmemo.errors import WeightsError
from mmemo.onnx_network import OnnxNetwork

FOLDER = Path(__file__).parents[1] / "weights" / "faces"
DETECTOR, LANDMARKS, BLENDSHAPES = "detector.onnx", "landmarks.onnx", "blendshapes.onnx"
CANONICAL_FACE = "canonical_face.npy"
IDENTITY = "identity.npz"
SHA256 = {
    DETECTOR: "85e4f65a074833e2b824dd86f954aa74b08996c5c646985bb53281232d358b8a",
    LANDMARKS: "7b22c779859693f719b6794fdcf2af18ace4ce7b1ba34fea9e492bb7c1aaf373",
    BLENDSHAPES: "5997076fdc49ccbedba36b5c8e51728cb3dadb5b7bae06e911412cfd32a724e1",
    CANONICAL_FACE: "950c7a131b14aade2fc241c24ce9c5ef3f9d8b2a7d9f47a621bace5f104acfc7",
    IDENTITY: "6d89e0a867398044a61705474b4a8a83b9ecbb5fb48f48e83b7c1c894790c9e7",
}

MESH_VERTICES = 468
"""Vertices of the canonical face; the landmarks 468 to 477 are the irises, which it lacks."""

_networks: dict[tuple[str, int], FaceNetwork] = {}


class FaceNetwork(OnnxNetwork):
    """An embedded network whose checksum is verified when it is loaded. A copy, pickled or not, is `network` again."""

    def _opened(self) -> Any:
        checked(self.path)
        return super()._opened()

    def __reduce__(self) -> tuple[Any, ...]:
        return network, (self.path.name, self._threads)


def network(name: str, threads: int = 1) -> FaceNetwork:
    """One of the networks: the same object for everybody in a process, so that it is loaded once.

    Args:
        name: `DETECTOR`, `LANDMARKS` or `BLENDSHAPES`.
        threads: CPU threads of one run.
    """
    # Of two threads that come first at once, both get the object of one: setdefault is atomic.
    return _networks.get((name, threads)) or _networks.setdefault(
        (name, threads), FaceNetwork(FOLDER / name, threads=threads)
    )


def warm_up(threads: int = 1) -> None:
    """Load what finds faces in threads of its own, unless this process has used it before; returns at once.

    Args:
        threads: as in `network`.
    """
    for name in (LANDMARKS, DETECTOR):
        if (name, threads) not in _networks:
            network(name, threads).load_ahead()


def checked(path: Path) -> Path:
    """The path of a file that mmemo ships, after a look at its checksum.

    Raises:
        WeightsError: if the file is missing, or is not the one that was released.
    """
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise WeightsError(f"The face models can't be read from {path}: {error.strerror}. Reinstall mmemo.") from error
    if digest != SHA256[path.name]:
        raise WeightsError(
            f"{path} is not the file that mmemo ships: expected SHA-256 {SHA256[path.name]}, got {digest}. "
            "The file is damaged or was replaced. Reinstall mmemo."
        )
    return path


@lru_cache(maxsize=1)
def canonical_face() -> np.ndarray:
    """The mean face the landmarks were defined on: (468, 3) float32, in centimeters.

    x grows to the person's left (right in the picture), y up, and z out of the face towards the viewer.

    Raises:
        WeightsError: if the file is missing or damaged.
    """
    vertices: np.ndarray = np.load(checked(FOLDER / CANONICAL_FACE), allow_pickle=False)
    return vertices
