"""Search for faces of any size, and verification that they are faces.

The landmark model's presence score alone is no proof: it is near 1 on many a patch of grass. So a face must be detected
twice, at two scales, and its landmarks must agree with the detector and have a face's shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from mmemo.faces.align import SIZE
from mmemo.faces.detector import INPUT, Detection, FaceDetector, View, overlaps, whole
from mmemo.faces.enhance import denoised
from mmemo.faces.face import Face, check_image, describe
from mmemo.faces.landmarker import FaceLandmarker, Mesh, Region
from mmemo.faces.landmarks import LEFT_PUPIL, NOSE_TIP, RIGHT_PUPIL, box_of, eye_distance
from mmemo.faces.model import warm_up
from mmemo.faces.pose import head_pose, misfit

MIN_PRESENCE = 0.5
MIN_SCORE = 0.4  # of the detector, for a candidate
# Mean of the detector's two scores. Grass, gravel, fabric, a text page and the like stay below, heads on coins do not;
# of FER2013's faces 98% lie above, and those of a stage seen from afar, 25 pixels high, mostly.
MIN_EVIDENCE = 0.65
# Mean from which a face is upright for sure, or turned. In the wrong direction coffee and the like reach 0.73, and an
# upside-down face 0.70; of faces turned by as much as the view, 48 pixels high and more, all lie above.
_CLEAR = 0.8
MIN_TIGHT_SCORE = 0.5  # where the one detection fills its small picture
MIN_EYE_DISTANCE = 3.0  # pixels; below, there is nothing to see in a face
MAX_MISFIT = 0.22  # see `mmemo.faces.pose.misfit`; calm faces have 0.03 to 0.10, screaming ones up to 0.19
MAX_DISAGREEMENT = 0.6  # mean distance of detector's and landmarks' eyes and nose, in distances of the eyes
SAME_FACE = 0.3  # intersection over union above which two detections are the same face
UPRIGHT, UPSIDE_DOWN, TURNED = (0,), (2,), (2, 1, 3)
"""Quarter turns of the faces to search for. Of those that lie on a side, the detector sees most as upright ones."""
_TURNED_DEPTH = 3  # three directions of a photo at its full depth would take a second and more
_SMALLEST_VIEW = 160  # pixels; the smallest face detected in it is about 24 pixels high
_MIN_FIRST_PRESENCE = 0.005  # presence below which landmarks are not refined
_SCALES = (1.5, 1.25, 1.9)  # how far around a detected box the landmark model looks, in the order tried
_TIGHT_MARGIN = 0.5  # of the image's longer side: makes room around a face that fills its picture
_TIGHT_UP_TO = 256  # pixels of the longer side up to which a picture is likely a face and nothing else
_CONFIRM = 2.3  # side of the view for the second look, in sides of the box
_EYES_AND_NOSE = np.array([RIGHT_PUPIL, LEFT_PUPIL, NOSE_TIP], dtype=np.intp)
"""The landmarks nearest to the detector's first keypoints."""


