"""Faces in a single picture: photos of any size, and pictures that are nothing but a face."""

from __future__ import annotations

import numpy as np

from mmemo.faces.align import SIZE
from mmemo.faces.face import Face, check_image, describe, eye_distance
from mmemo.faces.search import MIN_EVIDENCE, FaceSearch, depth_of

_TIGHT_UP_TO = 256  # pixels of the longer side up to which a picture is likely a face and nothing else


class FaceFinder:
    """Finds the faces of still images. One instance a thread and process; it keeps nothing between images.

    Args:
        size: side of the crops in pixels.
        max_faces: how many faces to look for in one image.
        threads: how many CPU threads one model may use.

    Raises:
        WeightsError: if the face models are damaged.
    """

    def __init__(self, *, size: int = SIZE, max_faces: int = 32, threads: int = 1) -> None:
        self._size = size
        self._max_faces = max_faces
        self._search = FaceSearch(threads)

    def find(self, image: np.ndarray) -> list[Face]:
        """The faces of a picture, the largest first; an empty list if there is none.

        A small picture is looked at with room around it first, as it may be a crop of a face; any other whole and
        in overlapping tiles, the smaller the larger the picture. Crops and landmarks come from the picture itself.

        Args:
            image: (H, W, 3) uint8 RGB.

        Raises:
            ArgumentError: if the image has another shape or type.
        """
        check_image(image)
        tight = max(image.shape[:2]) <= _TIGHT_UP_TO
        meshes = self._search.scan_tight(image, self._max_faces) if tight else []
        if not meshes:
            meshes = self._search.scan(image, depth_of(image), self._max_faces)
        if not meshes and not tight:
            meshes = self._search.scan_tight(image, self._max_faces, MIN_EVIDENCE)
        meshes.sort(key=lambda mesh: -eye_distance(mesh.landmarks))
        return [
            describe(image, mesh, self._search.landmarker, person, 0.0, self._size)
            for person, mesh in enumerate(meshes)
        ]
