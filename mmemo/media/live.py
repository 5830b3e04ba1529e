"""Live sources: cameras, microphones, network streams, pipes, and files that stand in for them."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from threading import Event
from typing import Any, Literal, TypeAlias

import av
import numpy as np

from mmemo.errors import MediaError
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.media.container import Damage
from mmemo.media.info import probe
from mmemo.media.sound import Mono, finite, resampler_to, waveform_blocks
from mmemo.media.video import Development, Frame, frames
from mmemo.reading import address

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtp", "udp", "tcp", "srt", "http", "https")
"""Of the addresses that are opened as live streams, and only where the user names one."""
MAX_SIDE = 1280
"""Pixels to which the longer side of live pictures is shrunk: a face at a desk needs no more."""
_BLOCK: Seconds = 0.128
"""Length of the blocks of sound that a file is played in."""
_OPENING, _SILENT = 20.0, 10.0
"""Seconds that opening may take, and that a device may give nothing, before it counts as lost."""
_POLL: Seconds = 0.1
_AHEAD: Seconds = 0.5
"""By which what comes may be ahead of its own clock; a pipe or server that is quicker has to wait."""
_STANDARD_INPUT = "-"
_SYSTEM_ALSA = Path("/usr/share/alsa/alsa.conf")
Kind = Literal["camera", "microphone"]


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive samples (N,) float32, 16 kHz mono, the first of them at ``time`` seconds."""

    time: Seconds
    samples: np.ndarray

    @property
    def end(self) -> Seconds:
        """Seconds after the last sample."""
        return self.time + len(self.samples) / SAMPLE_RATE


Piece: TypeAlias = Frame | Block


