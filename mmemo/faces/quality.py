"""Quality of a crop of a face: how far it can be trusted."""

from __future__ import annotations

import math

import cv2
import numpy as np

# Each ramp rises from 0 to 1 between its two ends.
_SIZE = (8.0, 40.0)  # pixels between the eyes: FER2013's 48 x 48 pictures have 18, of which people read 65% right
_SHARPNESS = (0.02, 0.12)  # relative Laplacian, see `sharpness`
_TURN = (75.0, 25.0)  # degrees between the nose and the camera
_PRESENCE = (0.5, 0.95)
# Contrast of eyes or mouth relative to the whole crop: 0 to 0.07 under plain sunglasses or a mask; of FER2013's
# training faces, hands before them included, 99.5% lie above 0.22.
_UNCOVERED = (0.08, 0.2)
_LEAST = 0.01  # what is left of the trust where the eyes, or the mouth, are covered
_EYES, _MOUTH = (0.31, 0.43, 0.2, 0.8), (0.64, 0.84, 0.32, 0.68)  # top, bottom, left, right in shares of the crop
_SIDE = 56  # pixels at which crops of any size are measured
_CONTRAST = (3.0, 15.0)  # standard deviation of a crop, on the scale 0 to 255, in which detail stands out from noise


def quality(
    eye_distance: float,
    sharp: float,
    pose: np.ndarray,
    presence: float,
    uncovered: float = 1.0,
    clean: float = 1.0,
) -> float:
    """The trust in a crop, 0 to 1: the root of the product of its parts, so that one bad part can't be made up for.

    It never falls when one part rises:

    - size: distance of the eyes, 0 at 8 px and below, 1 from 40 px on (on a logarithmic scale);
    - sharpness: as `sharpness` gives it;
    - pose: the angle between the nose and the camera, 1 up to 25 degrees, 0 from 75 degrees on;
    - presence: the landmark model's own confidence, 0 at 0.5 and 1 from 0.95 on;
    - uncovered: as `uncovered` gives it;
    - clean: by how much the noise of the picture is beyond what is left alone, as `mmemo.faces.enhance` measures it.
      What is left of the noise looks like sharpness, so that without this part the noisiest would be trusted most.

    Args:
        eye_distance: pixels between the centers of the eyes in the image the crop was cut from.
        sharp: sharpness of the crop.
        pose: (3,) yaw, pitch, roll in degrees. Roll does not count: the crop undoes it.
        presence: 0 to 1.
        uncovered: 0 to 1.
        clean: 0 to 1.
    """
    yaw, pitch = np.radians(pose[:2].astype(np.float64))
    turn = np.degrees(np.arccos(np.clip(np.cos(yaw) * np.cos(pitch), -1.0, 1.0)))
    parts = (
        _ramp(math.log(max(eye_distance, 1e-6)), math.log(_SIZE[0]), math.log(_SIZE[1])),
        _ramp(sharp, *_SHARPNESS),
        _ramp(-turn, -_TURN[0], -_TURN[1]),
        _ramp(presence, *_PRESENCE),
        uncovered,
        clean,
    )
    return math.sqrt(math.prod(parts))


def sharpness(crop: np.ndarray) -> float:
    """Fine detail of an aligned crop relative to its contrast; about 0 for a blurred face.

    The standard deviation of the Laplacian of the crop at 56 x 56 pixels, over that of the crop itself. Measuring at
    one small size, whatever the size of the crop, makes crops of near and far faces comparable; dividing by the
    contrast makes it independent of the light, until almost none is left, as in a fade or a flash.

    Args:
        crop: (S, S, 3) uint8, of `mmemo.faces.align.align`.
    """
    gray = _gray(crop)
    contrast = _deviation(gray)
    detail = _deviation(cv2.Laplacian(gray, cv2.CV_32F)) / (4.0 * max(contrast, 1.0))
    return detail * _ramp(contrast, *_CONTRAST)


def uncovered(crop: np.ndarray) -> float:
    """How far eyes and mouth can be seen, 0 to 1: 0.01 behind plain sunglasses or a mask, 0.0001 behind both.

    What covers a face is mostly plainer than what it covers. A patterned mask, or glasses full of reflections, are not
    noticed.

    Args:
        crop: (S, S, 3) uint8, of `mmemo.faces.align.align`.
    """
    gray = _gray(crop)
    whole, seen = max(_deviation(gray), 1.0), 1.0
    for part in (_EYES, _MOUTH):
        top, bottom, left, right = (int(share * _SIDE) for share in part)
        contrast = _deviation(gray[top:bottom, left:right]) / whole
        seen *= _LEAST + (1 - _LEAST) * _ramp(contrast, *_UNCOVERED)
    return seen


def _gray(crop: np.ndarray) -> np.ndarray:
    small = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def _deviation(values: np.ndarray) -> float:
    return float(cv2.meanStdDev(values)[1].item())


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)
