"""Opening a media file, and decoding the packets of one of its streams."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from mmemo.errors import MediaError
from mmemo.evidence import Seconds
from mmemo.media.suffixes import IMAGE

log = logging.getLogger(__name__)

_PLAYLISTS = (b"#EXTM3U", b"<?xml", b"<MPD", b"ffconcat", b"v=0\r", b"v=0\n")


@dataclass
class Damage:
    """How much of a stream could not be decoded; the functions that read media fill it in.

    Attributes:
        packets: number of damaged packets, which were passed over.
        samples: number of sound samples that were not finite and became silence.
        seconds: how far decoding came.
    """

    packets: int = 0
    samples: int = 0
    seconds: Seconds = 0.0


@contextmanager
def open_media(path: Path) -> Iterator[Any]:
    """Open a local file for reading, as a PyAV container.

    Raises:
        MediaError: with the reason why the file can't be read.
    """
    if not path.exists():
        raise MediaError(f"{path} does not exist. Check the spelling; relative paths start at {Path.cwd()}.")
    if path.is_dir():
        raise MediaError(f"{path} is a folder. Give one file, or loop over the files with mmemo.Analyzer.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{path} may not be read by this user. Change its permissions, or copy it.")
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes). The recording or the copy failed; get the file again.")
    with path.open("rb") as file:
        playlist = file.read(512).lstrip(b"\xef\xbb\xbf \r\n").startswith(_PLAYLISTS)
    if playlist:
        raise MediaError(f"{path} is a playlist: it names media elsewhere. Give the media files themselves.")
    options = {"protocol_whitelist": "file"}
    if path.suffix.lower() in IMAGE:
        options["pattern_type"] = "none"  # a % in an image's name is a name, not a sequence
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="replace", timeout=20.0)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{path} can't be read as video, audio or image ({_reason(error)}). It may be damaged, cut short, or of "
            "another kind; play it in a media player to see."
        ) from None
    with container:
        yield container


def is_still(container: Any) -> bool:
    """Whether an open file is a picture that does not move, by its format."""
    return bool(container.format.name.endswith(("_pipe", "image2")))


def video_stream(container: Any) -> Any:
    """The first decodable video stream that is not a cover picture, or None."""
    for stream in container.streams.video:
        cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
        if stream.codec_context is not None and not cover and stream.codec_context.width > 0:
            return stream
    return None


def audio_stream(container: Any) -> Any:
    """The first decodable audio stream, or None."""
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.sample_rate and stream.channels:
            return stream
    return None


def origin(container: Any) -> Seconds:
    """The timestamp that counts as second 0 of a file."""
    return float(container.start_time or 0) / av.time_base


def seek(container: Any, time: Seconds) -> None:
    """Continue at the last key frame before a time in seconds from the start of the file."""
    container.seek(int((time + origin(container)) * av.time_base))


def decode(container: Any, stream: Any, damage: Damage) -> Iterator[Any]:
    """The frames of one stream from where the container stands; damaged packets are counted and passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            log.info("reading stops early: %s", _reason(error))
            damage.packets += 1
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError as error:
            if packet.size:
                damage.packets += 1
                log.info("a packet can't be decoded: %s", _reason(error))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
