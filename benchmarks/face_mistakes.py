"""The surest mistakes of the face encoder, as a sheet of pictures.

It is for those who have the corpora, as their pictures may not be passed on.

    python benchmarks/face_mistakes.py DATA --out build/face_mistakes.png

DATA: the unpacked corpora. Of CK+48 and SFEW the pictures that are wrong with the highest score, the worst first, each
with its label and what was predicted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from face_pictures import Picture, ck48, listed, scores

from mmemo import load_model
from mmemo.faces import FaceFinder
from mmemo.labels import EKMAN7
from mmemo.model import EmotionModel

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def mistakes(model: EmotionModel, pictures: Sequence[Picture], most: int) -> list[tuple[float, int, Picture]]:
    """Score, predicted label and picture of the surest wrong predictions, the worst first."""
    finder, wrong = FaceFinder(), []
    for picture in pictures:
        image = picture.read()
        faces = finder.find(image)
        shares = scores(model, faces[:1], image.shape) if faces else None
        if shares is not None and int(shares.argmax()) != picture.label:
            wrong.append((float(shares.max()), int(shares.argmax()), picture))
    return sorted(wrong, key=lambda one: -one[0])[:most]


def main(data: Path, out: Path, most: int) -> None:
    """Draw the sheet: a row of pictures for each corpus, ten in a line."""
    model = load_model(modalities=("face",))
    corpora = {"CK+48": ck48(data), "SFEW": listed(data / "face" / "sfew")}
    found = [(name, one) for name, pictures in corpora.items() for one in mistakes(model, pictures, most)]
    figure, panels = plt.subplots(-(-len(found) // 10), 10, figsize=(16, 1.9 * -(-len(found) // 10)), squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    for panel, (name, (share, predicted, picture)) in zip(panels.flat, found, strict=False):
        panel.imshow(np.asarray(picture.read()))
        panel.set_title(f"{name}: {EKMAN7[picture.label]}\n→ {EKMAN7[predicted]} {share:.0%}", fontsize=8)
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)
    print(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/face_mistakes.png"))
    parser.add_argument("--most", type=int, default=20, help="pictures of each corpus")
    main(**vars(parser.parse_args()))
