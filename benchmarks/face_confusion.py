"""The confusion matrices of docs/models/face.md, from the report that the recipe writes into its run folder.

python benchmarks/face_confusion.py RUN/report.json --out docs/images/face_confusion.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np

from mmemo.labels import EKMAN7

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PANELS = {"fer2013": "first head, FER2013 label", "ferplus": "second head, FER+ majority"}


def main(report: Path, out: Path) -> None:
    """Draw the matrix of each head against what it was trained on: shares of the true class, counts in the cells."""
    test = json.loads(report.read_text())["test"]
    figure, panels = plt.subplots(1, 2, figsize=(12, 5.6), layout="constrained")
    for panel, (name, title) in zip(panels, PANELS.items(), strict=True):
        counts = np.array(test[name]["confusion"])
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        panel.imshow(shares, cmap="Greens", vmin=0, vmax=1)
        for row, column in np.ndindex(counts.shape):
            color = "white" if shares[row, column] > 0.55 else "#333333"
            text = f"{shares[row, column]:.2f}\n{counts[row, column]}"
            panel.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
        panel.set_xticks(range(len(EKMAN7)), EKMAN7, rotation=35, ha="right")
        panel.set_yticks(range(len(EKMAN7)), EKMAN7)
        panel.set_xlabel("predicted")
        panel.set_ylabel("true")
        panel.set_title(f"{title}: accuracy {test[name]['accuracy'][0]:.3f}", fontsize=11)
        panel.tick_params(length=0)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=Path("face_confusion.png"))
    main(**vars(parser.parse_args()))
