"""Worker processes: one that dies is started again, and a clip that kills it twice is a row with an error."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Thread

import pytest

from mmemo.batch.pool import Process
from mmemo.batch.settings import Settings
from mmemo.clip import Clip
from mmemo.errors import WorkerError

pytestmark = pytest.mark.slow


def settings(**changes: object) -> Settings:
    given = {"model": "default", "modalities": ("voice",), "device": "cpu", "window": 2.0, "hop": 1.0, "threads": 1}
    return Settings.of(**given | changes)  # type: ignore[arg-type]


def test_a_process_that_dies_is_started_again(folder: Path) -> None:
    process = Process(settings())
    try:
        clip = Clip(folder / "00.mp4")
        key, row = process(clip)
        assert process._running is not None
        first = process._running.pid
        os.kill(first, signal.SIGKILL)
        assert process(clip) == (key, row)
        assert process._running.pid != first
    finally:
        process.close()
    with pytest.raises(WorkerError, match="closed"):
        process(clip)


def test_a_clip_whose_process_dies_twice_is_a_row_with_an_error(tmp_path: Path) -> None:
    """The clip is a FIFO: its reader waits, and is killed, as the system does when memory runs out."""
    trap = tmp_path / "trap.mp4"
    os.mkfifo(trap)
    process, killed = Process(settings()), []

    def kill_readers() -> None:
        for _ in range(2):
            end = opened_for_reading(trap)
            if end is None or process._running is None:
                return
            killed.append(process._running.pid)
            process._running.kill()
            process._running.wait()
            os.close(end)

    hunter = Thread(target=kill_readers, daemon=True)
    hunter.start()
    key, row = process(Clip(trap))
    hunter.join()
    process.close()
    assert len(set(killed)) == 2
    assert key == ""
    assert str(row.error).startswith("WorkerError: The process that analyzed it died 2 times, with exit status -9")


def opened_for_reading(fifo: Path) -> int | None:
    """The writing end of a FIFO, once somebody reads from it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            time.sleep(0.05)
    return None