class FaceSearch:
    """The detector and the landmark model, and how they work together. It keeps nothing between images.

    Args:
        threads: CPU threads of one run of a model.
        refine: locate the landmarks a second time, in the region that the first ones give, as the frames of a track
            do, which use the region of the frame before. It changes a still's label in 3% and is no more often right:
            without it +0.3 ± 0.6 points of FER2013 PrivateTest (1,176 pictures), -0.2 ± 0.6 of CK+48, +0.5 ± 1.2 of
            SFEW. The same faces are found either way.
    """

    def __init__(self, threads: int = 1, *, refine: bool = True) -> None:
        self._refine = refine
        warm_up(threads)
        self.detector = FaceDetector(MIN_SCORE, threads)
        self.landmarker = FaceLandmarker(threads)

    def scan(
        self,
        image: np.ndarray,
        depth: int,
        most: int,
        known: np.ndarray | None = None,
        turns: Sequence[int] = UPRIGHT,
    ) -> list[Mesh]:
        """The faces in an image, each once.

        Args:
            image: (H, W, 3) uint8 RGB.
            depth: 0 uses the whole image, which detects faces down to about a seventh of its longer side; each
                step more also uses overlapping tiles of half the side, for faces of half the size, at three
                to four times the cost. `depth_of` gives the largest that makes sense.
            most: stop after so many faces, of more than so many candidates the largest; else the most certain come
                first.
            known: (N, 4), boxes of faces that are known already.
            turns: how far the faces are turned, in quarter turns clockwise.
        """
        return self._meshes(image, _each_once(self.candidates(image, depth, turns), known), most)

    def candidates(self, image: np.ndarray, depth: int, turns: Sequence[int] = UPRIGHT) -> list[Detection]:
        """Unconfirmed detections, some of one face; ``depth`` and ``turns`` as in `scan`."""
        detections: list[Detection] = []
        reduced = image
        for level in range(depth, -1, -1):
            # A tile of this level then has the detector's own size, and cutting it out costs little.
            reduced = _shrunken(reduced, INPUT << level)
            factor = max(reduced.shape[:2]) / max(image.shape[:2])
            tiles = _tiles(reduced, max(reduced.shape[:2]) / (1 << level))
            views = [replace(tile, turn=turn) for turn in turns for tile in tiles]
            detections += [_enlarged(detection, factor) for detection in self.detector.detect(reduced, *views)]
        return detections

    def scan_tight(
        self, image: np.ndarray, most: int, min_score: float = MIN_TIGHT_SCORE, turns: Sequence[int] = UPRIGHT
    ) -> list[Mesh]:
        """The faces in an image that may be nothing but a face, with room added around it; ``turns`` as in `scan`."""
        reduced = _shrunken(image, 2 * INPUT)
        factor = max(reduced.shape[:2]) / max(image.shape[:2])
        views = [replace(whole(reduced, _TIGHT_MARGIN), turn=turn) for turn in turns]
        detections = [
            _enlarged(detection, factor)
            for detection in self.detector.detect(reduced, *views)
            if detection.score >= min_score
        ]
        return self._meshes(image, detections, most, confirm=False)

    def scan_near(self, image: np.ndarray, box: np.ndarray, most: int, known: np.ndarray) -> list[Mesh]:
        """The faces around a place, (4,) left, top, right, bottom, where one was seen; ``known`` as in `scan`."""
        detections = self.detector.detect(image, _around(box, 2 * _CONFIRM))
        return self._meshes(image, _each_once(detections, known), most)

    def follow(self, image: np.ndarray, landmarks: np.ndarray) -> Mesh | None:
        """The face that had these landmarks in the picture before, or None if it is not there any more.

        Where the landmark model loses the face, the detector decides: it is better on tiny or turned faces.
        """
        mesh = self.landmarker.locate(image, Region.of_landmarks(landmarks))
        if plausible(mesh):
            return mesh
        detection = self.confirm(image, box_of(landmarks), turn_of(landmarks))
        found = None if detection is None else self._locate(image, detection)
        return None if detection is None or found is None else replace(found, score=detection.score)

    def confirm(self, image: np.ndarray, box: np.ndarray, turn: int = 0) -> Detection | None:
        """The detection of a face, so many quarter turns clockwise, at a place (4,), or None if there is none."""
        detections = self.detector.detect(image, replace(_around(box, _CONFIRM), turn=turn))
        same = [detection for detection in detections if overlaps(detection.box[None], box)[0] > SAME_FACE]
        return max(same, key=lambda detection: detection.score, default=None)

    def _meshes(self, image: np.ndarray, detections: list[Detection], most: int, confirm: bool = True) -> list[Mesh]:
        meshes: list[Mesh] = []
        if len(detections) > most:
            detections = sorted(
                detections, key=lambda detection: -float(np.ptp(detection.box.reshape(2, 2), axis=0).max())
            )
        for detection in detections:
            if len(meshes) >= most:
                break
            second = self.confirm(image, detection.box, detection.turn) if confirm else detection
            evidence = 0.0 if second is None else (detection.score + second.score) / 2
            if second is None or (confirm and evidence < MIN_EVIDENCE):
                continue
            mesh = self._locate(image, second)
            if mesh is not None:
                meshes.append(replace(mesh, score=evidence))
        return _distinct(meshes)

    def _locate(self, image: np.ndarray, detection: Detection) -> Mesh | None:
        """The landmarks of a detected face, or None if it is no face."""
        for scale in _SCALES:
            first = self.landmarker.locate(image, Region.of_detection(detection, scale))
            if first.presence < _MIN_FIRST_PRESENCE:
                continue
            good = _agree(first, detection)
            if good and not self._refine:
                return first
            second = self.landmarker.locate(image, Region.of_landmarks(first.landmarks))
            if _agree(second, detection):
                return second
            if good:
                return first
        return None


