"""Previews of a result's media for reports: the sound's envelope, and small pictures of faces.

A result holds no samples, so these are read again from its file. Where the file is gone, a report has a note instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmemo import media
from mmemo.box_tracks import Box
from mmemo.errors import MediaError
from mmemo.evidence import SAMPLE_RATE, Channel, Seconds
from mmemo.faces.warp import warp
from mmemo.in_memory import was_in_memory
from mmemo.media import MediaInfo
from mmemo.report.style.wording import source_name

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, Person

_MARGIN = 0.3
"""Margin around a face's box, as a share of its longer side."""
_ONE_PASS: Seconds = 10.0
"""Pictures less than this apart are read in one pass; for others seeking is quicker."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A square picture of a face, (S, S, 3) uint8 RGB."""

    time: Seconds
    person: int
    image: np.ndarray


class Previews:
    """Media file of a result, as far as it can still be read.

    Attributes:
        info: streams of the file; None where there is no file, or it can't be read any more.
        missing: one sentence for readers where the file can't be read any more; empty otherwise.
    """

    def __init__(self, result: EmotionResult) -> None:
        self._result = result
        self.info: MediaInfo | None = None
        self.missing = ""
        if result.source is None:
            return
        if was_in_memory(result.source):
            self.missing = f"{source_name(result)} was in memory, so its pictures and sound are not shown."
            return
        try:
            self.info = media.probe(result.source)
        except MediaError:
            self.missing = f"{source_name(result)} is not where it was, so its pictures and sound are not shown."

    def envelope(self, bins: int) -> np.ndarray | None:
        """Peak envelope (bins,) float32 in [0, 1]: the largest sample of each of ``bins`` equal parts of the clip."""
        result = self._result
        if self.info is None or self.info.audio is None or not result.duration:
            return None
        peaks, position = np.zeros(bins, np.float32), 0
        total = max(1, round(result.duration * SAMPLE_RATE))
        several = self.info.audio.channels > 1  # not so where the sound that was analyzed is in a file of its own
        channel: Channel = result.settings.channel if result.settings is not None and several else "mix"
        track = None if result.settings is None else result.settings.audio_track
        span = result.start, result.start + result.duration
        for block in media.waveform_blocks(self.info.source, *span, channel=channel, track=track):
            places = np.minimum((position + np.arange(len(block))) * bins // total, bins - 1)
            firsts = np.flatnonzero(np.diff(places, prepend=-1))
            loudest = np.maximum.reduceat(np.abs(block), firsts)
            peaks[places[firsts]] = np.maximum(peaks[places[firsts]], loudest)
            position += len(block)
        return peaks

    def thumbnails(self, times: Sequence[Seconds], size: int) -> list[Thumbnail]:
        """The largest face at each time, where there is one."""
        faces = [(time, *face) for time in times if (face := _largest(self._result.people, time)) is not None]
        return self._crop(faces, size)

    def portraits(self, people: Sequence[Person], size: int) -> dict[int, Thumbnail]:
        """Each person's face, by id, in the window with the highest score of the person's label."""
        faces = []
        for person in people:
            time = _clearest(person)
            box = None if time is None else person.box_at(time)
            if time is not None and box is not None:
                faces.append((time, person.id, box))
        return {thumbnail.person: thumbnail for thumbnail in self._crop(sorted(faces), size)}

    def picture(self, time: Seconds = 0.0) -> np.ndarray | None:
        """The frame at a time, (H, W, 3) uint8 RGB."""
        if self.info is None or self.info.video is None:
            return None
        return next((frame.image for _, frame in self._frames([time])), None)

    def _crop(self, faces: Sequence[tuple[Seconds, int, Box]], size: int) -> list[Thumbnail]:
        """Crops of faces (time, person, box), in order of time."""
        if self.info is None or self.info.video is None or not faces:
            return []
        pictures = {time: frame.image for time, frame in self._frames(sorted({time for time, _, _ in faces}))}
        return [
            Thumbnail(time, person, square(pictures[time], box, size))
            for time, person, box in faces
            if time in pictures
        ]

    def _frames(self, times: Sequence[Seconds]) -> Iterator[tuple[Seconds, media.Frame]]:
        """The first frame at or after each of some times, which increase."""
        assert self.info is not None
        waiting = list(times)
        side = None if self.info.kind == "image" else media.MAX_SIDE
        while waiting:
            for frame in media.frames(self.info.source, max(0.0, waiting[0] - 1e-3), max_side=side):
                while waiting and frame.time >= waiting[0] - 1e-3:
                    yield waiting.pop(0), frame
                if not waiting or waiting[0] - frame.time > _ONE_PASS:
                    break
            else:
                return


def square(image: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Square crop of a face with a margin, (size, size, 3); beyond the picture's border its edge is repeated."""
    height, width = image.shape[:2]
    left, top, right, bottom = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    side = max(right - left, bottom - top, 1.0) * (1 + 2 * _MARGIN)
    scale = size / side
    # A little above the middle, as a box ends at the brow.
    x, y = (left + right) / 2 - side / 2, (top + bottom) / 2 - side * 0.54
    matrix = np.array([[scale, 0.0, -x * scale], [0.0, scale, -y * scale]])
    return warp(image, matrix, size, fine=True)


def jpeg(image: np.ndarray, quality: int = 85) -> bytes:
    """A picture (H, W, 3) uint8 RGB as JPEG."""
    encoded, data = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert encoded
    return bytes(data.tobytes())


def _largest(people: Sequence[Person], time: Seconds) -> tuple[int, Box] | None:
    faces = [(person.id, box) for person in people if (box := person.box_at(time)) is not None]
    return max(faces, key=lambda item: (item[1][2] - item[1][0]) * (item[1][3] - item[1][1]), default=None)


def _clearest(person: Person) -> Seconds | None:
    """A time at which the person is visible, in the window with the highest score of the person's label."""
    for segment in sorted(person.segments, key=lambda segment: -segment.scores[person.label]):
        middle = (segment.start + segment.end) / 2
        knots = [time for track in person.box_tracks for time in track.times if segment.start <= time <= segment.end]
        if person.box_at(middle) is not None:
            return middle
        if knots:
            return min(knots, key=lambda time: abs(time - middle))
    return person.box_tracks[0].times[0] if person.box_tracks else None
