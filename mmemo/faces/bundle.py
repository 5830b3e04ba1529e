"""The face landmarker's model bundle: three TFLite models and a face mesh in one zip file.

``face_landmarker.task`` is Google's MediaPipe Face Landmarker bundle (float16, version 1, Apache-2.0), byte for byte.
It holds ``face_detector.tflite`` (BlazeFace, short range), ``face_landmarks_detector.tflite``,
``face_blendshapes.tflite`` and ``geometry_pipeline_metadata_landmarks.binarypb`` (the canonical face mesh).
Source: https://storage.googleapis.com/mediapipe-models/face_landmarker/
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from mmemo.errors import WeightsError

BUNDLE = Path(__file__).with_name("face_landmarker.task")
BUNDLE_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"

DETECTOR = "face_detector.tflite"
LANDMARKS = "face_landmarks_detector.tflite"
BLENDSHAPES = "face_blendshapes.tflite"
GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"

MESH_VERTICES = 468
"""Vertices of the canonical face; the landmarks 468 to 477 are the irises, which it lacks."""


@lru_cache(maxsize=1)
def read_bundle(path: Path = BUNDLE) -> dict[str, bytes]:
    """The files of the bundle by name, read into memory.

    Raises:
        WeightsError: if the file is missing, or is not the one its checksum names.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"The face landmarker's models can't be read from {path}: {error.strerror}. Reinstall mmemo."
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != BUNDLE_SHA256:
        raise WeightsError(
            f"{path} is not the face landmarker that mmemo ships: expected SHA-256 {BUNDLE_SHA256}, got {digest}. "
            "The file is damaged or was replaced. Reinstall mmemo."
        )
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


class TfliteModel:
    """One TFLite model with one input and fixed shapes. Not to be shared between threads.

    Args:
        name: the model's file name within the bundle.
        threads: how many CPU threads one call may use.

    Attributes:
        input_shape: shape of the float32 input, the batch axis included.

    Raises:
        WeightsError: if the bundle is damaged.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        content = read_bundle()[name]
        with _quiet():
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()[0]
        self._input = int(details["index"])
        self.input_shape: tuple[int, ...] = tuple(int(n) for n in details["shape"])
        self._outputs = [int(details["index"]) for details in self._interpreter.get_output_details()]

    def __call__(self, values: np.ndarray) -> Sequence[np.ndarray]:
        """Run the model on a float32 array of ``input_shape``; gives copies of its outputs, in the model's order."""
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the runtime's greeting off the terminal: it writes to the process's error stream, past Python's own."""
    try:
        stream = os.dup(2)
    except OSError:  # a process without an error stream
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stream, 2)
        os.close(stream)


@lru_cache(maxsize=1)
def canonical_face() -> np.ndarray:
    """The mean face the landmarks were defined on: (468, 3) float32, in centimetres.

    x grows to the person's left (right in the picture), y up, and z out of the face towards the viewer.

    The vertices stand in the bundle's geometry file, a protocol buffer: field 1 is the mesh, whose repeated field 3
    holds x, y, z, u, v of each vertex, each as a tag byte and a little-endian float32.
    """
    data = read_bundle()[GEOMETRY]
    tag = bytes([3 << 3 | 5])  # field 3, fixed 32 bit
    stride = 5  # bytes of one tag and its float
    values = MESH_VERTICES * 5
    start = data.find(tag)
    block = np.frombuffer(data, np.uint8, values * stride, start).reshape(values, stride)
    if not (block[:, 0] == tag[0]).all():
        raise WeightsError(f"{GEOMETRY} of the face landmarker has another layout than expected.")
    vertices = np.ascontiguousarray(block[:, 1:]).view("<f4").reshape(MESH_VERTICES, 5)
    return vertices[:, :3].copy()
