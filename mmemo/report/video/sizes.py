"""Sizes and colors of what is drawn on a video."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmemo.report.style.colors import colors, ink, rgb

if TYPE_CHECKING:
    from mmemo.result import EmotionResult

_LEGIBLE = 300
"""Shorter side in pixels from which labels are legible; smaller pictures are shown at twice the size."""


class VideoStyle:
    """Sizes and colors for one video.

    Args:
        width, height: of the video's frames in pixels.

    Attributes:
        scale: how many times larger the frames are shown, 1 or 2.
        width: of the frames as they are shown; ``height`` likewise.
        labels, colors, inks: the labels in their order, their colors, and the text colors on these.
    """

    def __init__(self, result: EmotionResult, width: int, height: int) -> None:
        self.scale = 2 if min(width, height) < _LEGIBLE else 1
        self.width, self.height = width * self.scale, height * self.scale
        self._unit = float(np.clip(min(self.height / 360, self.width / 420), 0.6, 6.0))
        palette = colors(result.scores)
        self.labels = list(palette)
        self.colors = [rgb(color) for color in palette.values()]
        self.inks = [rgb(ink(color)) for color in palette.values()]

    def px(self, units: float) -> int:
        """Length in pixels; a unit is a pixel of a picture with 360 lines."""
        return max(1, round(units * self._unit))
