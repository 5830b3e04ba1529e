"""What a reader sees instead of a modality's name in the code."""

from __future__ import annotations

_NAMES = {"text": "Words"}


def name_of(band: str) -> str:
    """The name of a modality, or of "fused", for people."""
    return _NAMES.get(band, band.replace("_", " ").replace("-", " ").capitalize())
