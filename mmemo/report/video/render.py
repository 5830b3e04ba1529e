"""Annotated video: the analyzed one with boxes, labels, bars, subtitles, and the scores over time below."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmemo import media
from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds
from mmemo.faces.anonymize import Method, hide_faces
from mmemo.files import check_file
from mmemo.in_memory import readable
from mmemo.media import Frame, SoundOf
from mmemo.report.formats import VIDEOS, check_anonymize, check_suffix, inputs_of
from mmemo.report.video.overlay import Overlay, faces_at

if TYPE_CHECKING:
    from mmemo.result import EmotionResult


def save_video(
    result: EmotionResult,
    path: Path,
    anonymize: Method | None = None,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """See `EmotionResult.save_video`."""
    check_suffix(path, VIDEOS)
    check_anonymize(anonymize)
    if result.source is None:
        raise ArgumentError("A result of text alone has no video to draw on.")
    source = Path(readable(result.source))
    info = media.probe(source)
    if info.kind != "video":
        raise ArgumentError(f"{source} is no video ({info.kind}); result.save writes its plot as .png, .svg or .pdf.")
    check_file(path, inputs_of(source, result.inputs))
    end = result.start + result.duration
    # A clip that ends with its file is read to the last frame, which may be shown beyond the file's nominal end.
    stop = end if end < info.duration - 0.01 else None
    pictures = _annotate(result, media.frames(source, result.start, stop), anonymize, progress)
    rate = round(info.video.frame_rate) if info.video and info.video.frame_rate else 25
    track = None if result.settings is None else result.settings.audio_track
    sound = SoundOf(source, result.start, stop, track) if info.audio is not None else None
    return media.write_video(path, pictures, sound, rate=max(1, rate))


def _annotate(
    result: EmotionResult,
    frames: Iterator[Frame],
    anonymize: Method | None,
    progress: Callable[[float], None] | None,
) -> Iterator[Frame]:
    plain: Iterator[tuple[Seconds, np.ndarray]] = ((frame.time, frame.image) for frame in frames)
    if anonymize is not None:
        plain = hide_faces(plain, anonymize, lambda time: [box for _, box in faces_at(result, time)])
    overlay: Overlay | None = None
    for time, image in plain:
        if overlay is None:
            overlay = Overlay(result, image.shape[1], image.shape[0])
        yield Frame(time - result.start, overlay.draw(time, image))
        if progress and result.duration:
            progress(min(1.0, (time - result.start) / result.duration))
