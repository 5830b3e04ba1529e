"""Draw ``docs/images/micro_expression.png``: onset, apex, flow and strain of a made micro-expression.

    python examples/draw_micro_expression.py docs/images/micro_expression.png

The face is NASA's portrait of Eileen Collins (public domain); the movement is made, as in `mmemo.testing.micro`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from matplotlib import pyplot

from mmemo.faces import FaceFinder
from mmemo.faces.align import alignment
from mmemo.micro.flow_image import flow_image
from mmemo.micro.optical_flow import SIZE, dense_flow, strain, without_head_motion
from mmemo.micro.tracking import gray_crop
from mmemo.samples import portrait
from mmemo.testing import MadeSequence, Movement, Unrest, brow_raise, smile_corner


def main(out: Path) -> None:
    """Measure the movement between two pictures of the sequence, and draw what was measured."""
    true = brow_raise(1.5) + 0.8 * smile_corner(1.5)
    sequence = MadeSequence(
        portrait(), [Movement(0.2, 0.4, 0.6, true)], Unrest(sway=1.0, turn=0.5, noise=1.0), seconds=0.7, rate=50
    )
    crops = []
    for time in (0.2, 0.4):
        frame = next(sequence.between(time, None))
        (face,) = FaceFinder(max_faces=1).find(frame.image)
        crops.append(gray_crop(frame.image, alignment(face.landmarks, SIZE)))
    flow, _ = without_head_motion(dense_flow(crops[0], crops[1]))

    figure, axes = pyplot.subplots(1, 5, figsize=(15, 3.4), layout="constrained")
    for axis, crop, title in zip(axes[:2], crops, ("onset", "apex"), strict=True):
        axis.imshow(crop, cmap="gray", vmin=0, vmax=255)
        axis.set_title(title)
    axes[2].imshow(crops[0], cmap="gray", vmin=0, vmax=255, alpha=0.35)
    y, x = np.mgrid[4:SIZE:6, 4:SIZE:6]
    u, v = flow[y, x].transpose(2, 0, 1)
    axes[2].quiver(x, y, u, v, np.hypot(u, v), angles="xy", scale_units="xy", scale=0.18, cmap="viridis", width=0.006)
    axes[2].set_title("flow, enlarged 5 times")
    drawn = axes[3].imshow(strain(flow), cmap="magma")
    axes[3].set_title("optical strain")
    figure.colorbar(drawn, ax=axes[3], shrink=0.75)
    image = flow_image(flow)
    seen = np.clip((image.transpose(1, 2, 0) + 3) / 6, 0, 1)
    axes[4].imshow(cv2.resize(seen, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST))
    axes[4].set_title("what the recognizer sees:\nu, v, strain as red, green, blue")
    for axis in axes:
        axis.set_axis_off()
    partial = out.with_suffix(".partial.png")
    figure.savefig(partial, dpi=80)
    partial.replace(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
