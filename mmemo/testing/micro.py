"""Synthetic sequences for tests and measurements of spotting: a still face, moved by flows at known times.

The face and its skin are real; all movement is made: the expression by a flow field that grows and fades, blinks by
lids that are drawn down, the head and the camera by smooth random paths, the sensor by noise. No such sequence is a
recording of a micro-expression.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds
from mmemo.faces import FaceFinder
from mmemo.faces.align import alignment
from mmemo.faces.landmarks import LEFT_EYE, LEFT_EYELIDS, RIGHT_EYE, RIGHT_EYELIDS
from mmemo.media import Frame
from mmemo.micro.optical_flow import SIZE
from mmemo.micro.regions import FRAME, pixels

_LIDS = {"left": (*RIGHT_EYELIDS, *RIGHT_EYE), "right": (*LEFT_EYELIDS, *LEFT_EYE)}  # by side of the picture


@dataclass(frozen=True, eq=False)
class Movement:
    """One movement of a synthetic sequence's face, with its times and its flow.

    Attributes:
        onset, apex, offset: seconds; it grows from the first to the second, and fades until the third.
        flow: (SIZE, SIZE, 2) float32, the motion at the apex in pixels of a crop of `mmemo.faces.align`.
        hold: seconds for which it stays at the apex.

    Examples:
        >>> from mmemo.testing import Movement, brow_raise
        >>> movement = Movement(onset=1.0, apex=1.2, offset=1.4, flow=brow_raise(1.5))
        >>> movement.share(1.1), movement.share(1.2), movement.share(2.0)
        (0.5..., 1.0, 0.0)
    """

    onset: Seconds
    apex: Seconds
    offset: Seconds
    flow: np.ndarray
    hold: Seconds = 0.0

    def share(self, time: Seconds) -> float:
        """How much of the movement shows, 0 to 1: half a cosine up, half a cosine down."""
        if time <= self.onset or time >= self.offset:
            return 0.0
        if time < self.apex:
            return float(0.5 - 0.5 * np.cos(np.pi * (time - self.onset) / (self.apex - self.onset)))
        fading = max(0.0, time - self.apex - self.hold) / max(self.offset - self.apex - self.hold, 1e-6)
        return float(0.5 + 0.5 * np.cos(np.pi * min(fading, 1.0)))


@dataclass(frozen=True)
class Unrest:
    """Motion and noise of a synthetic sequence besides its movements; all zero for a still head before a still camera.

    Attributes:
        sway: of the head in pixels of the crop, slower than 1 Hz (standard deviation).
        turn: of the head in the picture's plane, in degrees, slower than 1 Hz.
        shake: of the camera in pixels of the crop, 2 to 8 Hz.
        blinks: a second, at random times.
        noise: of the sensor, in gray levels.

    Examples:
        >>> from mmemo.testing import Unrest
        >>> Unrest(sway=1.0, noise=2.0)
        Unrest(sway=1.0, turn=0.0, shake=0.0, blinks=0.0, noise=2.0)
    """

    sway: float = 0.0
    turn: float = 0.0
    shake: float = 0.0
    blinks: float = 0.0
    noise: float = 0.0


class MadeSequence:
    """Frames of a still face that is moved by given flows at given times.

    Args:
        picture: (H, W, 3) uint8 RGB with one face that looks into the camera.
        movements: of the face.
        unrest: what moves besides.
        seconds: length.
        rate: pictures a second.
        seed: of the random paths, blinks and noise.

    Attributes:
        blinks: (onset, offset) of every blink, in seconds.

    Raises:
        ArgumentError: if there is no face in the picture.

    Examples:
        >>> from mmemo.samples import portrait
        >>> from mmemo.testing import MadeSequence, Movement, brow_raise
        >>> raised = Movement(onset=0.1, apex=0.2, offset=0.3, flow=brow_raise(1.5))
        >>> frames = list(MadeSequence(portrait(), [raised], seconds=0.4, rate=25))
        >>> len(frames), frames[1].time
        (10, 0.04)
    """

    def __init__(
        self,
        picture: np.ndarray,
        movements: Sequence[Movement] = (),
        unrest: Unrest | None = None,
        *,
        seconds: Seconds,
        rate: float,
        seed: int = 0,
    ) -> None:
        faces = FaceFinder(max_faces=1).find(picture)
        if not faces:
            raise ArgumentError("MadeSequence: expected a picture with a face, detected none.")
        self._picture, self._landmarks = picture, faces[0].landmarks[:, :2]
        self._place = alignment(faces[0].landmarks, SIZE)
        self._scale = 1 / float(np.hypot(*self._place[:, 0]))  # pixels of the picture a pixel of the crop
        self._movements, self._unrest = movements, unrest or Unrest()
        self._rate, self._count = rate, round(seconds * rate)
        self._rng = np.random.default_rng(seed)
        self._fields = [self._in_picture(movement.flow) for movement in movements]
        self._lids = self._lid_field()
        self.blinks = self._blink_times(seconds)

        unrest = self._unrest
        self._path = unrest.sway * self._wander(0.05, 0.8, 2) + unrest.shake * self._wander(2.0, 8.0, 2)
        self._turn = np.radians(unrest.turn) * self._wander(0.05, 0.8, 1)[:, 0]
        self._seed = seed

    def __iter__(self) -> Iterator[Frame]:
        return self.between(0.0, None)

    def between(self, start: Seconds, end: Seconds | None, *, max_rate: float | None = None) -> Iterator[Frame]:
        """The pictures from one time to another, with the arguments of `mmemo.media.frames`; always the same ones."""
        due = 0.0
        for number in range(self._count):
            time = number / self._rate
            if end is not None and time >= end:
                return
            if time >= start and time >= due:
                due = time + 0.9 / max_rate if max_rate else 0.0
                yield Frame(time, self._picture_at(number), number)

    def _picture_at(self, number: int) -> np.ndarray:
        height, width = self._picture.shape[:2]
        ys, xs = np.mgrid[:height, :width].astype(np.float32)
        middle = self._landmarks.mean(axis=0)
        shift = middle + self._path[number] * self._scale
        cosine, sine = np.cos(self._turn[number]), np.sin(self._turn[number])
        dx, dy = xs - np.float32(shift[0]), ys - np.float32(shift[1])
        x = (cosine * dx + sine * dy + middle[0]).astype(np.float32)
        y = (-sine * dx + cosine * dy + middle[1]).astype(np.float32)
        field = self._field_at(number / self._rate)
        if field is not None:
            own = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            x, y = x - own[..., 0], y - own[..., 1]
        image = np.asarray(cv2.remap(self._picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))
        if self._unrest.noise:
            rng = np.random.default_rng([self._seed, number])
            grain = rng.normal(0, self._unrest.noise, image.shape[:2]).astype(np.float32)[..., None]
            image = np.clip(image + grain, 0, 255).round().astype(np.uint8)
        return image

    def _field_at(self, time: Seconds) -> np.ndarray | None:
        """Motion of the face's skin (H, W, 2) in pixels of the picture; None where nothing moves."""
        field: np.ndarray | None = None
        for movement, at_apex in zip(self._movements, self._fields, strict=True):
            share = movement.share(time)
            if share:
                field = share * at_apex if field is None else field + share * at_apex
        for onset, offset in self.blinks:
            if onset < time < offset:
                # Lids close faster than they open.
                place = (time - onset) / (offset - onset)
                share = float(np.sin(np.pi * place**0.7))
                field = share * self._lids if field is None else field + share * self._lids
        return field

    def _in_picture(self, flow: np.ndarray) -> np.ndarray:
        """A flow of the crop as a field over the picture."""
        size = self._picture.shape[1], self._picture.shape[0]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        field = cv2.warpAffine(flow, self._place, size, flags=flags, borderMode=cv2.BORDER_CONSTANT)
        turn = self._place[:, :2] * self._scale
        turned: np.ndarray = field @ turn * self._scale
        return turned.astype(np.float32)

    def _lid_field(self) -> np.ndarray:
        """The motion of both upper lids, down onto the lower ones."""
        height, width = self._picture.shape[:2]
        ys, xs = np.mgrid[:height, :width].astype(np.float32)
        field = np.zeros((height, width, 2), np.float32)
        for upper, lower, inner, outer in _LIDS.values():
            top, bottom = self._landmarks[upper], self._landmarks[lower]
            reach = np.linalg.norm(self._landmarks[inner] - self._landmarks[outer]) / 2
            opening = max(float(bottom[1] - top[1]), 1.0)
            # Full at the lid, nothing at the lower lid and below, fading towards the brow and the corners.
            across = np.exp(-(((xs - top[0]) / reach) ** 4))
            down = np.where(ys < top[1], np.exp(-(((ys - top[1]) / (1.2 * opening)) ** 2)), 1.0)
            down = np.where(ys > bottom[1] + 0.5 * opening, 0.0, down)
            field[..., 1] += 1.1 * opening * across * down
        return np.asarray(cv2.GaussianBlur(field, (0, 0), 0.5 * self._scale))

    def _blink_times(self, seconds: Seconds) -> list[tuple[Seconds, Seconds]]:
        times, time = [], 0.0
        while self._unrest.blinks:
            time += 0.4 + float(self._rng.exponential(1 / self._unrest.blinks))
            if time > seconds - 0.5:
                break
            times.append((time, time + float(self._rng.uniform(0.16, 0.34))))
        return times

    def _wander(self, low: float, high: float, axes: int) -> np.ndarray:
        """A smooth random path within a band of frequencies in Hz: (N, axes) of standard deviation 1."""
        spectrum = np.fft.rfft(self._rng.normal(size=(self._count, axes)), axis=0)
        frequencies = np.fft.rfftfreq(self._count, 1 / self._rate)
        spectrum[(frequencies < low) | (frequencies > high)] = 0
        path = np.fft.irfft(spectrum, self._count, axis=0)
        shaped: np.ndarray = path / max(float(path.std()), 1e-9)
        return np.asarray(shaped - shaped[:1])


