"""Robustness of the face encoder to image degradations: the figure of docs/models/face.md.

    python benchmarks/face_conditions.py DATA --out docs/images/face_conditions.png

DATA: the unpacked corpora. The middle frame of each clip of CREMA-D, RAVDESS and MEAD is made smaller, blurred,
darkened (with sensor noise), covered by sunglasses and a mask; turned faces can't be synthesized, so the curve over
head rotation is of the PrivateTest pictures of FER2013, by the angle of the landmarks. For each: the share of faces
that are detected and scored, their quality, the confidence (the highest score), and the share of predictions that
equal those of the clear picture; over head rotation, the accuracy. The light is that on the sensor, 1.5% is 15% of the
gray level. At the end `face_sweep.py` prints what denoising changes.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import face_sweep
import matplotlib
import numpy as np
from face_pictures import scores

from mmemo import load_model, media
from mmemo.faces import Face, FaceFinder
from mmemo.faces.landmarks import eye_distance
from mmemo.labels import EKMAN7, FER7_TO_EKMAN7
from mmemo.model import EmotionModel

matplotlib.use("Agg")
from matplotlib import pyplot as plt

MEASURES = ("scored", "quality", "confidence", "same prediction")


def score(model: EmotionModel, finder: FaceFinder, image: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Quality and scores of the largest face, or None if there is none, or none good enough."""
    faces = finder.find(image)
    if not faces:
        return None
    probabilities = scores(model, [faces[0]], image.shape)
    return None if probabilities is None else (faces[0].quality, probabilities)


