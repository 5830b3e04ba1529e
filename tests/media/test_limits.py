"""Limits: what would hang, or fill the memory, is refused at once in one sentence."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from mmemo import Clip, media
from mmemo.errors import ArgumentError, MediaError
from mmemo.pipeline.extract import extract


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "link to a device"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "clip.mp4"
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            listener.bind(os.path.relpath(path))
        elif kind == "device":
            path = Path("/dev/zero")
        else:
            path.symlink_to("/dev/zero")
        with pytest.raises(MediaError, match="is a pipe, a socket or a device"):
            media.probe(path)
        with pytest.raises(MediaError, match="is a pipe, a socket or a device"):
            next(media.frames(path))


@pytest.mark.parametrize("name", ["\0.mp4", "a" * 300])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        media.probe(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html><body>Please log in", "is a web page"),
    ],
)
def test_other_files_named_like_media(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=message):
        media.probe(path)


def gif(side: int) -> bytes:
    image = (
        b"\x21\xf9\x04\x00\x0a\x00\x00\x00\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\x00"
    )
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6) + 3 * image + b";"


def png(side: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("name", "content"), [("bomb.gif", gif), ("bomb.png", png)])
def test_a_small_file_does_not_make_a_huge_picture(tmp_path: Path, name: str, content: Callable[[int], bytes]) -> None:
    path = tmp_path / name
    path.write_bytes(content(16_000))
    assert path.stat().st_size < 40_000
    code = (
        "import resource, sys\nfrom mmemo import media\nfrom mmemo.errors import MediaError\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))\n"
        "try:\n    media.probe(sys.argv[1])\nexcept MediaError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "has a picture of more than 100 megapixels" in done.stdout


def test_a_video_of_huge_pictures(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gif"
    path.write_bytes(gif(8_000))
    with pytest.raises(MediaError, match="8000 x 8000 pixels; at most 35 megapixels"):
        media.probe(path)


def test_pictures_do_not_grow_midway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header has a small picture, and a later frame is larger than the limit."""
    path = tmp_path / "grows.ts"
    parts = []
    for side in (64, 256):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p"
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((side, side, 3), 99, np.uint8), format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))
    assert {frame.image.shape[0] for frame in media.frames(path)} == {64, 256}
    monkeypatch.setattr("mmemo.media.container.LIMITS", media.Limits(video_pixels=128 * 128))
    monkeypatch.setattr("mmemo.media.container._PADDING", 0)
    damage = media.Damage()
    assert {frame.image.shape[0] for frame in media.frames(path, damage=damage)} == {64}
    assert damage.packets


def test_an_hour_a_picture(tmp_path: Path, write: Callable[..., Path], face: av.VideoFrame) -> None:
    small = [face.reformat(64, 64, "yuv420p") for _ in range(24)]
    path = write(tmp_path / "day.mkv", small, times=[3600.0 * hour for hour in range(24)])
    with pytest.raises(MediaError, match=r"lasts 8\d+ s by its timestamps"):
        media.probe(path)


def test_pauses_of_years(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sparse.mka"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8_000)
        stream.layout = "mono"
        for number in range(200):
            block = av.AudioFrame.from_ndarray(np.full((1, 80), 99, np.int16), format="s16", layout="mono")
            block.sample_rate, block.pts = 8_000, number * 500 * 8_000
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match=r"lasts 9\d{4} s by its timestamps"):
        media.probe(path)
    monkeypatch.setattr("mmemo.media.sound.LIMITS", media.Limits(free_seconds=600.0))
    with pytest.raises(MediaError, match="pauses that make it longer"):
        sum(map(len, media.waveform_blocks(path)))


@pytest.mark.parametrize(("rate", "message"), [(2_000_000_000, "2000000000 samples a second"), (1, "lasts 20000 s")])
def test_samples_at_an_absurd_rate(tmp_path: Path, rate: int, message: str) -> None:
    path = tmp_path / "voice.wav"
    data = bytes(20_000)
    form = struct.pack("<HHIIHH", 1, 1, rate, rate, 1, 8)
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + form
        + b"data" + struct.pack("<I", len(data)) + data
    )  # fmt: skip
    with pytest.raises(MediaError, match=message):
        media.probe(path)


def test_windows_without_number(clip: Path) -> None:
    with pytest.raises(ArgumentError, match=r"has 2\d{5} windows, one each 1e-05 s; at most 200000"):
        extract(Clip(clip), media.probe(clip), ("voice",), 0.5, 1e-5, None)


def test_ordinary_files_are_far_from_the_limits() -> None:
    limits = media.Limits()
    assert limits.seconds(700 * 24 * 3600 // 8) > 24 * 3600  # a day of Codec 2 at 700 bit/s
    assert limits.video_pixels >= 7680 * 4320