def brow_raise(strength: float) -> np.ndarray:
    """A flow that lifts both brows by at most ``strength`` pixels: (SIZE, SIZE, 2) float32.

    Examples:
        >>> from mmemo.testing import brow_raise
        >>> flow = brow_raise(1.5)
        >>> flow.shape, round(float(flow[..., 1].min()), 1)  # up is negative
        ((128, 128, 2), -1.5)
    """
    return _push([(0.30, 0.24), (0.70, 0.24)], (0.0, -1.0), 0.07, strength)


def smile_corner(strength: float) -> np.ndarray:
    """A flow that draws the mouth's corner on the left of the picture up and out: (SIZE, SIZE, 2) float32.

    Examples:
        >>> from mmemo.testing import smile_corner
        >>> flow = smile_corner(1.5)
        >>> flow.shape, bool(flow[..., 1].min() < 0)  # up is negative
        ((128, 128, 2), True)
    """
    return _push([(0.34, 0.74)], (-0.6, -0.8), 0.06, strength)


def corpus_flow(image: np.ndarray, strength: float) -> np.ndarray:
    """A flow image of MEGC2019's composite as a flow on our crop, its largest motion ``strength`` pixels.

    The images are brought to 0 .. 255 channel by channel, so how strong a movement was, and its share of u against v,
    is lost: both are taken to be equally large.

    Args:
        image: (28, 28, 3) uint8: u, v, strain.

    Returns:
        (SIZE, SIZE, 2) float32.

    Examples:
        >>> import numpy as np
        >>> from mmemo.testing import corpus_flow
        >>> image = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
        >>> flow = corpus_flow(image, 1.5)
        >>> flow.shape, round(float(np.linalg.norm(flow, axis=2).max()), 3)
        ((128, 128, 2), 1.5)
    """
    flow: np.ndarray = image[..., :2].astype(np.float32)
    flow = flow - np.median(flow, axis=(0, 1))
    flow /= np.maximum(np.abs(flow).max(axis=(0, 1)), 1e-6)
    rows, columns = pixels(FRAME, SIZE)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    edge = np.minimum(1, np.minimum(*np.meshgrid(_taper(width), _taper(height))))
    placed = np.zeros((SIZE, SIZE, 2), np.float32)
    placed[rows, columns] = cv2.resize(flow, (width, height), interpolation=cv2.INTER_CUBIC) * edge[..., None]
    placed = ndimage.gaussian_filter(placed, (2.0, 2.0, 0))
    return np.asarray(placed * (strength / np.linalg.norm(placed, axis=2).max()), np.float32)


def _taper(length: int) -> np.ndarray:
    """Rises from 0 to 1 within the first tenth of a line, and falls again in the last."""
    place = np.arange(length) + 0.5
    rising: np.ndarray = np.minimum(place, length - place) / (0.1 * length)
    return rising


def _push(places: list[tuple[float, float]], way: tuple[float, float], spread: float, strength: float) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    weight = np.max([np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * spread**2)) for px, py in places], axis=0)
    flow: np.ndarray = strength * weight[..., None] * np.array(way)
    return flow.astype(np.float32)
