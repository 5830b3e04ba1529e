"""What of a clip decides its analysis: the bytes of its files, the span and the words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmemo.clip import Clip
from mmemo.data.checks.fingerprints import hash_file
from mmemo.speech.transcript import find_sidecar


def content(clip: Clip) -> Iterator[Any]:
    """Values for JSON that change when the clip does; never a file's name or date.

    Raises:
        OSError: if a file can't be read.
    """
    sidecar = None if clip.path is None or clip.subtitles or clip.text is not None else find_sidecar(clip.path)
    for file in (clip.path, clip.audio, clip.subtitles or sidecar):
        yield file and hash_file(file)
    yield from (clip.start, clip.end, clip.text, clip.language)
