"""Content hashes, fingerprints, level and length of the media of a manifest, each file read once."""

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
from mmemo.data.checks.fingerprints import motion_fingerprint, picture_fingerprint, sound_fingerprint
from mmemo.errors import MediaError
from mmemo.pipeline.words import track_of

_CHUNK = 64
_FEW = 200
"""Still pictures that are read faster than a second process starts."""
_RATE, _SIDE = 8.0, 64


@dataclass(frozen=True)
class MediaScan:
    """Hashes, fingerprints, level and length of one clip's media.

    Attributes:
        content: hash of what the clip shows and plays; equal for clips that are the same bit for bit, whatever the
            file's name. None if there is no file, or it can't be read.
        picture, motion, sound: unit vectors of `mmemo.data.checks.fingerprints`, or None where there is none.
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
    clips: Sequence[Clip],
    *,
    fingerprints: bool = True,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[MediaScan]:
    """Scan the media of every clip; a file that can't be read gives a scan with a fault.

    Args:
        fingerprints: False gives content hashes only; sound and video are not decoded then.
        workers: processes; one a CPU by default.
        progress: called with the share of clips done, 0 to 1.
    """
    workers = workers or os.cpu_count() or 1
    chunks = [clips[first : first + _CHUNK] for first in range(0, len(clips), _CHUNK)]
    scans: list[MediaScan] = []
    for part in _scan_chunks(chunks, fingerprints, workers if len(clips) > _FEW else 1):
        scans += part
        if progress:
            progress(len(scans) / len(clips))
    return scans


def _scan_chunks(chunks: Sequence[Sequence[Clip]], fingerprints: bool, workers: int) -> Iterator[list[MediaScan]]:
    if workers == 1:
        yield from (_scan_chunk(chunk, fingerprints) for chunk in chunks)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_scan_chunk, chunks, [fingerprints] * len(chunks))


def _scan_chunk(clips: Sequence[Clip], fingerprints: bool) -> list[MediaScan]:
    return [scan_clip(clip, fingerprints=fingerprints) for clip in clips]


def scan_clip(clip: Clip, *, fingerprints: bool = True) -> MediaScan:
    """Scan one clip's media."""
    if clip.file is None:
        return MediaScan()
    try:
        data = clip.file.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if clip.file.suffix.lower() in media.IMAGE:
            return _scan_picture(clip.file, data, digest, fingerprints)
        content = hashlib.sha256(f"{digest} {clip.start} {clip.end} {clip.channel} {clip.audio_track}".encode())
        if isinstance(clip.audio, Path):
            content.update(clip.audio.read_bytes())
        if not fingerprints:
            return MediaScan(content.hexdigest(), sha256=digest)
        return _scan_recording(clip, content.hexdigest(), digest)
    except (OSError, MediaError) as error:
        return MediaScan(fault=str(error))


def _scan_picture(path: Path, data: bytes, digest: str, fingerprints: bool) -> MediaScan:
    """OpenCV decodes small pictures in memory ten times faster than a media container is opened for each."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if picture is None:
        return MediaScan(fault=f"{path} can't be decoded as a picture. It may be damaged or cut short; get it again.")
    content = hashlib.sha256(str(picture.shape).encode() + picture.tobytes()).hexdigest()
    return MediaScan(content, picture=picture_fingerprint(picture) if fingerprints else None, sha256=digest)


def _scan_recording(clip: Clip, content: str, digest: str) -> MediaScan:
    assert clip.path is not None
    info = media.probe(clip.path)
    motion = sound = level = None
    if info.video is not None:
        shots = media.frames(clip.path, clip.start, clip.end, max_side=_SIDE, max_rate=_RATE)
        pictures = [shot.image for shot in shots]
        motion = motion_fingerprint(pictures) if pictures else None
    if info.audio is not None or clip.audio is not None:
        track = track_of(clip, media.probe(clip.audio or clip.path))
        span = clip.start, clip.end
        blocks = list(media.waveform_blocks(clip.audio or clip.path, *span, channel=clip.channel, track=track))
        if blocks:
            waveform = np.concatenate(blocks)
            sound = sound_fingerprint(waveform)
            level = float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)) + 1e-12))
    end = info.duration if clip.end is None else min(clip.end, info.duration)
    return MediaScan(content, None, motion, sound, level, max(0.0, end - clip.start), digest)
