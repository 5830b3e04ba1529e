"""Every file that mmemo can read is taken from a folder by its suffix."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mmemo import media
from mmemo.batch.plan import plan

SOUND = np.sin(np.arange(4_800) / 9).astype(np.float32)[None]
VIDEO = {
    ".mp4": "mp4",
    ".mkv": "matroska",
    ".3gp": "3gp",
    ".ts": "mpegts",
    ".m2ts": "mpegts",
    ".vob": "vob",
    ".gif": "gif",
}
AUDIO = {
    ".wav": ("wav", "pcm_s16le"), ".mp3": ("mp3", "libmp3lame"), ".mka": ("matroska", "aac"), ".caf": ("caf", "pcm_s16le"),
    ".au": ("au", "pcm_s16be"), ".aiff": ("aiff", "pcm_s16be"), ".ac3": ("ac3", "ac3"), ".weba": ("webm", "libopus"),
}  # fmt: skip
IMAGE = (".png", ".jpg", ".webp", ".jp2", ".ppm")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for suffix, format in VIDEO.items():
        with av.open(str(tmp_path / f"video{suffix}"), "w", format=format) as container:
            codec = {"gif": "gif", "vob": "mpeg2video"}.get(format, "libx264")
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8" if codec == "gif" else "yuv420p"
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * number, np.uint8), format="rgb24")
                frame = frame.reformat(format=stream.pix_fmt)
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    for suffix, (format, codec) in AUDIO.items():
        with av.open(str(tmp_path / f"sound{suffix}"), "w", format=format) as container:
            stream = container.add_stream(codec, rate=48_000)
            stream.layout = "mono"
            block = av.AudioFrame.from_ndarray(SOUND, format="flt", layout="mono")
            block.sample_rate, block.pts = 48_000, 0
            container.mux(stream.encode(block))
            container.mux(stream.encode(None))
    for suffix in IMAGE:
        (tmp_path / f"image{suffix}").write_bytes(cv2.imencode(suffix, np.full((48, 64, 3), 90, np.uint8))[1].tobytes())
    (tmp_path / "notes.txt").write_text("no media")
    return tmp_path


def test_a_folder_gives_every_file_that_can_be_read(folder: Path) -> None:
    paths = [Path(str(task.path)) for task in plan(folder).tasks]
    expected = dict.fromkeys(VIDEO, "video") | dict.fromkeys(AUDIO, "audio") | dict.fromkeys(IMAGE, "image")
    assert {path.suffix: media.probe(path).kind for path in paths} == expected


def test_no_suffix_stands_twice() -> None:
    suffixes = [*media.VIDEO, *media.AUDIO, *media.IMAGE]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)
