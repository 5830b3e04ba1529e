"""Ctrl-C as a terminal sends it, and the processor time that a process takes to end by it (Linux)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path


def interrupt(process: subprocess.Popen[str]) -> float:
    """Interrupt a process and its group; seconds of its processor time until it has ended, without those of others."""
    before = processor_time(process)
    os.killpg(process.pid, signal.SIGINT)
    while _fields(process)[0] != "Z":
        time.sleep(0.01)
    return processor_time(process) - before


def processor_time(process: subprocess.Popen[str]) -> float:
    """Seconds of processor time of a process so far."""
    fields = _fields(process)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fields(process: subprocess.Popen[str]) -> list[str]:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
