"""The analyzed video with what was found drawn into it: boxes, labels, bars, subtitles, and the course below."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmemo import media
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evidence import Seconds
from mmemo.faces.hiding import METHODS, Method, hide_faces
from mmemo.files import check_file
from mmemo.media import Frame, SoundOf
from mmemo.report.artist import Artist, faces_at
from mmemo.report.files import inputs_of

if TYPE_CHECKING:
    from mmemo.result import EmotionResult


def save_video(
    result: EmotionResult,
    path: Path,
    anonymize: Method | None = None,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """See `EmotionResult.save_video`."""
    if path.suffix.lower() not in (".mp4", ".mkv"):
        raise ArgumentError(expected_one_of(f"Suffix of {path.name}", (".mp4", ".mkv"), path.suffix))
    if anonymize is not None and anonymize not in METHODS:
        raise ArgumentError(expected_one_of("anonymize", METHODS, anonymize))
    if result.source is None:
        raise ArgumentError("A result of text alone has no video to draw on.")
    source = Path(result.source)
    info = media.probe(source)
    if info.kind != "video":
        raise ArgumentError(f"{source} is no video ({info.kind}); result.save writes its plot as .png, .svg or .pdf.")
    check_file(path, inputs_of(source, result.inputs))
    end = result.start + result.duration
    # A clip that ends with its file is read to the last frame, which may be shown beyond the file's nominal end.
    past = end if end < info.duration - 0.01 else None
    pictures = _annotated(result, media.frames(source, result.start, past), anonymize, progress)
    rate = round(info.video.frame_rate) if info.video and info.video.frame_rate else 25
    sound = SoundOf(source, result.start, past) if info.audio is not None else None
    return media.write_video(path, pictures, sound, rate=max(1, rate))


def _annotated(
    result: EmotionResult,
    frames: Iterator[Frame],
    anonymize: Method | None,
    progress: Callable[[float], None] | None,
) -> Iterator[Frame]:
    plain: Iterator[tuple[Seconds, np.ndarray]] = ((frame.time, frame.image) for frame in frames)
    if anonymize is not None:
        plain = hide_faces(plain, anonymize, lambda time: [box for _, box in faces_at(result, time)])
    artist: Artist | None = None
    for time, image in plain:
        if artist is None:
            artist = Artist(result, image.shape[1], image.shape[0])
        yield Frame(time - result.start, artist.draw(time, image))
        if progress and result.duration:
            progress(min(1.0, (time - result.start) / result.duration))
