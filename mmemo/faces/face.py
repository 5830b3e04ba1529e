"""One face in one picture: landmarks, blendshapes, pose, quality and crop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds
from mmemo.faces.align import SIZE, align
from mmemo.faces.blendshapes import blendshapes
from mmemo.faces.enhance import MAX_NOISE
from mmemo.faces.landmarker import Mesh
from mmemo.faces.landmarks import box_of, eye_distance
from mmemo.faces.pose import head_pose
from mmemo.faces.quality import quality, sharpness, uncovered


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one picture.

    Attributes:
        person: stable id of the face's track, from 0; in a still image its place in the list.
        time: seconds from the start of the file; 0 in a still image.
        landmarks: (478, 3) float32: x, y in pixels of the picture, z in the same scale, growing away from the viewer.
        pose: (3,) float32: yaw, pitch, roll in degrees, as `mmemo.faces.pose.head_pose` defines them.
        box: (4,) float32: left, top, right, bottom of the landmarks in pixels of the picture.
        presence: the landmark model's probability that this is a face, 0 to 1.
        quality: how far the crop can be trusted, 0 to 1, as `mmemo.faces.quality.quality` defines it.
        crop: (S, S, 3) uint8 RGB, of `mmemo.faces.align.align`.
        confidence: how sure it is that this is a face, 0 to 1: the detector's score times ``presence``. Of a track the
            mean score so far, with 0 where the detector was to confirm the face and did not.
        noise: of the picture, as a share of its contrast, where it was so high that the picture, and so the crop, was
            denoised (`mmemo.faces.enhance`); 0 where the picture was left as it is.
    """

    person: int
    time: Seconds
    landmarks: np.ndarray
    pose: np.ndarray
    box: np.ndarray
    presence: float
    quality: float
    crop: np.ndarray
    confidence: float = 1.0
    noise: float = 0.0

    @cached_property
    def blendshapes(self) -> np.ndarray:
        """(52,) float32 in [0, 1], in the order of `mmemo.faces.BLENDSHAPES`; computed when they are first read."""
        return np.asarray(blendshapes(self.landmarks[None])[0])


def describe(image: np.ndarray, mesh: Mesh, person: int, time: Seconds, size: int = SIZE, noise: float = 0.0) -> Face:
    """The face that has these landmarks in an RGB image (H, W, 3) uint8, from which so much noise was taken."""
    crop = align(image, mesh.landmarks, size)
    pose = head_pose(mesh.landmarks)
    return Face(
        person=person,
        time=time,
        landmarks=mesh.landmarks,
        pose=pose,
        box=box_of(mesh.landmarks),
        presence=mesh.presence,
        quality=quality(
            eye_distance(mesh.landmarks),
            sharpness(crop),
            pose,
            mesh.presence,
            uncovered(crop),
            MAX_NOISE / max(noise, MAX_NOISE),
        ),
        crop=crop,
        confidence=mesh.score * mesh.presence,
        noise=noise,
    )


def check_image(image: np.ndarray) -> None:
    """Check that a picture is an RGB image.

    Raises:
        ArgumentError: unless it is (H, W, 3) uint8 with at least one pixel.
    """
    if not isinstance(image, np.ndarray):
        raise ArgumentError(f"Faces: expected an RGB image as a NumPy array, got {type(image).__name__}.")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ArgumentError(f"Faces: expected an RGB image (H, W, 3) uint8, got {image.shape} {image.dtype}.")