class LiveResampler:
    """Sound of any rate and channels, block by block, at 16 kHz and mono.

    Args:
        sample_rate: of what comes, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate, self._damage = sample_rate, Damage()
        self._resampler = None if sample_rate == SAMPLE_RATE else resampler_to(SAMPLE_RATE, "mono")
        self._mono = Mono(self._damage)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """The next samples (N, channels), as `mmemo.Sound` has them, as (M,) float32 in -1 to 1.

        What is not finite becomes silence.
        """
        values = samples.astype(np.float32)
        if samples.dtype.kind != "f":
            values = (values - (128 if samples.dtype.kind == "u" else 0)) / 2 ** (8 * samples.dtype.itemsize - 1)
        mono = self._mono(np.where(np.isfinite(values), values, np.float32(0)))
        if self._resampler is None:
            return mono
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono[None]), format="flt", layout="mono")
        block.sample_rate = self._rate
        pieces = [finite(piece, self._damage)[:, 0] for piece in self._resampler.resample(block)]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


class LiveSource(Iterator[Piece]):
    """Frames and sound as they come, in order of their arrival; it ends with the source, or when it is closed.

    Iterating raises `MediaError` where the source is lost.

    Args:
        pieces: is given an event that is set when the source is to be closed.
        name: of the source, for messages.
    """

    def __init__(self, pieces: Callable[[Event], Iterator[Piece]], name: str) -> None:
        self.name, self._closing = name, Event()
        self._pieces = pieces(self._closing)

    def __next__(self) -> Piece:
        if self._closing.is_set():
            raise StopIteration
        return next(self._pieces)

    def close(self) -> None:
        """Let the iteration end soon, in whatever thread it runs."""
        self._closing.set()


def pieces_of(path: Path, *, sees: bool, hears: bool, max_rate: float | None, max_side: int) -> Iterator[Piece]:
    """The frames and the sound of a file in order of time, decoded as `frames` and `waveform_blocks` do.

    Raises:
        MediaError: if the file can't be read.
    """
    info = probe(path)
    pictures = frames(path, max_side=max_side, max_rate=max_rate) if sees and info.video is not None else ()
    sound = _blocks(path) if hears and info.audio is not None else ()
    return merge(pictures, sound, key=lambda piece: piece.end if isinstance(piece, Block) else piece.time)


def _blocks(path: Path) -> Iterator[Block]:
    place = 0
    for samples in waveform_blocks(path, seconds=_BLOCK):
        yield Block(place / SAMPLE_RATE, samples)
        place += len(samples)


def playback(path: Path, *, sees: bool, hears: bool, max_rate: float) -> LiveSource:
    """A file at its own speed, as if it were a camera, a microphone, or both.

    Raises:
        MediaError: if the file can't be read.
    """
    read = pieces_of(path, sees=sees, hears=hears, max_rate=max_rate, max_side=MAX_SIDE)

    def play(closing: Event) -> Iterator[Piece]:
        start = time.perf_counter()
        for piece in read:
            due = piece.end if isinstance(piece, Block) else piece.time
            if closing.wait(max(0.0, start + due - time.perf_counter())):
                return
            yield piece

    return LiveSource(play, str(path))


def open_device(kind: Kind, given: int | str | bool, *, max_rate: float) -> LiveSource:
    """A camera or a microphone of this machine. Times are those of arrival, from the opening on.

    Args:
        given: number of a camera, or the name of a device; True for the first one.

    Raises:
        MediaError: if there is none, or it can't be opened.
    """
    format, file, options = device_arguments(sys.platform, kind, given)
    if format == "alsa" and "ALSA_CONFIG_PATH" not in os.environ and _SYSTEM_ALSA.is_file():
        os.environ["ALSA_CONFIG_PATH"] = str(_SYSTEM_ALSA)  # the library in PyAV's wheel looks for one of its own
    try:
        container = av.open(file, format=format, options=options, timeout=(_OPENING, _SILENT))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(_refused(kind, file, error)) from None
    start = time.perf_counter()
    return _of_container(container, file, max_rate, lambda _: time.perf_counter() - start)


def device_arguments(platform: str, kind: Kind, given: int | str | bool) -> tuple[str, str, dict[str, str]]:
    """FFmpeg's format, file and options of a device on a platform, as `sys.platform` names it."""
    camera, number = kind == "camera", 0 if given is True else given
    if platform == "darwin":
        options = {"framerate": "30", "video_size": "640x480"} if camera else {}
        return "avfoundation", f"{number}:none" if camera else f"none:{number}", options
    if platform == "win32":
        media = "video" if camera else "audio"
        name = number if isinstance(number, str) else _nth_device(media, number)
        return "dshow", f"{media}={name}", {}
    if not camera:
        return "alsa", number if isinstance(number, str) else "default", {}
    return "v4l2", number if isinstance(number, str) else f"/dev/video{number}", {"video_size": "640x480"}


def _nth_device(media: str, number: int) -> str:
    from av.device import enumerate_input_devices

    named = [device.name for device in enumerate_input_devices("dshow") if media in device.media_types]
    if number >= len(named):
        raise MediaError(f"There is no {media} device number {number}; there are {named}.")
    return str(named[number])


def _refused(kind: Kind, name: str, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    other = "push_frame" if kind == "camera" else "push_sound"
    return (
        f"The {kind} {name} can't be opened ({reason}). Check that it is connected, that no other program uses it, and "
        f"that this one may; or read it yourself and give what comes to session.{other}(…)."
    )


def is_live(source: str | Path) -> bool:
    """Whether this names a stream that comes at its own speed: an address, a pipe, or the standard input."""
    if str(source) == _STANDARD_INPUT:
        return True
    named = address(str(source))
    if named is not None:
        return named[0] != "file"
    try:
        return stat.S_ISFIFO(Path(source).stat().st_mode)
    except OSError:
        return False


def open_stream(source: str | Path, *, max_rate: float) -> LiveSource:
    """A network stream, a named pipe, or the standard input as "-". Times are the stream's own, from its start.

    Raises:
        MediaError: if it can't be opened, or is of a kind that is not opened.
    """
    name = str(source)
    scheme = (address(name) or ("", ""))[0]
    options = {"protocol_whitelist": "rtp,srtp,udp,tcp,tls,rtsp,rtsps,rtmp,srt,http,https"}
    if scheme.startswith("rtsp"):
        options["rtsp_transport"] = "tcp"
    pipe: Any = None
    if not scheme:
        pipe = _Pipe(source)
    elif scheme not in SCHEMES:
        raise MediaError(f"{name} is no stream that can be opened; expected an address of {', '.join(SCHEMES)}.")
    try:
        container = av.open(pipe or name, options=options, timeout=(_OPENING, _SILENT))
    except (av.FFmpegError, OSError, ValueError) as error:
        if pipe is not None:
            pipe.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"The stream {name} can't be opened ({reason}). Check its name, and that it runs.") from None
    return _of_container(container, name, max_rate, None, pipe)