def pictures(data: Path) -> Iterator[np.ndarray]:
    """The middle frames."""
    with (data / "av" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        clips = [row for row in csv.DictReader(file) if row["corpus"] in ("crema_d", "ravdess", "mead")]
    for clip in clips:
        frames = [frame.image for frame in media.frames(data / "av" / clip["path"], max_side=media.MAX_SIDE)]
        yield frames[len(frames) // 2]


def shrink(image: np.ndarray, face: Face, height: float) -> np.ndarray:
    """Resize the picture so that the face is this many pixels high."""
    scale = height / (face.box[3] - face.box[1])
    size = [max(8, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def blur(image: np.ndarray, face: Face, share: float) -> np.ndarray:
    """Gaussian blur with this standard deviation, in interocular distances."""
    return cv2.GaussianBlur(image, (0, 0), max(share * eye_distance(face.landmarks), 1e-3))


def darken(image: np.ndarray, _: Face, share: float) -> np.ndarray:
    """Darken to this share of the light, with the noise of a sensor."""
    return face_sweep.darken(image, share, np.random.default_rng(0))


def add_sunglasses(image: np.ndarray, face: Face, share: float) -> np.ndarray:
    """A dark band over the eyes, this wide in widths of the face at most."""
    return cover(
        image, face, share, (70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 346, 347, 6, 118, 117), (25, 25, 30)
    )


def add_mask(image: np.ndarray, face: Face, share: float) -> np.ndarray:
    """A light blue mask over mouth and chin."""
    return cover(
        image, face, share, (197, 117, 93, 132, 58, 172, 150, 152, 379, 397, 288, 361, 323, 346), (150, 180, 200)
    )


def cover(
    image: np.ndarray, face: Face, share: float, points: tuple[int, ...], color: tuple[int, int, int]
) -> np.ndarray:
    """The hull of landmarks filled; a share below 1 shrinks it towards its middle."""
    hull = cv2.convexHull(face.landmarks[list(points), :2].astype(np.float32))[:, 0]
    hull = hull.mean(axis=0) + share * (hull - hull.mean(axis=0))
    drawn = image.copy()
    if share > 0:
        cv2.fillConvexPoly(drawn, hull.round().astype(np.int32), color, cv2.LINE_AA)
    return drawn


CONDITIONS: dict[str, tuple[str, Callable[[np.ndarray, Face, float], np.ndarray], tuple[float, ...]]] = {
    "size": ("height of the face, pixels", shrink, (160, 112, 80, 56, 40, 32, 24, 18)),
    "blur": ("blur, distances of the eyes", blur, (0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3)),
    "darkness": ("share of the light", darken, (1, 0.5, 0.25, 0.12, 0.06, 0.03, 0.015, 0.008)),
    "sunglasses": ("eyes covered, share", add_sunglasses, (0, 0.25, 0.5, 0.75, 1)),
    "mask": ("mouth and chin covered, share", add_mask, (0, 0.25, 0.5, 0.75, 1)),
}


def conditions(model: EmotionModel, finder: FaceFinder, images: list[np.ndarray]) -> dict[str, list[dict[str, float]]]:
    """The measures at each level of each condition."""
    clear = [(image, faces[0]) for image in images if (faces := finder.find(image))]
    clean = [score(model, finder, image) for image, _ in clear]
    report = {}
    for name, (_, change, levels) in CONDITIONS.items():
        rows = []
        for level in levels:
            degraded = [score(model, finder, change(image, face, level)) for image, face in clear]
            pairs = [(one, first) for one, first in zip(degraded, clean, strict=True) if one and first]
            rows.append(
                {
                    "level": level,
                    "scored": len(pairs) / len(clear),
                    "quality": float(np.mean([one[0] for one, _ in pairs])) if pairs else np.nan,
                    "confidence": float(np.mean([one[1].max() for one, _ in pairs])) if pairs else np.nan,
                    "same prediction": float(np.mean([a[1].argmax() == b[1].argmax() for a, b in pairs]))
                    if pairs
                    else np.nan,
                }
            )
            print(name, {key: round(value, 3) for key, value in rows[-1].items()}, flush=True)
        report[name] = rows
    return report


def rotations(
    model: EmotionModel, finder: FaceFinder, folder: Path, edges: tuple[float, ...]
) -> list[dict[str, float]]:
    """The same over the angle between nose and camera, of the pictures of FER2013's PrivateTest."""
    faces_of = []
    for path in sorted(folder.glob("*/PrivateTest_*.jpg")):
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        faces = finder.find(image)
        if not faces:
            continue
        yaw, pitch = np.radians(faces[0].pose[:2].astype(float))
        turn = float(np.degrees(np.arccos(np.cos(yaw) * np.cos(pitch))))
        truth = EKMAN7.index(str(FER7_TO_EKMAN7(path.parent.name)))
        faces_of.append((turn, faces[0].quality, scores(model, [faces[0]], image.shape), truth))
    rows = []
    for low, high in pairwise(edges):
        part = [row for row in faces_of if low <= row[0] < high]
        scored = [row for row in part if row[2] is not None]
        rows.append(
            {
                "level": (low + high) / 2,
                "faces": len(part),
                "scored": len(scored) / max(1, len(part)),
                "quality": float(np.mean([row[1] for row in scored])) if scored else np.nan,
                "confidence": float(np.mean([row[2].max() for row in scored])) if scored else np.nan,
                "right": float(np.mean([row[2].argmax() == row[3] for row in scored])) if scored else np.nan,
            }
        )
        print("turn", {key: round(value, 3) for key, value in rows[-1].items()}, flush=True)
    return rows


def draw(report: dict[str, list[dict[str, float]]], out: Path) -> None:
    """One panel per condition, severity rising to the right."""
    colors = {
        "scored": "#999999",
        "quality": "#0a7d77",
        "confidence": "#c2410c",
        "same prediction": "#1d4ed8",
        "right": "#1d4ed8",
    }
    figure, panels = plt.subplots(2, 3, figsize=(11, 6.2), sharey=True, layout="constrained")
    names = [*CONDITIONS, "turn"]
    labels = [*(label for label, _, _ in CONDITIONS.values()), "turn of the head, degrees (FER2013)"]
    for panel, name, label in zip(panels.ravel(), names, labels, strict=True):
        if name not in report:
            panel.set_visible(False)
            continue
        rows = report[name]
        places = range(len(rows))
        for measure in (key for key in rows[0] if key not in ("level", "faces")):
            style = "--" if measure == "scored" else "-"
            values = [row[measure] for row in rows]
            panel.plot(places, values, style, color=colors[measure], marker="o", ms=3, label=measure)
        panel.set_xticks(places, [f"{row['level']:g}" for row in rows])
        panel.set_xlabel(label)
        panel.set_ylim(0, 1.03)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0, 0].legend(frameon=False, loc="lower left")
    if "turn" in report:
        panels[1, 2].legend(frameon=False, loc="lower left")
    figure.savefig(out, dpi=110)


def main(data: Path, out: Path, model: Path | None, save: Path | None, turned: bool, swept: bool) -> None:
    """Measure, print, and draw."""
    loaded, finder = load_model(model or "default", modalities=("face",), device="cpu"), FaceFinder()
    report = conditions(loaded, finder, list(pictures(data)))
    edges = (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
    if turned:
        report["turn"] = rotations(loaded, finder, data / "face" / "fer2013" / "test", edges)
    sweep = face_sweep.run(loaded, data) if swept else []
    if save is not None:
        save.write_text(json.dumps({**report, "sweep": sweep}, indent=1) + "\n")
    draw(report, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("face_conditions.png"))
    parser.add_argument("--model", type=Path, help="a model's folder; the embedded one by default")
    parser.add_argument("--no-turned", dest="turned", action="store_false", help="leave the turned faces out")
    parser.add_argument("--no-sweep", dest="swept", action="store_false", help="leave before and after denoising out")
    parser.add_argument("--save", type=Path, help="write the measures as JSON")
    main(**vars(parser.parse_args()))
