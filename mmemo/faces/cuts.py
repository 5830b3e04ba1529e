"""Detection of cuts between shots, despite camera shake, flashes, fades and titles."""

from __future__ import annotations

import cv2
import numpy as np

_COLUMNS, _ROWS = 32, 18
_SHIFT_X, _SHIFT_Y = 3, 2  # cells the picture may move from frame to frame: a tenth of its size
# Similarity below which two frames are of different shots. Within the shots of real clips it stays above 0.93 from
# frame to frame and 0.68 over a second of fast panning; between unrelated pictures it rarely exceeds 0.6.
MIN_SIMILARITY = 0.6
_BLANK_CONTRAST = 4.0  # standard deviation of a picture that shows nothing, on the scale 0 to 255
_BLANK_SHARE = 0.6  # share of black or white cells above which a picture is a flash or a fade


class ShotSimilarity:
    """Similarity of each frame to the one before.

    Frames are compared as coarse color pictures, each channel less its mean and at the best of small shifts, so that
    light and shake don't count. Blank frames are passed over: what follows a flash or a fade is compared with what was
    before it. A slow dissolve is not seen.
    """

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def update(self, image: np.ndarray) -> float:
        """The correlation, -1 to 1, of the next frame, (H, W, 3) uint8 RGB, with the last; 1 for the first.

        Below `MIN_SIMILARITY` a new shot begins with this frame.
        """
        now = _coarse(image)
        if _is_blank(now):
            return 1.0
        before, self._before = self._before, now
        return 1.0 if before is None else _similarity(before, now)

    def reset(self) -> None:
        """Forget the frames before."""
        self._before = None


def _similarity(before: np.ndarray, now: np.ndarray) -> float:
    """Correlation of the middle of one coarse picture with another, at the best of small shifts."""
    middle = before[_SHIFT_Y:-_SHIFT_Y, _SHIFT_X:-_SHIFT_X]
    return float(cv2.matchTemplate(now, middle, cv2.TM_CCOEFF_NORMED).max())


def _coarse(image: np.ndarray) -> np.ndarray:
    step = max(min(image.shape[0] // (4 * _ROWS), image.shape[1] // (4 * _COLUMNS)), 1)
    sparse = np.ascontiguousarray(image[::step, ::step])  # some 16 pixels a cell are enough, and reading them is quick
    small = cv2.resize(sparse, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (3, 3), 0).astype(np.float32))


def _is_blank(coarse: np.ndarray) -> bool:
    red, green, blue = cv2.split(coarse)
    brightest, darkest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    extreme = (brightest < 6) | (darkest > 249)
    _, contrast = cv2.meanStdDev(coarse)
    return float(contrast.max()) < _BLANK_CONTRAST or float(extreme.mean()) > _BLANK_SHARE
