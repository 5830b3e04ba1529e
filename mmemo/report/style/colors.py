"""Colors of all reports: one a label, the same in every plot, page and video, and those of everything around them."""

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
"""Chosen by search for the largest difference between any two in normal vision, and in vision without red, green or
blue cones: at least 18 in CIEDE2000, where 2 is just noticeable. In gray they differ in lightness."""
_SYNONYMS = {
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
TEXT, FAINT = "#1f2328", "#636c76"
OUTLINE, RULE = "#9aa2a9", "#e3e6e8"
"""Around patches of color, and between the sections of a page."""
EMPTY, HATCH = "#eef0f1", "#cfd4d8"
"""Background and lines where evidence is missing."""
WAVEFORM, SPEECH, BURST, AXIS = "#58646e", "#dbe7f3", "#a9c4df", "#aab2b9"
PITCH, RATE, PAUSE = "#1f5fa8", "#c8641b", "#eceff1"
EARLY, LATE = "#9db8d2", "#14284b"
"""Ends of the ramp that stands for time."""
ACCENT = "#c8641b"
"""The one mark of a drawing that is looked for first."""
SUPPORTS, OPPOSES = "#c8641b", "#1f5fa8"
"""Evidence for a label, and against it."""


def colors(labels: Iterable[str]) -> dict[str, str]:
    """A color for each label: its own, that of its counterpart among the seven, or one of a few more."""
    palette: dict[str, str] = {}
    for label in labels:
        own = COLORS.get(label) or COLORS.get(_SYNONYMS.get(label, ""))
        free = [color for color in _MORE if color not in palette.values()] or list(_MORE)
        palette[label] = own if own is not None and own not in palette.values() else free[0]
    return palette


def rgb(color: str) -> tuple[int, int, int]:
    """``"#rrggbb"`` as three numbers, 0 to 255."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue


def time_color(share: float) -> str:
    """Color of a moment, by its share of the clip, 0 to 1."""
    ends = zip(rgb(EARLY), rgb(LATE), strict=True)
    return "#" + "".join(f"{round(early + share * (late - early)):02x}" for early, late in ends)


def ink(color: str) -> str:
    """Text color for a background: black or white, whichever has more contrast (relative luminance of WCAG 2)."""
    shares = [part / 255 for part in rgb(color)]
    linear = [(share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4) for share in shares]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"
