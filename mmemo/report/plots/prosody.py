"""Row of a plot with pitch and speaking rate over time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from mmemo.report.style.colors import AXIS, FAINT, PAUSE, PITCH, RATE, TEXT
from mmemo.speech.prosody import Prosody

_FASTEST = 9.0
"""Syllables a second at the top of the row."""
_MOST_POINTS = 4000


def draw_prosody(axes: Axes, prosody: Prosody, start: float, end: float) -> None:
    """Pitch as dots, on two octaves around its median at least; speaking rate as a line; pauses in gray."""
    step = max(1, len(prosody.pitch) // _MOST_POINTS)
    times, pitch, rate = prosody.times[::step], np.log2(prosody.pitch[::step]), prosody.rate[::step]
    summary = prosody.summary
    axes.set(xlim=(start, end), ylim=(0, 1))
    for pause in prosody.pauses:
        axes.axvspan(*pause, color=PAUSE, linewidth=0)
    if np.isfinite(pitch).any():
        low, high = np.nanpercentile(pitch, [1, 99])
        middle, reach = (low + high) / 2, max(1.0, (high - low) / 2 * 1.1)
        axes.plot(times, np.clip((pitch - middle) / (2 * reach) + 0.5, 0, 1), ".", color=PITCH, markersize=2)
        for octave in (-1, 1):
            place = middle + octave * reach
            axes.text(
                0.998, 0.5 + octave * 0.4, f"{2**place:.0f} Hz", size=7, color=PITCH, ha="right", va="center",
                transform=axes.transAxes,
            )  # fmt: skip
    axes.plot(times, np.clip(rate / _FASTEST, 0, 1), color=RATE, linewidth=1.2)
    axes.axhline(0, color=AXIS, linewidth=0.8)
    median = "none" if summary["pitch"] is None else f"{summary['pitch']:.0f} Hz"
    speed = "" if summary["rate"] is None else f"{summary['rate']:.1f} syllables/s"
    axes.text(-0.012, 0.82, "Pitch, rate", size=10, color=TEXT, ha="right", va="center", transform=axes.transAxes)
    for color, text, height in ((PITCH, median, 0.52), (RATE, speed, 0.26)):
        axes.text(
            -0.012, height, text, size=8, color=color if text != "none" else FAINT, ha="right", va="center",
            transform=axes.transAxes,
        )  # fmt: skip
