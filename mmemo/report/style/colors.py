"""One colour a label, the same in every plot, page and video."""

from __future__ import annotations

from collections.abc import Iterable

COLORS = {
    "neutral": "#b3b6af",
    "happiness": "#f8c26e",
    "sadness": "#0e4ea0",
    "anger": "#e10015",
    "fear": "#aa77cf",
    "disgust": "#089065",
    "surprise": "#a1e7ff",
}
"""Chosen by search for the largest difference between any two as everybody sees them, and as people see them who lack
red, green or blue cones: at least 18 in CIEDE2000, where 2 are just told apart. In grey they differ in lightness."""
_SAME = {
    "calm": "neutral",
    "happy": "happiness",
    "joy": "happiness",
    "joyful": "happiness",
    "positive": "happiness",
    "sad": "sadness",
    "angry": "anger",
    "mad": "anger",
    "negative": "anger",
    "fearful": "fear",
    "scared": "fear",
    "disgusted": "disgust",
    "surprised": "surprise",
}
_MORE = ("#5b3a29", "#ff8fb3", "#3d4b52", "#c6d96f", "#00a3ad", "#7a5c00", "#f2d5f7", "#4b7bec", "#8c2f6b", "#d1ccc0")
"""For labels that have no counterpart among the seven."""
EMPTY = "#eef0f1"
"""Where evidence is missing."""
TEXT, FAINT = "#1f2328", "#636c76"


def colors(labels: Iterable[str]) -> dict[str, str]:
    """A colour for each label: its own, that of its counterpart among the seven, or one of a few more."""
    chosen: dict[str, str] = {}
    for label in labels:
        wanted = COLORS.get(label) or COLORS.get(_SAME.get(label, ""))
        free = [color for color in _MORE if color not in chosen.values()] or list(_MORE)
        chosen[label] = wanted if wanted is not None and wanted not in chosen.values() else free[0]
    return chosen


def rgb(color: str) -> tuple[int, int, int]:
    """``"#rrggbb"`` as three numbers, 0 to 255."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue


def ink(color: str) -> str:
    """Black or white: what can be read on a colour (relative luminance of WCAG 2)."""
    linear = [(share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4) for share in _shares(color)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"


def _shares(color: str) -> list[float]:
    return [part / 255 for part in rgb(color)]
