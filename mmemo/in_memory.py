"""Media in memory: pictures, frames and sound as arrays, and files as bytes. Checked once, then read as files are."""

from __future__ import annotations

import io
import math
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from mmemo.errors import ArgumentError, expected_one_of, shown
from mmemo.evidence import Seconds
from mmemo.notes import Note
from mmemo.reading import reason

Color = Literal["rgb", "bgr"]
ASSUMED_RATE = 10.0
"""Pictures a second of a bare list: few enough that every one is used."""
APART: Seconds = 1.0
"""From one picture to the next where each stands by itself."""
_CHANNELS = (1, 3, 4)
_MOST_CHANNELS = 8
"""Of a sound. A shorter side of an array with more is no side of channels."""
_LOUDEST = 10.0
"""Peak of floating-point sound, 20 dB above full scale: integers that were only cast have thousands."""
_HIGHEST_RATE = 1_000_000
_LARGEST = (1 << 32) - 64
"""Bytes of a file in memory: the header of a WAV file counts to 4 GB."""
_WAV = {"u1": (1, 8), "i2": (1, 16), "i4": (1, 32), "f4": (3, 32)}
"""Format tag and bits of a WAV file, by the kind and size of the samples."""


class Frames:
    """Pictures of one recording that are in memory already, and their times.

    Pictures are only referred to, so they must not change while they are analyzed.

    Args:
        pictures: (N, H, W, 3) or gray (N, H, W), a list of (H, W, 3) or (H, W), or PIL images. RGB as uint8, or as
            floats in 0 to 1. Channels may come first, as in torch, and a fourth one, alpha, is dropped. Tensors are
            taken as arrays. One picture is a still. So is each of several that differ in size: they are no recording,
            take no ``fps`` or ``times``, and number i stands at i seconds, a segment of its own.
        fps: pictures a second.
        times: (N,) seconds from the start of the recording, and so of its sound, increasing; instead of ``fps``. Of a
            still neither is needed.
        color: "bgr" for pictures as OpenCV reads them.

    Attributes:
        times: (N,) float64.
        sizes: width and height in pixels, each that occurs once.
        is_still: whether no picture belongs to the one before.
        duration: seconds to the end of the last picture; 0 for a single still.
        notes: what a result must tell of them.

    Raises:
        ArgumentError: if shape, type, range, sizes or times don't fit; the message says what was expected and what
            came.

    >>> import mmemo, numpy as np
    >>> frames = mmemo.Frames(np.zeros((50, 240, 320, 3), np.uint8), fps=25)
    >>> frames, len(frames), frames.duration
    (<50 frames 320x240>, 50, 2.0)
    """

    def __init__(
        self,
        pictures: npt.ArrayLike | Sequence[Picture],
        fps: float | None = None,
        times: npt.ArrayLike | None = None,
        *,
        color: Color = "rgb",
    ) -> None:
        if color not in get_args(Color):
            raise ArgumentError(expected_one_of("color", get_args(Color), color))
        self._color, self.notes = color, tuple[Note, ...]()
        self._pictures = _listed(pictures)
        self.sizes = tuple(dict.fromkeys(_size(picture) for picture in self._pictures))
        self.is_still = len(self._pictures) == 1 or len(self.sizes) > 1
        if len(self.sizes) > 1:
            named = " and ".join(f"{width}x{height}" for width, height in self.sizes[:2])
            if fps is not None or times is not None:
                raise ArgumentError(
                    f"Frames: expected pictures of one size with fps=… or times=…, got {named}. Pictures of no "
                    "recording, each to be scored by itself, need neither."
                )
            fps = 1 / APART
            message = (
                f"The pictures differ in size ({named}), so each was scored by itself: number i from i seconds on."
            )
            self.notes = (Note("separate-pictures", message),)
        self.times, self.duration = _times(len(self._pictures), fps, times)

    @property
    def rate(self) -> float | None:
        """Pictures a second, on average; None for a still."""
        return len(self) / (self.duration - float(self.times[0])) if self.duration else None

    def image(self, number: int) -> np.ndarray:
        """One of the pictures: (H, W, 3) uint8 RGB. Not to be changed."""
        picture = self._pictures[number]
        if picture.ndim == 3 and picture.shape[2] not in _CHANNELS:
            picture = picture.transpose(1, 2, 0)
        if picture.dtype.kind == "f":
            picture = (picture * 255).round().astype(np.uint8)
        if picture.ndim == 2 or picture.shape[2] == 1:
            return np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2)
        return np.ascontiguousarray(picture[:, :, 2::-1] if self._color == "bgr" else picture[:, :, :3])

    def __len__(self) -> int:
        return len(self._pictures)

    def __repr__(self) -> str:
        if len(self.sizes) > 1:
            return f"<{len(self)} pictures>"
        what = "picture" if len(self) == 1 else f"{len(self)} frames"
        return f"<{what} {self.sizes[0][0]}x{self.sizes[0][1]}>"


