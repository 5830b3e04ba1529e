"""Fonts for every picture and video: matplotlib's own, and what is installed for letters that it lacks."""

from __future__ import annotations

from functools import lru_cache

from matplotlib import font_manager

_WANTED = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Arial Unicode MS",
)
"""The first comes with matplotlib."""


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """Names of the fonts that are here, in the order in which they are asked for a letter."""
    here = set(font_manager.get_font_names())
    return tuple(name for name in _WANTED if name in here)


@lru_cache(maxsize=2)
def paths(bold: bool) -> tuple[str, ...]:
    """Files of these fonts."""
    weight = "bold" if bold else "normal"
    return tuple(str(font_manager.findfont(font_manager.FontProperties(family=f, weight=weight))) for f in families())