def _of_container(
    container: Any, name: str, max_rate: float, clock: Callable[[Any], Seconds] | None, pipe: _Pipe | None = None
) -> LiveSource:
    """The pieces of an open container; without a clock, times are those of its timestamps."""

    def read(closing: Event) -> Iterator[Piece]:
        if pipe is not None:
            pipe.closing = closing
        with container:
            yield from _decoded(container, name, max_rate, clock, closing)
        if pipe is not None:
            pipe.close()

    return LiveSource(read, name)


def _decoded(
    container: Any, name: str, max_rate: float, clock: Callable[[Any], Seconds] | None, closing: Event
) -> Iterator[Piece]:
    streams = [*container.streams.video[:1], *container.streams.audio[:1]]
    develop, mono, resampler = Development(MAX_SIDE, 1.0, None), Mono(Damage()), resampler_to(SAMPLE_RATE, None)
    for stream in streams:
        stream.thread_type = "SLICE"  # threads of frames would give each picture some pictures later
    origin: Seconds | None = None
    due = reached = begun = 0.0
    try:
        for packet in container.demux(streams):
            if closing.is_set():
                return
            for piece in _pieces(packet):
                if clock is None:
                    if piece.time is None:
                        continue
                    if origin is None:
                        origin, begun = piece.time, time.perf_counter()
                    ahead = piece.time - origin - (time.perf_counter() - begun)
                    if _AHEAD < ahead < _SILENT and closing.wait(ahead - _AHEAD):
                        return
                now = clock(piece) if clock is not None else piece.time - (origin or 0.0)
                if isinstance(piece, av.VideoFrame):
                    if not due - 1.0 <= now < due:  # a clock that was set back is not waited for
                        due = now + 0.9 / max_rate
                        yield Frame(now, develop(piece))
                    continue
                samples = [mono(finite(block, Damage())) for block in resampler.resample(piece)]
                if samples:
                    whole = np.concatenate(samples)
                    start = now - len(whole) / SAMPLE_RATE if clock is not None else now
                    # Of a device, the samples' count is steadier than the times of their arrival.
                    reached = start if abs(start - reached) > _POLL else reached
                    yield Block(reached, whole)
                    reached += len(whole) / SAMPLE_RATE
    except (av.FFmpegError, OSError) as error:
        if not closing.is_set():
            reason = getattr(error, "strerror", None) or str(error)
            raise MediaError(f"{name} gives nothing any more ({reason}).") from None


def _pieces(packet: Any) -> list[Any]:
    """What a packet holds; nothing if it is damaged, as what follows may be whole."""
    try:
        return list(packet.decode())
    except av.FFmpegError:
        return []


class _Pipe(io.RawIOBase):
    """A named pipe, or the standard input, that can be closed while nothing comes.

    Attributes:
        closing: set when it is to end.
    """

    def __init__(self, source: str | Path) -> None:
        self.closing = Event()
        self._own = str(source) != _STANDARD_INPUT
        self._file = os.open(source, os.O_RDONLY | os.O_NONBLOCK) if self._own else sys.stdin.fileno()
        self._begun = not self._own

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """What is there, at least a byte; none at the end."""
        while not self.closing.is_set():
            if not select.select([self._file], [], [], _POLL)[0]:
                continue
            try:
                data = os.read(self._file, max(size, 1))
            except BlockingIOError:
                continue
            if data or self._begun:
                self._begun = True
                return data
            self.closing.wait(_POLL)  # nobody writes yet
        return b""

    def close(self) -> None:
        """Close it; the standard input stays open."""
        if self._own and not self.closed:
            os.close(self._file)
        super().close()
