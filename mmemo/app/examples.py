"""Examples to try the app with: a picture, a voice, and a short video of both."""

from __future__ import annotations

import shutil
from pathlib import Path

from mmemo.samples import ASSETS, SPEECH_TEXT, make_clip, speech

NAMES = {"video": "A video", "voice": "A voice", "picture": "A picture", "words": "Words alone"}
WORDS = SPEECH_TEXT


def write_example(name: str, folder: Path) -> Path | None:
    """Write an example into ``folder``; None for words alone, which need no file.

    Args:
        name: one of ``NAMES``.
    """
    if name == "video":
        sound = speech()
        return make_clip(folder / "example.mp4", seconds=len(sound) / 16_000, size=(640, 360), sound=sound)
    if name == "voice":
        return Path(shutil.copy(ASSETS / "speech.opus", folder / "example.opus"))
    if name == "picture":
        return Path(shutil.copy(ASSETS / "portrait.jpg", folder / "example.jpg"))
    return None