class FaceFinder:
    """Face detection in still images. It keeps nothing between images, and threads may share it.

    Args:
        size: side of the crops in pixels.
        max_faces: the most faces in one image.
        threads: CPU threads of one run of a model.
        enhance: search a noisy picture in which nobody is found once more, denoised (`mmemo.faces.enhance`).
    """

    def __init__(self, *, size: int = SIZE, max_faces: int = 32, threads: int = 1, enhance: bool = True) -> None:
        self._size = size
        self._enhance = enhance
        self._max_faces = max_faces
        self._search = FaceSearch(threads, refine=False)

    def find(self, image: np.ndarray) -> list[Face]:
        """The faces of a picture, the largest first; an empty list if there is none.

        A small picture is searched with room around it first, as it may be a crop of a face; any other whole and
        in overlapping tiles, the smaller the larger the picture. Where no face is upright, faces upside down and lying
        on a side are searched for in the same way, and a noisy picture in which nobody is found is denoised for another
        try. Crops and landmarks come from the picture itself, or the denoised one.

        Args:
            image: (H, W, 3) uint8 RGB.

        Raises:
            ArgumentError: if the image has another shape or type.
            WeightsError: if the face models are missing or damaged.
        """
        check_image(image)
        faces = self._find(image)
        if not faces and self._enhance:
            image, noise = denoised(image)
            faces = self._find(image, noise) if noise else []
        return faces

    def _find(self, image: np.ndarray, noise: float = 0.0) -> list[Face]:
        """The faces of a picture from which so much noise was taken."""
        meshes = clearer(self._meshes(image, UPRIGHT), lambda: self._meshes(image, TURNED))
        meshes.sort(key=lambda mesh: -eye_distance(mesh.landmarks))
        return [describe(image, mesh, person, 0.0, self._size, noise) for person, mesh in enumerate(meshes)]

    def _meshes(self, image: np.ndarray, turns: Sequence[int]) -> list[Mesh]:
        tight = max(image.shape[:2]) <= _TIGHT_UP_TO
        sure = MIN_TIGHT_SCORE if tight else MIN_EVIDENCE
        meshes = self._search.scan_tight(image, self._max_faces, sure, turns) if tight else []
        if not meshes:
            depth = depth_of(image) if turns == UPRIGHT else depth_of(image, _TURNED_DEPTH)
            meshes = self._search.scan(image, depth, self._max_faces, turns=turns)
        if not meshes and not tight:
            meshes = self._search.scan_tight(image, self._max_faces, sure, turns)
        return meshes


def depth_of(image: np.ndarray, most: int = 4) -> int:
    """How often an image can be halved before a view's smallest face is too small, 0 to ``most``."""
    return int(np.clip(np.log2(max(image.shape[:2]) / _SMALLEST_VIEW), 0, most))


