"""Strip below an annotated video: the fused scores of the whole clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmemo.evidence import Seconds
from mmemo.report.style.colors import EMPTY, HATCH, rgb
from mmemo.report.timeline import runs, scores_at
from mmemo.report.video import draw
from mmemo.report.video.draw import GRAY, NIGHT, WHITE
from mmemo.report.video.sizes import VideoStyle

if TYPE_CHECKING:
    from mmemo.result import EmotionResult


class Strip:
    """Fused scores of the whole clip, with the current time marked.

    Attributes:
        height: of the strip in pixels, even.
    """

    def __init__(self, style: VideoStyle, result: EmotionResult) -> None:
        self._style, self._result = style, result
        self._fused = runs(result.segments, "fused")
        px = style.px
        self._pad, self._head, self._band = px(8), px(20), px(30)
        self.height = self._head + self._band + px(7)
        self.height += self.height % 2
        columns = style.width - 2 * self._pad
        times = result.start + (np.arange(columns) + 0.5) / columns * max(result.duration, 1e-6)
        band = np.empty((self._band, columns, 3), np.uint8)
        band[:] = rgb(EMPTY)
        slanted = (np.add.outer(np.arange(self._band), np.arange(columns)) // max(1, px(2))) % 4 == 0
        band[slanted] = rgb(HATCH)  # where evidence is missing, as in the plot
        heights = self._band - (np.arange(self._band) + 0.5)
        palette = np.array(style.colors, np.uint8)
        for column, time in enumerate(times):
            scores = scores_at(self._fused, float(time))
            if scores is not None:
                places = np.searchsorted(np.cumsum(scores)[:-1] * self._band, heights)
                band[:, column] = palette[places]
        self._after = band
        self._before = cv2.addWeighted(band, 0.4, np.full_like(band, NIGHT), 0.6, 0)
        self._blank = self._background()

    def draw(self, target: np.ndarray, time: Seconds) -> None:
        """Draw the strip at a time into ``target`` (height, width, 3)."""
        target[:] = self._blank
        style, px = self._style, self._style.px
        columns = self._after.shape[1]
        played = (time - self._result.start) / max(self._result.duration, 1e-6)
        x = int(np.clip(round(played * columns), 0, columns))
        band = target[self._head : self._head + self._band, self._pad : self._pad + columns]
        band[:, :x], band[:, x:] = self._after[:, :x], self._before[:, x:]
        draw.fill(
            target,
            self._pad + x - px(1.5),
            self._head - px(2),
            self._pad + x + px(1.5),
            self._head + self._band + px(2),
            NIGHT,
        )
        draw.fill(
            target,
            self._pad + x - px(0.7),
            self._head - px(2),
            self._pad + x + px(0.7),
            self._head + self._band + px(2),
            WHITE,
        )
        scores = scores_at(self._fused, time)
        size, line = px(11), self._head - px(6)
        if scores is None:
            draw.write(target, self._pad, line, "no evidence", size, GRAY)
            return
        best = int(scores.argmax())
        draw.fill(target, self._pad, line - size + px(2), self._pad + px(9), line + px(1), style.colors[best])
        draw.write(target, self._pad + px(14), line, f"{style.labels[best]} {scores[best]:.0%}", size, WHITE, bold=True)

    def _background(self) -> np.ndarray:
        """Strip without scores, with the labels in their colors as far as there is room."""
        style, px = self._style, self._style.px
        blank = np.empty((self.height, style.width, 3), np.uint8)
        blank[:] = NIGHT
        size, line = px(8.5), self._head - px(7)
        x = style.width - self._pad
        widest = max(draw.width_of(f"{label} 100%", px(11), bold=True) for label in style.labels)
        for label, color in reversed(list(zip(style.labels, style.colors, strict=True))):
            x -= draw.width_of(label, size)
            if x < self._pad + widest + px(18):
                break
            draw.write(blank, x, line, label, size, GRAY)
            x -= px(11)
            draw.fill(blank, x, line - px(6), x + px(7), line + px(1), color)
            x -= px(8)
        return blank