class Sound:
    """Sound that is in memory already. It is read as the WAV file of the same samples would be.

    Args:
        samples: (N,), (N, channels) or (channels, N), as soundfile and librosa give them: floats in -1 to 1, or int16,
            int32 or uint8 over their whole range. Tensors are taken as arrays. What is not finite becomes silence.
        sample_rate: in Hz.

    Attributes:
        samples: (N, channels).
        sample_rate: in Hz.
        duration: in seconds.

    Raises:
        ArgumentError: if shape, type, range or rate don't fit; the message says what was expected and what came.

    >>> import mmemo
    >>> mmemo.Sound(mmemo.samples.speech(), 16_000)
    <sound 4.0 s, 16000 Hz>
    """

    def __init__(self, samples: npt.ArrayLike, sample_rate: float) -> None:
        array = _samples(samples)
        if (
            isinstance(sample_rate, bool)
            or not isinstance(sample_rate, int | float | np.integer | np.floating)
            or not 0 < sample_rate <= _HIGHEST_RATE
            or sample_rate != int(sample_rate)
        ):
            raise ArgumentError(f"Sound: expected a sample rate in Hz such as 16000, got {_short(sample_rate)}.")
        if array.nbytes > _LARGEST:
            raise ArgumentError(f"Sound: at most 4 GB are read, got {array.nbytes / 1e9:.1f} GB. Give it in parts.")
        self.samples, self.sample_rate = array, int(sample_rate)

    @property
    def duration(self) -> Seconds:
        return len(self.samples) / self.sample_rate

    @cached_property
    def file(self) -> Encoded:
        """The same as a WAV file. Source: RIFF of the Multimedia Programming Interface 1.0."""
        size, channels = self.samples.nbytes, self.samples.shape[1]
        tag, bits = _WAV[self.samples.dtype.str[1:]]
        frame = channels * bits // 8
        form = (b"fmt ", 16, tag, channels, self.sample_rate, self.sample_rate * frame, frame, bits)
        header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", *form, b"data", size)
        return Encoded(b"".join((header, self.samples.tobytes())), str(self))

    def __repr__(self) -> str:
        return f"<sound {self.duration:.1f} s, {self.sample_rate} Hz>"


class Encoded:
    """A media file in memory, as its bytes."""

    def __init__(self, data: bytes, name: str = "") -> None:
        self.data, self._name = data, name or f"<{len(data)} bytes>"

    def __repr__(self) -> str:
        return self._name


class _Array(Protocol):
    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray: ...


class _Interface(Protocol):
    @property
    def __array_interface__(self) -> dict[str, Any]: ...


Picture: TypeAlias = np.ndarray | _Array | _Interface
"""An array, a tensor or a PIL image."""
InMemory: TypeAlias = Frames | Sound | Encoded
Media: TypeAlias = Path | InMemory
"""What `mmemo.media` reads."""
MediaInput: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Picture | Sequence[Picture] | InMemory
)
"""What a user may give as media."""

_EXPECTED = (
    "a path, bytes, a binary file object, a picture (an array (H, W, 3) or (H, W), a PIL image, a list of them), "
    "mmemo.Frames, mmemo.Sound, or both together, (frames, sound)"
)


