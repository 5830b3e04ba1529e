"""Processes that tests watch: children, processor time, files that come and go, Ctrl-C as a terminal sends it (Linux)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

INTERRUPTED = (130, -signal.SIGINT)
"""Exit status after Ctrl-C, 130 to a shell: CPython ends by the signal itself where it came during an ``exec``."""


def in_foreground() -> None:
    """For ``preexec_fn``: take the signals that a job in the background, or under nohup, is started to ignore."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def interrupt(process: subprocess.Popen[str]) -> float:
    """Interrupt a process and its group; seconds of its processor time until it has ended, without those of others."""
    before = processor_time(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    while _fields(process.pid)[0] != "Z":
        time.sleep(0.01)
    return processor_time(process.pid) - before


def processor_time(process: int) -> float:
    """Seconds of processor time of a process so far."""
    fields = _fields(process)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(process: int) -> list[int]:
    """Processes that a process started."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # a thread that is no more
            found += [int(one) for one in task.read_text().split()]
    return sorted(found)


def files_in(folder: Path) -> set[Path]:
    """All files below a folder in which others come and go: `Path.rglob` raises where a folder has just gone."""
    return {Path(parent, name) for parent, _, names in os.walk(folder) for name in names}


def _fields(process: int) -> list[str]:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
