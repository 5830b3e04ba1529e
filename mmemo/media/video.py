"""Frames of a video or image file, with their presentation timestamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter

from mmemo.evidence import Seconds
from mmemo.media.container import Damage, decode, is_still, open_media, origin, seek, video_stream
from mmemo.media.orientation import READ, jpeg_orientation, upright

MAX_SIDE = 1280
"""Pixels. Longer sides of video are shrunk to this for analysis: a face still has enough pixels, and 4K is slow."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        time: presentation time in seconds from the start of the file.
        image: (H, W, 3) uint8 RGB, upright.
        number: counts the decoded frames from 0; in a file that is read from its start, the frame's index.
    """

    time: Seconds
    image: np.ndarray
    number: int = 0


def frames(
    path: str | Path,
    start: Seconds = 0.0,
    end: Seconds | None = None,
    *,
    max_side: int | None = None,
    max_rate: float | None = None,
    damage: Damage | None = None,
) -> Iterator[Frame]:
    """Decode the frames of a file one after the other.

    Args:
        path: a video or image file; a file without a picture has no frames.
        start: seconds; ``end`` as well, None for the end of the file. Times are always those of the file.
        max_side: shrink frames whose longer side has more pixels than this; None keeps their size.
        max_rate: leave out frames so that at most about this many a second remain, in Hz; None keeps all.
        damage: is filled in with what could not be decoded.

    Raises:
        MediaError: if the file can't be opened.
    """
    damage = damage if damage is not None else Damage()
    with open_media(Path(path)) as container:
        stream = video_stream(container)
        if stream is None:
            return
        stream.thread_type = "NONE" if is_still(container) else "AUTO"  # threads take longer to start than a still
        first = origin(container)
        step = float(1 / stream.average_rate) if stream.average_rate else 0.04
        last, due, number = -step, 0.0, -1
        if start > 0:
            seek(container, start)
        converter = VideoReformatter()  # one for all frames: setting it up takes longer than a small frame
        with Path(path).open("rb") as file:
            orientation = jpeg_orientation(file.read(READ))  # FFmpeg reports the rotation, but not mirroring
        for picture in decode(container, stream, damage):
            time = last + step if picture.time is None else max(0.0, picture.time - first)
            if time <= last:
                continue  # a clock that steps back: a repeated or damaged timestamp
            damage.seconds = last = time
            number += 1
            if end is not None and time >= end:
                return
            if time < start or time < due:
                continue
            if max_rate:
                due = time + 0.9 / max_rate  # a little early: real frame times jitter
            yield Frame(time, _upright_rgb(picture, converter, max_side, orientation), number)


def _upright_rgb(
    picture: Any, converter: VideoReformatter, max_side: int | None, orientation: int | None
) -> np.ndarray:
    width, height = picture.width, picture.height
    if max_side and max(width, height) > max_side:
        shrink = max_side / max(width, height)
        width, height = max(1, round(width * shrink)), max(1, round(height * shrink))
    how = None if (width, height) == (picture.width, picture.height) else "AREA"
    image: np.ndarray = converter.reformat(picture, width, height, "rgb24", interpolation=how).to_ndarray()
    if orientation is not None:
        return upright(image, orientation)
    turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