def as_media(given: object, color: Color | None = None) -> Media:
    """What a user gives as media: a path, with ``~`` for the home folder, or media in memory.

    Args:
        color: of pictures, by default "rgb".

    Raises:
        ArgumentError: if it is neither, or does not fit; or if ``color`` is given and it is no picture.
    """
    if not _is_picture(given):
        media = _as_file(given)
        if color is not None:
            raise ArgumentError(
                f"color: only for a picture that is an array, got {described(given)}. For frames: mmemo.Frames(…, "
                "color=…)."
            )
        return media
    pictures: Any = given
    if not isinstance(given, list | tuple):
        array = _array(given)
        pictures = array if array.ndim == 4 else [array]
    pictures = _listed(pictures)
    several = len(pictures) > 1 and len({_size(picture) for picture in pictures}) == 1
    frames = Frames(pictures, ASSUMED_RATE if several else None, color=color or "rgb")
    if several:
        message = (
            f"The pictures came without times, so {ASSUMED_RATE:g} a second of one recording were assumed; give "
            "mmemo.Frames(pictures, fps=…)."
        )
        frames.notes = (Note("assumed-rate", message),)
    return frames


def was_in_memory(source: str | None) -> bool:
    """Whether the source of a result is the name of media in memory, which can't be read again."""
    return source is not None and source.startswith("<") and source.endswith(">")


def readable(source: str) -> str:
    """The source of a result, to be read again.

    Raises:
        ArgumentError: if it was in memory.
    """
    if was_in_memory(source):
        raise ArgumentError(
            f"{source} was in memory, and a result keeps no media. To explain it give the picture or sound itself; for "
            "a video with the result drawn into it analyze a file."
        )
    return source


def is_missing(value: object) -> bool:
    """Whether this is what pandas puts where there is no value."""
    return type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and math.isnan(value))


def _as_file(given: object) -> Media:
    """A path, bytes, a file object, or what is media already."""
    if isinstance(given, Frames | Sound | Encoded):
        return given
    if isinstance(given, str | os.PathLike):
        path = given if isinstance(given, Path) else Path(os.fsdecode(given))
        try:
            return path.expanduser()
        except RuntimeError:  # there is no such user
            return path
    if isinstance(given, bytes | bytearray | memoryview):
        return Encoded(bytes(given))
    if callable(getattr(given, "read", None)):
        return _read(given)
    hint = ""
    if isinstance(given, Mapping) and "array" in given:
        hint = " For the audio of a dataset: mmemo.Sound(audio['array'], audio['sampling_rate'])."
    elif isinstance(given, list | tuple) and given:
        hint = " Of several clips each needs a call; mmemo.analyze_many takes many files."
    raise ArgumentError(f"Expected {_EXPECTED}; got {described(given)}.{hint}")


def described(given: object) -> str:
    """What came, for a message: the content of a list or a table would fill it."""
    kind = type(given).__name__
    if isinstance(given, list | tuple):
        inside = dict.fromkeys(type(one).__name__ for one in given)
        return f"{kind} of {', '.join(inside)}" if inside else f"empty {kind}"
    return f"{kind}: {_short(given)}" if given is None or isinstance(given, str | int | float) else kind


def _read(file: Any) -> Encoded:
    """All that a binary file object still holds: it need not be seekable."""
    if isinstance(file, io.TextIOBase):
        raise ArgumentError("The file object is open as text. Open it in binary mode: open(path, 'rb').")
    chunks, size = [], 0
    try:
        while chunk := file.read(1 << 20):
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise ArgumentError(f"Expected a binary file object; its read() gives {type(chunk).__name__}.")
            chunks.append(chunk)
            size += len(chunk)
            if size > _LARGEST:
                raise ArgumentError("The file object holds more than 4 GB: write it to a file, and give the path.")
    except (OSError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"The file object can't be read: {_reason(error)}.") from None
    if not chunks:
        raise ArgumentError("The file object holds nothing from where it stands. Was it read before? file.seek(0)")
    name = getattr(file, "name", None)
    return Encoded(b"".join(chunks), f"<{Path(name).name}>" if isinstance(name, str) and name else "")


