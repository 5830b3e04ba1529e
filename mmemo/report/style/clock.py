"""Times and lengths as people read them, and the ticks of a time axis."""

from __future__ import annotations

import math

from mmemo.evidence import Seconds

_LONG: Seconds = 120.0
"""Clips of this length and more have minutes on their axis."""
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def clock(time: Seconds) -> str:
    """``"7.5 s"`` within the first minute, ``"12:07"`` after it."""
    return f"{time:.1f} s" if time < 60 else f"{int(time) // 60}:{int(time) % 60:02}"


def length(duration: Seconds) -> str:
    """How long a clip is."""
    return f"{duration:.1f} s" if duration < _LONG else f"{clock(duration)} min"


def ticks(start: Seconds, duration: Seconds) -> list[tuple[Seconds, str]]:
    """About ten round times within a clip, each with its text: seconds, or minutes and seconds for a long one."""
    step = next((step for step in _STEPS if step >= duration / 11), 7200.0)
    first, last = math.ceil(start / step - 1e-6), math.floor((start + duration) / step + 1e-6)
    times = [number * step for number in range(first, last + 1)]
    if duration >= _LONG:
        return [(time, f"{round(time) // 60}:{round(time) % 60:02}") for time in times]
    return [(time, f"{time:.1f}" if step < 1 else f"{time:.0f}") for time in times]


def unit(duration: Seconds) -> str:
    """What the ticks count."""
    return "minutes" if duration >= _LONG else "seconds"
