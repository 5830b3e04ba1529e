"""Ctrl-C in the middle of the work: the process ends within a second of its processor time, and leaves nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mmemo.samples import make_clip
from tests.processes import INTERRUPTED, in_foreground, interrupt, processor_time

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads processor times from /proc"),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "long.mp4", seconds=60.0, size=(320, 240), rate=10)


def begin(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mmemo", *map(str, arguments)]
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **given, start_new_session=True, preexec_fn=in_foreground)


@pytest.mark.parametrize("after", [1.0, 4.0])  # loading; looking, listening and recognizing
def test_one_clip(clip: Path, tmp_path: Path, after: float) -> None:
    process = begin("analyze", clip, "--out", tmp_path / "out.json", "--video", tmp_path / "out.mp4")
    while processor_time(process.pid) < after:
        time.sleep(0.01)
    assert interrupt(process) < 2  # seconds of processor time, of a machine that may be slow
    assert process.communicate() == ("", "")
    assert process.returncode in INTERRUPTED
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_is_written(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=3.0, size=(640, 360), rate=10, sound=None)
    process = begin("analyze", clip, "--modalities", "face", "--video", tmp_path / "out.mp4")
    while not list(tmp_path.glob(".out*")):
        time.sleep(0.01)
    assert interrupt(process) < 2  # seconds of processor time, of a machine that may be slow
    assert process.communicate() == ("", "")
    assert list(tmp_path.iterdir()) == [clip]
