"""Times and durations as text, and the ticks of a time axis."""

from __future__ import annotations

import math

from mmemo.evidence import Seconds

_LONG: Seconds = 120.0
"""Clips of this length and more have minutes on their axis."""
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def clock(time: Seconds) -> str:
    """A time in a sentence: ``"7.5 s"`` within the first minute, ``"12:07"`` after it."""
    return f"{time:.1f} s" if time < 60 else f"{int(time) // 60}:{int(time) % 60:02}"


def timestamp(time: Seconds) -> str:
    """A time in a list, to a tenth of a second: ``"0:07.5"``, ``"12:07.0"``."""
    return f"{int(time) // 60}:{time % 60:04.1f}"


def length(duration: Seconds) -> str:
    """A clip's duration: ``"8.6 s"``, ``"90:00 min"``."""
    return f"{duration:.1f} s" if duration < _LONG else f"{clock(duration)} min"


def total(seconds: Seconds) -> str:
    """The duration of many clips: ``"3:05 min"``, ``"12:03:05 h"``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h" if minutes >= 60 else f"{minutes}:{rest:02} min"


def ticks(start: Seconds, duration: Seconds) -> list[tuple[Seconds, str]]:
    """About ten round times within a clip, each with its text: seconds, or minutes and seconds for a long one."""
    step = next((step for step in _STEPS if step >= duration / 11), 7200.0)
    first, last = math.ceil(start / step - 1e-6), math.floor((start + duration) / step + 1e-6)
    times = [number * step for number in range(first, last + 1)]
    if duration >= _LONG:
        return [(time, f"{round(time) // 60}:{round(time) % 60:02}") for time in times]
    return [(time, f"{time:.1f}" if step < 1 else f"{time:.0f}") for time in times]


def unit(duration: Seconds) -> str:
    """Unit of the ticks."""
    return "minutes" if duration >= _LONG else "seconds"
