"""Looks into the media of a manifest once, for the audit: content hashes, prints, level and length."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from mmemo import media
from mmemo.clip import Clip
from mmemo.data.checks.fingerprints import motion_print, picture_print, sound_print
from mmemo.errors import MediaError

_CHUNK = 64
_FEW = 200
"""Still pictures that are looked at faster than a second process starts."""
_RATE, _SIDE = 8.0, 64


@dataclass(frozen=True)
class Look:
    """What was seen and heard in one clip.

    Attributes:
        content: hash of what the clip shows and plays; equal for clips that are the same bit for bit, whatever the
            file's name. None if there is no file, or it can't be read.
        picture, motion, sound: prints of `mmemo.data.checks.fingerprints`, or None where there is none.
        level: of the sound in dBFS, or None; ``seconds``: its or the video's length.
        sha256: of the bytes of the file.
        fault: why it can't be read; empty if it can.
    """

    content: str | None = None
    picture: np.ndarray | None = field(default=None, repr=False)
    motion: np.ndarray | None = field(default=None, repr=False)
    sound: np.ndarray | None = field(default=None, repr=False)
    level: float | None = None
    seconds: float | None = None
    sha256: str | None = None
    fault: str = ""


def scan(
    clips: Sequence[Clip], *, prints: bool = True, workers: int | None = None, tick: Callable[[int], None] | None = None
) -> list[Look]:
    """Look into the media of every clip; a file that can't be read is a `Look` with a fault.

    Args:
        prints: False compares content bit for bit only; sound and video are not decoded then.
        workers: processes; one a CPU by default.
        tick: is called with the number of clips done.
    """
    workers = workers or os.cpu_count() or 1
    chunks = [clips[first : first + _CHUNK] for first in range(0, len(clips), _CHUNK)]
    looks: list[Look] = []
    for found in _mapped(chunks, prints, workers if len(clips) > _FEW else 1):
        looks += found
        if tick:
            tick(len(looks))
    return looks


def _mapped(chunks: Sequence[Sequence[Clip]], prints: bool, workers: int) -> Iterator[list[Look]]:
    if workers == 1:
        yield from (_look_at(chunk, prints) for chunk in chunks)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_look_at, chunks, [prints] * len(chunks))


def _look_at(clips: Sequence[Clip], prints: bool) -> list[Look]:
    return [look(clip, prints=prints) for clip in clips]


def look(clip: Clip, *, prints: bool = True) -> Look:
    """Look into one clip's media."""
    if clip.path is None:
        return Look()
    try:
        data = clip.path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if clip.path.suffix.lower() in media.IMAGE:
            return _still(clip.path, data, digest, prints)
        content = hashlib.sha256(f"{digest} {clip.start} {clip.end}".encode())
        if clip.audio is not None:
            content.update(clip.audio.read_bytes())
        return _moving(clip, content.hexdigest(), digest) if prints else Look(content.hexdigest(), sha256=digest)
    except (OSError, MediaError) as error:
        return Look(fault=str(error))


def _still(path: Path, data: bytes, digest: str, prints: bool) -> Look:
    """OpenCV decodes small pictures in memory ten times faster than a media container is opened for each."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if picture is None:
        return Look(fault=f"{path} can't be decoded as a picture. It may be damaged or cut short; get it again.")
    content = hashlib.sha256(str(picture.shape).encode() + picture.tobytes()).hexdigest()
    return Look(content, picture=picture_print(picture) if prints else None, sha256=digest)


def _moving(clip: Clip, content: str, digest: str) -> Look:
    assert clip.path is not None
    info = media.probe(clip.path)
    motion = sound = level = None
    if info.video is not None:
        shots = media.frames(clip.path, clip.start, clip.end, max_side=_SIDE, max_rate=_RATE)
        pictures = [shot.image for shot in shots]
        motion = motion_print(pictures) if pictures else None
    if info.audio is not None or clip.audio is not None:
        heard = list(media.waveform_blocks(clip.audio or clip.path, clip.start, clip.end))
        if heard:
            waveform = np.concatenate(heard)
            sound = sound_print(waveform)
            level = float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)) + 1e-12))
    end = info.duration if clip.end is None else min(clip.end, info.duration)
    return Look(content, None, motion, sound, level, max(0.0, end - clip.start), digest)
