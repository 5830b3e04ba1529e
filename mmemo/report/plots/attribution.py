"""Plot of an attribution over time: the evidence for a label and against it, over the waveform."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from mmemo.evidence import SAMPLE_RATE
from mmemo.files import replacing_file
from mmemo.report.formats import PICTURES, check_suffix
from mmemo.report.plots.figure import LEFT, RIGHT, WIDTH, RowLayout, heading, write_figure
from mmemo.report.style.colors import AXIS, FAINT, OPPOSES, SUPPORTS, WAVEFORM


def save_attribution(
    label: str, score: float, start: float, waveform: np.ndarray, times: np.ndarray, curve: np.ndarray, path: Path
) -> Path:
    """See `mmemo.explain.occlusion.VoiceExplanation.save`."""
    check_suffix(path, PICTURES)
    layout = RowLayout(2.9)
    layout.skip(0.25)
    layout.text(0.3, f"{label}, {score:.0%} by the voice", 12, weight="bold")
    layout.skip(0.25)
    legend = "Orange: the sound there supports the label; blue: opposes it. Change of its log odds without that sound."
    layout.text(0.3, legend, 9, FAINT)
    layout.skip(0.15)
    seconds = len(waveform) / SAMPLE_RATE
    axes = layout.row(1.0)
    bins = round((WIDTH - LEFT - RIGHT) * 90)
    edges = np.linspace(0, len(waveform), bins + 1).astype(int)[:-1]
    envelope = np.maximum.reduceat(np.abs(waveform), np.minimum(edges, max(0, len(waveform) - 1)))
    at = start + np.linspace(0, seconds, bins)
    height = envelope / max(float(envelope.max()), 1e-6)
    attribution = np.interp(at, times, curve)
    most = max(float(np.abs(curve).max()), 1e-3)
    axes.set(xlim=(start, start + seconds), ylim=(-1.05, 1.05))
    for sign, color in ((1, SUPPORTS), (-1, OPPOSES)):
        axes.fill_between(at, -1.05, 1.05, where=sign * attribution > 0.15 * most, color=color, alpha=0.22, linewidth=0)
    axes.fill_between(at, -height, height, facecolor=WAVEFORM, linewidth=0)
    heading(axes, "Sound", "")
    layout.skip(0.08)
    axes = layout.row(0.7)
    axes.set(xlim=(start, start + seconds), ylim=(-1.1 * most, 1.1 * most))
    axes.axhline(0, color=AXIS, linewidth=0.8)
    axes.fill_between(times, 0, np.maximum(curve, 0), color=SUPPORTS, linewidth=0)
    axes.fill_between(times, 0, np.minimum(curve, 0), color=OPPOSES, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(8))
    axes.tick_params(axis="x", length=3, labelsize=8.5, colors=FAINT)
    heading(axes, "Supports", f"at most {most:.2f} nats")
    with replacing_file(path) as partial:
        write_figure(layout.figure, partial)
    return path
