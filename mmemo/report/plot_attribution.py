"""A curve of what speaks for a label, drawn over the waveform."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evidence import SAMPLE_RATE
from mmemo.files import replacing_file
from mmemo.report.palette import FAINT
from mmemo.report.sheet import LEFT, RIGHT, WIDTH, Sheet, side

_SUFFIXES = (".png", ".svg", ".pdf")
_FOR, _AGAINST = "#c8641b", "#1f5fa8"


def save_attribution(
    label: str, score: float, start: float, waveform: np.ndarray, times: np.ndarray, curve: np.ndarray, path: Path
) -> Path:
    """See `mmemo.explain.occlusion.VoiceExplanation.save`."""
    if path.suffix.lower() not in _SUFFIXES:
        raise ArgumentError(expected_one_of("Suffix of a picture", _SUFFIXES, path.suffix))
    sheet = Sheet(2.9)
    sheet.skip(0.25)
    sheet.text(0.3, f"{label}, {score:.0%} by the voice", 12, weight="bold")
    sheet.skip(0.25)
    what = "Orange: what is heard there speaks for the label; blue: against it. The change of its log odds without it."
    sheet.text(0.3, what, 9, FAINT)
    sheet.skip(0.15)
    seconds = len(waveform) / SAMPLE_RATE
    axes = sheet.row(1.0)
    bins = round((WIDTH - LEFT - RIGHT) * 90)
    edges = np.linspace(0, len(waveform), bins + 1).astype(int)[:-1]
    envelope = np.maximum.reduceat(np.abs(waveform), np.minimum(edges, max(0, len(waveform) - 1)))
    at = start + np.linspace(0, seconds, bins)
    height = envelope / max(float(envelope.max()), 1e-6)
    colour = np.interp(at, times, curve)
    most = max(float(np.abs(curve).max()), 1e-3)
    axes.set(xlim=(start, start + seconds), ylim=(-1.05, 1.05))
    for sign, shade in ((1, _FOR), (-1, _AGAINST)):
        axes.fill_between(at, -1.05, 1.05, where=sign * colour > 0.15 * most, color=shade, alpha=0.22, linewidth=0)
    axes.fill_between(at, -height, height, facecolor="#58646e", linewidth=0)
    side(axes, "Sound", "")
    sheet.skip(0.08)
    axes = sheet.row(0.7)
    axes.set(xlim=(start, start + seconds), ylim=(-1.1 * most, 1.1 * most))
    axes.axhline(0, color="#aab2b9", linewidth=0.8)
    axes.fill_between(times, 0, np.maximum(curve, 0), color=_FOR, linewidth=0)
    axes.fill_between(times, 0, np.minimum(curve, 0), color=_AGAINST, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(8))
    axes.tick_params(axis="x", length=3, labelsize=8.5, colors=FAINT)
    side(axes, "Speaks for", f"at most {most:.2f} nats")
    with replacing_file(path) as partial:
        sheet.figure.savefig(partial, format=path.suffix.lower()[1:])
    return path
