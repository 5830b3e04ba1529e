"""How large things are drawn on a video, and in which colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmemo.report.style.colors import colors, ink, rgb
from mmemo.report.video.draw import Color

if TYPE_CHECKING:
    from mmemo.result import EmotionResult

_LEGIBLE = 300
"""Pixels of a picture's shorter side from which labels can be read; smaller ones are shown at twice the size."""
GREY: Color = (176, 182, 188)


class Style:
    """Sizes and colours for one video.

    Args:
        width, height: of the video's frames in pixels.

    Attributes:
        times: how many times larger the frames are shown.
        width: of the frames as they are shown; ``height`` likewise.
        labels, colors, inks: the labels in their order, their colours, and what can be read on these.
    """

    def __init__(self, result: EmotionResult, width: int, height: int) -> None:
        self.times = 2 if min(width, height) < _LEGIBLE else 1
        self.width, self.height = width * self.times, height * self.times
        self._unit = float(np.clip(min(self.height / 360, self.width / 420), 0.6, 6.0))
        chosen = colors(result.scores)
        self.labels = list(chosen)
        self.colors = [rgb(color) for color in chosen.values()]
        self.inks = [rgb(ink(color)) for color in chosen.values()]

    def px(self, units: float) -> int:
        """A length in pixels; a unit is a pixel of a picture with 360 lines."""
        return max(1, round(units * self._unit))
