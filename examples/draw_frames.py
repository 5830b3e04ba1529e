"""Draw ``docs/images/frames.png``: what is measured frame by frame of a portrait that moves.

    python examples/draw_frames.py docs/images/frames.png

The face is NASA's portrait of Eileen Collins (public domain), moved by `mmemo.samples.moved_portrait`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot

import mmemo
from mmemo.samples import moved_portrait

RATE, SECONDS = 12.5, 7.0
MOVES = ((1.0, "turn", 1.0), (2.5, "look", -1.0), (4.0, "closed", 1.0), (5.5, "lean", 20.0))
"""When each movement is at its height, what moves, and by how much."""
WIDTHS = {"turn": 0.5, "look": 0.5, "closed": 0.12, "lean": 0.5}
"""Seconds to either side, in which it comes and goes."""


def main(out: Path) -> None:
    """Make the clip, analyze it, and draw the curves under pictures of the four movements."""
    times = np.arange(0, SECONDS, 1 / RATE)
    pictures = [
        moved_portrait(**{name: far * max(0.0, 1 - ((time - at) / WIDTHS[name] / 1.5) ** 2) for at, name, far in MOVES})
        for time in times
    ]
    frames = mmemo.analyze(mmemo.Frames(pictures, times=times), modalities=("face",), frames=True).frames
    assert frames is not None
    figure, axes = pyplot.subplot_mosaic(
        [[name for _, name, _ in MOVES], ["degrees"] * 4, ["units"] * 4],
        figsize=(9, 7),
        height_ratios=(1.6, 1.3, 1),
        layout="constrained",
    )
    titles = {
        "turn": "turned to the right:\nyaw positive",
        "look": "eyes to the left:\ngaze yaw negative",
        "closed": "eyes closed:\nAU45, blink",
        "lean": "leaning to the right:\nroll positive",
    }
    for at, name, _ in MOVES:
        axes[name].imshow(pictures[round(at * RATE)][30:215, 55:240])
        axes[name].set_title(f"{at:g} s, {titles[name]}", fontsize=9)
        axes[name].set_axis_off()
    yaw, pitch, roll = frames.pose.T
    for values, label, color in (
        (yaw, "Yaw", "#0e4ea0"),
        (pitch, "Pitch", "#9aa2a9"),
        (roll, "Roll", "#089065"),
        (frames.gaze[:, 0], "gaze_yaw", "#c8641b"),
    ):
        axes["degrees"].plot(frames.time, values, label=label, color=color)
    axes["degrees"].set_ylabel("degrees")
    for name, color in (("AU12", "#f8a020"), ("AU45", "#5b3a29")):
        axes["units"].plot(frames.time, frames.action_unit(name), label=name, color=color)
    for time in frames.time[frames.blink]:
        axes["units"].axvspan(time - 0.5 / RATE, time + 0.5 / RATE, color="#d1ccc0", zorder=0)
    axes["units"].set_ylim(0, 1)
    axes["units"].set_ylabel("action units\n(gray: blink)")
    axes["units"].set_xlabel("seconds")
    for name in ("degrees", "units"):
        axes[name].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        axes[name].set_xlim(0, SECONDS)
        axes[name].spines[["top", "right"]].set_visible(False)
    partial = out.with_suffix(".partial.png")
    figure.savefig(partial, dpi=80)
    partial.replace(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