def _short(value: object) -> str:
    """The value for a message, on one line: arrays have several."""
    return " ".join(shown(value).split())


def _reason(error: Exception) -> str:
    return reason(error).rstrip(".")


def _is_image(given: object) -> bool:
    """Whether this is a PIL image; PIL is not imported, as nobody has an image without it."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(given, pil.Image)


def _is_picture(given: object) -> bool:
    """Whether this is a picture or a list of them, fitting or not."""
    if isinstance(given, list | tuple):
        return bool(given) and all(not isinstance(one, list | tuple) and _is_picture(one) for one in given)
    if isinstance(given, type) or type(given).__module__.partition(".")[0] == "pandas":
        return False
    return _is_image(given) or hasattr(given, "__array__") or hasattr(given, "__array_interface__")


def _array(given: object) -> np.ndarray:
    """An array of numbers.

    Raises:
        ArgumentError: if it can't be made one, as a tensor on a GPU.
    """
    if _is_image(given):
        from PIL import ImageOps

        image: Any = given
        try:
            upright = ImageOps.exif_transpose(image)
            deep = upright.mode.startswith(("I", "F"))  # PIL would cut such values off
            return np.asarray(upright if deep else upright.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:  # a file that is cut short is decoded only now
            raise ArgumentError(f"The PIL image can't be decoded: {_reason(error)}.") from None
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        hint = " Of a tensor give tensor.detach().cpu()." if type(given).__module__.startswith("torch") else ""
        raise ArgumentError(f"{type(given).__name__} can't be taken as an array: {_reason(error)}.{hint}") from None
    if array.dtype.kind not in "buif":
        raise ArgumentError(f"Expected an array of numbers, got {type(given).__name__} of {array.dtype}.")
    return array


def _listed(pictures: Any) -> Sequence[np.ndarray]:
    """The pictures of `Frames`, each checked by itself."""
    if isinstance(pictures, list | tuple) and any(_is_picture(one) for one in pictures):
        arrays: Any = [_array(one) for one in pictures]
    elif _is_picture(pictures) and not isinstance(pictures, list | tuple):
        array = _array(pictures)
        first, last = array.shape[0] if array.ndim else 0, array.shape[-1] if array.ndim else 0
        if array.ndim == 3 and first in _CHANNELS[:2] and last not in _CHANNELS and first > 1:
            raise ArgumentError(
                f"Frames: {array.shape} may be {first} gray pictures, or one with the channels first. Give a list."
            )
        single = array.ndim == 2 or (array.ndim == 3 and last in _CHANNELS)
        arrays = [array] if single or array.ndim < 2 else array
    else:
        what = described(pictures)
        raise ArgumentError(f"Frames: expected an array (N, H, W, 3) or (N, H, W), or a list of pictures; got {what}.")
    if not len(arrays):
        raise ArgumentError("Frames: expected one picture or more, got none.")
    for picture in arrays:
        _check_picture(picture)
    listed: Sequence[np.ndarray] = arrays
    return listed


def _check_picture(picture: np.ndarray) -> None:
    shape, kind = picture.shape, f"{picture.dtype} {picture.shape}"
    wanted = "Expected a picture (H, W, 3) or (H, W), uint8 or floats in 0 to 1"
    if picture.ndim == 1 or (picture.ndim == 2 and 0 < min(shape) <= _MOST_CHANNELS):
        raise ArgumentError(f"{wanted}; got {kind}, which looks like sound: mmemo.Sound(array, sample_rate).")
    channels = picture.ndim == 2 or (picture.ndim == 3 and (shape[2] in _CHANNELS or shape[0] in _CHANNELS))
    if not channels or 0 in shape:
        hint = ""
        if picture.ndim in (3, 4) and 0 not in shape:
            hint = " Several pictures of one recording: mmemo.Frames(array, fps=…)."
        raise ArgumentError(f"{wanted}; got {kind}.{hint}")
    if picture.dtype == np.uint8:
        return
    if picture.dtype.kind != "f":
        raise ArgumentError(
            f"{wanted}; got {kind}. Of values in 0 to 255 give array.astype('uint8'), of 16 bits (array >> 8).astype("
            "'uint8')."
        )
    low, high = float(picture.min()), float(picture.max())
    if not 0 <= low <= high <= 1:
        came = "values that are not numbers (NaN)" if math.isnan(low + high) else f"values of {low:g} to {high:g}"
        hint = " Of values in 0 to 255 give array.astype('uint8')." if low >= 0 else " Undo the normalization first."
        raise ArgumentError(f"{wanted}; got {kind} with {came}.{'' if math.isnan(low + high) else hint}")


def _size(picture: np.ndarray) -> tuple[int, int]:
    """Width and height."""
    first = picture.ndim == 3 and picture.shape[2] not in _CHANNELS
    height, width = picture.shape[1:] if first else picture.shape[:2]
    return int(width), int(height)


def _times(count: int, fps: Any, times: Any) -> tuple[np.ndarray, Seconds]:
    """The time of each of some pictures, and the end of the last one."""
    if fps is not None and times is not None:
        raise ArgumentError("Frames: give fps=… or times=…, not both.")
    if fps is not None:
        try:
            rate = float(fps)
        except (TypeError, ValueError):
            rate = math.nan
        if isinstance(fps, bool) or not 0 < rate < math.inf:
            raise ArgumentError(f"Frames: expected fps, pictures a second, above 0; got {_short(fps)}.")
        moments, step = np.arange(count) / rate, 1 / rate
    elif times is not None:
        try:
            moments = np.asarray(times, np.float64)
        except (TypeError, ValueError, RuntimeError):
            moments = np.zeros(0)
        if moments.shape != (count,) or not np.isfinite(moments).all() or moments[0] < 0:
            raise ArgumentError(
                f"Frames: expected times of {count} pictures in seconds, 0 or more; got {_short(times)}, of shape "
                f"{moments.shape}."
            )
        if (steps := np.diff(moments)).size and not steps.min() > 0:
            place = int(steps.argmin())
            raise ArgumentError(
                f"Frames: expected times that increase; number {place} is {moments[place]:g} s and the next one "
                f"{moments[place + 1]:g} s."
            )
        step = float(np.median(steps)) if steps.size else 0.0
    elif count > 1:
        raise ArgumentError(f"Frames: {count} pictures need fps=…, pictures a second, or times=…, in seconds.")
    if count == 1:
        return np.zeros(1), 0.0
    return moments, float(moments[-1]) + step


def _samples(given: Any) -> np.ndarray:
    """Sound (N, channels) of one of the types that a WAV file can hold."""
    wanted = "Sound: expected samples (N,), (N, channels) or (channels, N), floats in -1 to 1, int16, int32 or uint8"
    if isinstance(given, str | bytes | Frames | Sound | Encoded | Mapping):
        raise ArgumentError(f"{wanted}; got {type(given).__name__}. A file is given as it is, without Sound.")
    array = _array(given)
    kind = f"{array.dtype} {array.shape}"
    if array.ndim == 1:
        array = array[:, None]
    elif array.ndim == 2 and array.shape[0] <= _MOST_CHANNELS < array.shape[1]:
        array = array.T
    channels = array.shape[1] if array.ndim == 2 else 0
    if not 1 <= channels <= _MOST_CHANNELS or not array.size or len(array) <= _MOST_CHANNELS > 1 < channels:
        raise ArgumentError(f"{wanted}; got {kind}.")
    if array.dtype.kind == "f":
        finite = array[np.isfinite(array)]
        peak = float(np.abs(finite).max()) if finite.size else math.nan
        if not peak <= _LOUDEST:
            came = "no sample that is finite" if math.isnan(peak) else f"a peak of {peak:g}"
            hint = "" if math.isnan(peak) else " Of 16-bit values give samples / 32768."
            raise ArgumentError(f"{wanted}; got {kind} with {came}.{hint}")
        array = array.astype(np.float32, copy=False)
    if array.dtype.str[1:] not in _WAV:
        raise ArgumentError(f"{wanted}; got {kind}.")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
