"""Writing a live source to a file while it goes on: pictures and sound as they come, in step by their times."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np

from mmemo.errors import ArgumentError
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.files import check_file, replacing_file
from mmemo.media.live import Block, Piece
from mmemo.media.video import Frame
from mmemo.media.writing import CLOCK, encode_samples

SUFFIXES = (".mkv", ".mp4")
_HEADER: Seconds = 3.0
"""For which sound waits for the first picture: a file must name its streams before it holds anything."""
_LONGEST_PAUSE: Seconds = 600.0


class LiveWriter:
    """A video file that grows as pictures and sound come; it takes its name when it is closed. For one thread.

    Args:
        path: ``.mkv`` or ``.mp4``; second 0 of the file is the time of what comes first.
        inputs: files that it may not replace.

    Raises:
        ArgumentError: if the file can't be written.
    """

    def __init__(self, path: str | Path, inputs: tuple[str | Path | None, ...] = ()) -> None:
        self._path, self._inputs = Path(path), inputs
        if self._path.suffix.lower() not in SUFFIXES:
            raise ArgumentError(f"A recording: expected a file of {list(SUFFIXES)}, got {path}.")
        check_file(self._path, inputs)
        self._resources = ExitStack()
        self._waiting: list[Piece] = []
        self._container: Any = None
        self._video: Any = None
        self._sound: Any = None
        self._origin: Seconds = 0.0
        self._samples = 0
        self._last = -1

    def add(self, piece: Piece) -> None:
        """Write the next picture or block of sound.

        Raises:
            ArgumentError: if it can't be written, as on a full disk.
        """
        try:
            if self._container is not None:
                self._write(piece)
                return
            self._waiting.append(piece)
            has_picture, has_sound = (any(isinstance(one, kind) for one in self._waiting) for kind in (Frame, Block))
            if (has_picture and has_sound) or piece.time - self._waiting[0].time > _HEADER:
                self._begin()
        except OSError as error:
            raise ArgumentError(f"{self._path} can't be written: {error.strerror or error}.") from None

    def close(self) -> Path | None:
        """Finish the file; None if nothing came."""
        if self._container is None:
            if not self._waiting:
                return None
            self._begin()
        with self._resources:
            for stream in (self._video, self._sound):
                if stream is not None:
                    self._container.mux(stream.encode(None))
        return self._path

    def _begin(self) -> None:
        """Open the file, with the streams of what has come so far."""
        partial = self._resources.enter_context(replacing_file(self._path, self._inputs))
        self._container = self._resources.enter_context(av.open(str(partial), "w"))
        first = next((one for one in self._waiting if isinstance(one, Frame)), None)
        if first is not None:
            # Pictures are not held back for each other, so that they lie beside their sound.
            options = {"crf": "23", "preset": "ultrafast", "tune": "zerolatency"}
            self._video = self._container.add_stream("libx264", rate=25, options=options)
            height, width = (side - side % 2 for side in first.image.shape[:2])
            self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
            self._video.codec_context.time_base = self._video.time_base = CLOCK
        if any(isinstance(one, Block) for one in self._waiting):
            self._sound = self._container.add_stream("aac", rate=SAMPLE_RATE)
            self._sound.layout = "mono"
        waiting, self._waiting = self._waiting, []
        self._origin = min(one.time for one in waiting)
        for piece in waiting:
            self._write(piece)

    def _write(self, piece: Piece) -> None:
        time = piece.time - self._origin
        if isinstance(piece, Block):
            pause = round(time * SAMPLE_RATE) - self._samples
            silence = np.zeros(max(0, min(pause, round(_LONGEST_PAUSE * SAMPLE_RATE))), np.float32)
            if self._sound is not None:
                samples = np.concatenate([silence, piece.samples])
                self._samples = encode_samples(self._container, self._sound, samples, self._samples)
        elif self._video is not None and (stamp := round(time / CLOCK)) > self._last:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(piece.image), format="rgb24")
            picture = picture.reformat(self._video.width, self._video.height)
            picture.pts, picture.time_base = stamp, CLOCK
            self._container.mux(self._video.encode(picture))
            self._last = stamp
