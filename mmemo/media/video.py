"""Frames of a video or image file, with their presentation timestamps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from mmemo.evidence import Seconds
from mmemo.in_memory import Frames, Media
from mmemo.media.container import Damage, File, decode, file_of, is_still, open_media, origin, video_stream
from mmemo.media.orientation import exif_orientation, frame_orientation, upright
from mmemo.media.structure import exif
from mmemo.media.tone import HLG, PQ, standard_range

MAX_SIDE = 3840
"""Pixels. Longer sides of video are shrunk to this for analysis, so that a frame takes 45 MB at most. Up to 4K frames
stay as they are, which is quicker than to shrink them, and keeps small faces."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        time: presentation time in seconds from the start of the file.
        image: (H, W, 3) uint8 RGB of standard dynamic range, upright, with square pixels.
        number: counts the decoded frames from 0; in a file that is read from its start, the frame's index.
    """

    time: Seconds
    image: np.ndarray
    number: int = 0


def frames(
    source: str | Media,
    start: Seconds = 0.0,
    end: Seconds | None = None,
    *,
    max_side: int | None = None,
    max_rate: float | None = None,
    damage: Damage | None = None,
) -> Iterator[Frame]:
    """Decode the frames of a file one after the other, or give those in memory.

    Args:
        source: a video or image file, or media in memory; what has no picture has no frames.
        start: seconds; ``end`` as well, None for the end of the file. Times are always those of the file.
        max_side: shrink frames whose longer side has more pixels than this; None keeps their size.
        max_rate: leave out frames so that at most about this many a second remain, in Hz; None keeps all.
        damage: is filled in with what could not be decoded.

    Raises:
        MediaError: if the file can't be opened.
    """
    damage = damage if damage is not None else Damage()
    due, number = 0.0, -1
    with closing(_pictures(source, start, max_side, damage)) as pictures:
        for time, develop in pictures:
            damage.seconds = time
            number += 1
            if end is not None and time >= end:
                return
            if time < start or time < due:
                continue
            if max_rate:
                due = time + 0.9 / max_rate  # a little early: real frame times jitter
            yield Frame(time, develop(), number)


_Picture = tuple[Seconds, Callable[[], np.ndarray]]
"""A time, and what makes the picture: not each is wanted."""


def _pictures(
    source: str | Media, start: Seconds, max_side: int | None, damage: Damage
) -> Generator[_Picture, None, None]:
    """The pictures from ``start`` or somewhat earlier on."""
    if isinstance(source, Frames):
        shrink = Development(max_side, 1.0, 1)
        small = max_side is None or max(map(max, source.sizes)) <= max_side
        for number, time in enumerate(source.times.tolist()):
            yield time, partial(_of_array, source, number, None if small else shrink)
        return
    file = file_of(source)
    with open_media(file) as container:
        stream = video_stream(container)
        if stream is None:
            return
        still = is_still(container)
        stream.thread_type = "NONE" if still else "AUTO"  # threads take longer to start than a still
        first = origin(container)
        step = float(1 / stream.average_rate) if stream.average_rate else 0.04
        last = -step
        develop = Development(max_side, 1.0 if still else _pixel_aspect(stream), _orientation(file) if still else None)
        for picture in decode(container, stream, damage, start if start > 0 else None):
            time = last + step if picture.time is None else max(0.0, picture.time - first)
            if time <= last:
                continue  # a clock that steps back: a repeated or damaged timestamp
            last = time
            yield time, partial(develop, picture)


def _of_array(frames: Frames, number: int, develop: Development | None) -> np.ndarray:
    image = frames.image(number)
    return image if develop is None else develop(av.VideoFrame.from_ndarray(image, format="rgb24"))


class Development:
    """What is done to each decoded picture of a file, to be seen as it was taken.

    Args:
        max_side: pixels to which the longer side is shrunk, if it is longer; None keeps the size.
        pixel_aspect: width of a pixel by its height, as coded.
        orientation: by EXIF, 1 to 8; None to use each picture's own display matrix.
    """

    def __init__(self, max_side: int | None, pixel_aspect: float, orientation: int | None) -> None:
        self._max_side, self._pixel_aspect, self._orientation = max_side, pixel_aspect, orientation
        self._converter = VideoReformatter()  # one for all frames: setting it up takes longer than a small frame

    def __call__(self, picture: Any) -> np.ndarray:
        # Square pixels by stretching one side, never by shrinking the other: no detail is lost.
        width, height = picture.width * max(1, self._pixel_aspect), picture.height / min(1, self._pixel_aspect)
        shrink = min(1.0, self._max_side / max(width, height)) if self._max_side else 1.0
        width, height = max(1, round(width * shrink)), max(1, round(height * shrink))
        how = None if (width, height) == (picture.width, picture.height) else "AREA" if shrink < 1 else "BICUBIC"
        high_range = picture.color_trc in (PQ, HLG)
        format = "rgb48le" if high_range else "rgb24"
        image = self._converter.reformat(picture, width, height, format, interpolation=how).to_ndarray()
        if high_range:
            image = standard_range(image, picture.color_trc)
        return upright(image, self._orientation or frame_orientation(picture))


def _orientation(file: File) -> int | None:
    """Of a still; FFmpeg reports how EXIF turns it, but not how it mirrors it."""
    data = exif(file)
    return None if data is None else exif_orientation(data)


def _pixel_aspect(stream: Any) -> float:
    """The width of a pixel by its height; 1 where that is not known, or damaged: in use are 0.5 to 2.2."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 0.25 <= aspect <= 4 else 1.0
