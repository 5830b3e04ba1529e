"""Drawing onto frames of a video: text, veils, bars and frames. All of it in place, on (H, W, 3) uint8 RGB."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from matplotlib import font_manager

from mmemo.report.style.fonts import paths

Color = tuple[int, int, int]
WHITE, BLACK, NIGHT = (255, 255, 255), (0, 0, 0), (24, 27, 31)


@dataclass(frozen=True, eq=False)
class Stencil:
    """A drawn text: ``alpha`` (h, w) float32 in [0, 1], and how many of its rows are below the baseline."""

    alpha: np.ndarray
    below: int


@lru_cache(maxsize=2048)
def stencil(text: str, size: int, bold: bool = False) -> Stencil:
    """A text in one line; ``size`` is its font's height in pixels."""
    font: Any = font_manager.get_font(paths(bold))
    font.set_size(size, 72)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that no font has is drawn as a box
        font.set_text(text, 0.0)
        font.draw_glyphs_to_bitmap(antialiased=True)
    alpha = np.asarray(font.get_image(), np.float32) / 255
    return Stencil(alpha, min(round(font.get_descent() / 64), alpha.shape[0]))


def width_of(text: str, size: int, bold: bool = False) -> int:
    """How many pixels a text is wide."""
    return int(stencil(text, size, bold).alpha.shape[1])


def write(
    image: np.ndarray, x: int, baseline: int, text: str, size: int, color: Color = WHITE, bold: bool = False
) -> None:
    """Write a text; what lies outside of the image is left out."""
    drawn = stencil(text, size, bold)
    top = baseline + drawn.below - drawn.alpha.shape[0]
    y0, x0 = max(0, top), max(0, x)
    alpha = drawn.alpha[y0 - top : image.shape[0] - top, x0 - x : max(0, image.shape[1] - x), None]
    if not alpha.size:
        return
    part = image[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]]
    part[:] = (part + alpha * (np.array(color, np.float32) - part)).astype(np.uint8)


def fill(image: np.ndarray, left: int, top: int, right: int, bottom: int, color: Color, share: float = 1.0) -> None:
    """Paint a rectangle; with a ``share`` below 1 what was there shines through."""
    part = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if not part.size:
        return
    if share >= 1:
        part[:] = color
    else:
        tint = np.broadcast_to(np.array(color, np.uint8), part.shape)
        cv2.addWeighted(part, 1 - share, tint, share, 0, dst=part)


def frame(image: np.ndarray, left: int, top: int, right: int, bottom: int, color: Color, thickness: int) -> None:
    """Draw the outline of a rectangle, with a dark rim that shows it on any background."""
    cv2.rectangle(image, (left, top), (right, bottom), NIGHT, thickness + 2, cv2.LINE_AA)
    cv2.rectangle(image, (left, top), (right, bottom), color, thickness, cv2.LINE_AA)
