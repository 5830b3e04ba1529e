"""Fonts of pictures and videos: the one that matplotlib ships, and installed ones for letters that it lacks."""

from __future__ import annotations

from functools import lru_cache

from matplotlib import font_manager

_FAMILIES = (
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
    """Names of the installed fonts, in the order in which they are searched for a letter."""
    installed = set(font_manager.get_font_names())
    return tuple(name for name in _FAMILIES if name in installed)


@lru_cache(maxsize=2)
def paths(bold: bool) -> tuple[str, ...]:
    """Font files of these families."""
    weight = "bold" if bold else "normal"
    return tuple(str(font_manager.findfont(font_manager.FontProperties(family=f, weight=weight))) for f in families())
