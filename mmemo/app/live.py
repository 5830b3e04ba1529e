"""What the live page sends: pictures of the camera and sound of the microphone, as they come."""

from __future__ import annotations

import struct
from time import perf_counter

import numpy as np

from mmemo.errors import ArgumentError
from mmemo.pipeline.live_session import LiveSession

MOST_PIXELS = 640 * 480
MOST_SAMPLES = 96_000
_PICTURE, _SOUND = struct.Struct("<BxHH"), struct.Struct("<BxxxI")
"""Headers, little endian: 0, width and height, before RGBA; 1 and the sample rate, before float32 samples, mono."""


def push_message(session: LiveSession, message: bytes) -> None:
    """Give a session what a message of the page holds. Its time is that of its arrival.

    Raises:
        ArgumentError: if the message is neither a picture nor sound, or larger than those of the page; and what the
            session raises.
    """
    now = perf_counter()
    if message[:1] == b"\1":
        samples, rate = decode_sound(message)
        session.push_sound(samples, now - len(samples) / rate, sample_rate=rate)
    else:
        session.push_frame(decode_frame(message), now)


def decode_frame(message: bytes) -> np.ndarray:
    """A picture as the live page sends it.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ArgumentError: if the bytes are not as many as width and height say, or more than ``MOST_PIXELS``.
    """
    if len(message) < _PICTURE.size or message[0] != 0:
        raise ArgumentError(f"A live frame begins with {_PICTURE.size} bytes: 0, a blank, width and height.")
    _, width, height = _PICTURE.unpack_from(message)
    pixels = width * height
    if not 0 < pixels <= MOST_PIXELS or len(message) != _PICTURE.size + 4 * pixels:
        raise ArgumentError(
            f"A live frame of {width} x {height} must have {4 * pixels} bytes of RGBA, and at most {MOST_PIXELS} "
            f"pixels; got {len(message) - _PICTURE.size} bytes."
        )
    rgba = np.frombuffer(message, np.uint8, offset=_PICTURE.size).reshape(height, width, 4)
    return np.ascontiguousarray(rgba[:, :, :3])


def decode_sound(message: bytes) -> tuple[np.ndarray, int]:
    """Sound as the live page sends it.

    Returns:
        samples (N,) float32, and their rate in Hz.

    Raises:
        ArgumentError: if there are no samples, more than ``MOST_SAMPLES``, or a part of one.
    """
    size = len(message) - _SOUND.size
    if not 0 < size <= 4 * MOST_SAMPLES or size % 4:
        raise ArgumentError(
            f"Live sound is {_SOUND.size} bytes of header and at most {MOST_SAMPLES} samples of 4 bytes; got {size}."
        )
    _, rate = _SOUND.unpack_from(message)
    return np.nan_to_num(np.frombuffer(message, "<f4", offset=_SOUND.size)), rate