def clearer(upright: list[Mesh], turned: Callable[[], list[Mesh]]) -> list[Mesh]:
    """Upright faces; where none of them is clear, the clear ones among the turned instead, if there are any.

    An upside-down face is now and then detected as an upright one that it is not.
    """
    if any(mesh.score >= _CLEAR for mesh in upright):
        return upright
    return [mesh for mesh in turned() if mesh.score >= _CLEAR] or upright


def turn_of(landmarks: np.ndarray) -> int:
    """The roll of a face with these landmarks (478, 3) to the next quarter turn, clockwise: 0 to 3."""
    return round(float(head_pose(landmarks)[2]) / 90) % 4


def plausible(mesh: Mesh) -> bool:
    """Whether landmarks are those of a face: present, large enough, and of a face's shape."""
    if mesh.presence < MIN_PRESENCE or not np.isfinite(mesh.landmarks).all():
        return False
    return eye_distance(mesh.landmarks) >= MIN_EYE_DISTANCE and misfit(mesh.landmarks) < MAX_MISFIT


def _agree(mesh: Mesh, detection: Detection) -> bool:
    """Whether landmarks are those of a face, and of the one that was detected."""
    return plausible(mesh) and _disagreement(mesh, detection) < MAX_DISAGREEMENT


def _disagreement(mesh: Mesh, detection: Detection) -> float:
    points = mesh.landmarks[_EYES_AND_NOSE, :2]
    distances = np.linalg.norm(points - detection.keypoints[: len(points)], axis=1)
    return float(distances.mean()) / eye_distance(mesh.landmarks)


def _distinct(meshes: list[Mesh]) -> list[Mesh]:
    """The same without those that lie on one before them."""
    kept: list[Mesh] = []
    for mesh in meshes:
        boxes = np.array([box_of(other.landmarks) for other in kept]).reshape(-1, 4)
        if not len(kept) or overlaps(boxes, box_of(mesh.landmarks)).max() < SAME_FACE:
            kept.append(mesh)
    return kept


def _each_once(detections: list[Detection], known: np.ndarray | None) -> list[Detection]:
    """Detections of several views, best first, without those that lie on a better or a known one."""
    boxes = [] if known is None else list(known)
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda detection: -detection.score):
        if not len(boxes) or overlaps(np.array(boxes), detection.box).max() < SAME_FACE:
            boxes.append(detection.box)
            kept.append(detection)
    return kept


def _around(box: np.ndarray, sides: float) -> View:
    x, y = (box[:2] + box[2:]) / 2
    side = max(float((box[2:] - box[:2]).max()) * sides, 1.0)
    return View(float(x) - side / 2, float(y) - side / 2, side)


def _tiles(image: np.ndarray, side: float) -> list[View]:
    """Square views that cover an image, neighbors overlapping by at least a quarter.

    Their side is at least ``side`` pixels, and up to a third more where fewer views then do.
    """
    height, width = image.shape[:2]
    sides = side * np.linspace(1, 4 / 3, 17)
    side = float(min(sides, key=lambda side: len(_starts(height, side)) * len(_starts(width, side))))
    return [View(float(x), float(y), side) for y in _starts(height, side) for x in _starts(width, side)]


def _starts(length: int, side: float) -> np.ndarray:
    """Where views of ``side`` pixels begin along an axis; the middle where one view covers it."""
    if length <= side:
        return np.array([(length - side) / 2])
    return np.linspace(0, length - side, 1 + int(np.ceil((length - side) / (side * 3 / 4))))


def _shrunken(image: np.ndarray, side: int) -> np.ndarray:
    """The image with its longer side at most ``side`` pixels."""
    height, width = image.shape[:2]
    factor = side / max(height, width)
    if factor >= 1.0:
        return image
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _enlarged(detection: Detection, factor: float) -> Detection:
    """A detection in an image that was shrunken by ``factor``, in pixels of the image before."""

    def back(points: np.ndarray) -> np.ndarray:
        enlarged: np.ndarray = (points + 0.5) / factor - 0.5  # centers of pixels are whole numbers in both
        return enlarged

    return replace(detection, box=back(detection.box), keypoints=back(detection.keypoints))
