"""Which of the sound tracks of a file is analyzed: languages, microphones, comments."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmemo.evidence import Seconds
from mmemo.media.container import Damage, File, audio_streams, decode, is_default, open_media

_LISTEN: Seconds = 60.0
_SILENT = 1e-3
"""Peak of a track that nobody spoke into: -60 dB of full scale."""


def sound_track(file: File, container: Any, track: int | None = None) -> Any:
    """The audio stream to use, or None: the one that the file marks as its default.

    Where it marks several, or none, the first that is not silent in its first minute; the first if all are.

    Args:
        track: its number, from 1, where that is chosen; one that the file lacks counts as none.
    """
    streams = audio_streams(container)
    if track is not None and 1 <= track <= len(streams):
        return streams[track - 1]
    marked = [stream for stream in streams if is_default(stream)] or streams
    if len(marked) > 1:
        return next((stream for stream in marked if _has_sound(file, stream.index)), marked[0])
    return marked[0] if marked else None


def _has_sound(file: File, index: int) -> bool:
    with open_media(file) as container:
        seconds = 0.0
        for piece in decode(container, container.streams[index], Damage()):
            samples = piece.to_ndarray()
            full = 1.0 if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max)
            offset = 128.0 if samples.dtype == np.uint8 else 0.0
            if np.abs(samples.astype(np.float32) - offset).max(initial=0.0) > _SILENT * full:
                return True
            seconds += piece.samples / piece.sample_rate
            if seconds > _LISTEN:
                return False
        return False
