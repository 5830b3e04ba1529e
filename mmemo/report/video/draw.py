"""Drawing on video frames, in place, on (H, W, 3) uint8 RGB: text, rectangles and outlines."""

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
WHITE, BLACK, NIGHT, GRAY = (255, 255, 255), (0, 0, 0), (24, 27, 31), (176, 182, 188)


@dataclass(frozen=True, eq=False)
class TextMask:
    """Rasterized text: ``alpha`` (h, w) float32 in [0, 1], and the number of its rows below the baseline."""

    alpha: np.ndarray
    below: int


@lru_cache(maxsize=2048)
def rasterize(text: str, size: int, bold: bool = False) -> TextMask:
    """Rasterize one line of text; ``size`` is the height of the font in pixels."""
    font: Any = font_manager.get_font(paths(bold))
    font.set_size(size, 72)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that no font has is drawn as a box
        font.set_text(text, 0.0)
        font.draw_glyphs_to_bitmap(antialiased=True)
    alpha = np.asarray(font.get_image(), np.float32) / 255
    return TextMask(alpha, min(round(font.get_descent() / 64), alpha.shape[0]))


def width_of(text: str, size: int, bold: bool = False) -> int:
    """Width of a text in pixels."""
    return int(rasterize(text, size, bold).alpha.shape[1])


def write(
    image: np.ndarray, x: int, baseline: int, text: str, size: int, color: Color = WHITE, bold: bool = False
) -> None:
    """Write a text; parts outside of the image are left out."""
    mask = rasterize(text, size, bold)
    top = baseline + mask.below - mask.alpha.shape[0]
    y0, x0 = max(0, top), max(0, x)
    alpha = mask.alpha[y0 - top : image.shape[0] - top, x0 - x : max(0, image.shape[1] - x), None]
    if not alpha.size:
        return
    part = image[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]]
    part[:] = (part + alpha * (np.array(color, np.float32) - part)).astype(np.uint8)


def fill(image: np.ndarray, left: int, top: int, right: int, bottom: int, color: Color, opacity: float = 1.0) -> None:
    """Fill a rectangle; ``opacity`` is from 0 to 1."""
    part = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if not part.size:
        return
    if opacity >= 1:
        part[:] = color
    else:
        tint = np.broadcast_to(np.array(color, np.uint8), part.shape)
        cv2.addWeighted(part, 1 - opacity, tint, opacity, 0, dst=part)


def outline(image: np.ndarray, left: int, top: int, right: int, bottom: int, color: Color, thickness: int) -> None:
    """Outline a rectangle, with a dark rim that makes it visible on any background."""
    cv2.rectangle(image, (left, top), (right, bottom), NIGHT, thickness + 2, cv2.LINE_AA)
    cv2.rectangle(image, (left, top), (right, bottom), color, thickness, cv2.LINE_AA)
