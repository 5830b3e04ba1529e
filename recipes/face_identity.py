"""Fit the projection by which face tracks of one film are matched to people, from pictures with names.

    python recipes/face_identity.py LFW --out mmemo/weights/faces/identity.npz --measure YALE

LFW and YALE are folders with a ``manifest.csv`` whose columns include ``path`` and ``subject``. Only the names of LFW's
pictures are used, never their labels of expression.

Three steps, all linear: what pose and blendshapes explain of the gradients is regressed out, the rest is reduced to its
principal components, and these are whitened by the scatter within people. It takes 5 minutes on one core. On YALE (15
people, 3 expressions and more each), single pictures: see docs/models/faces.md.
"""

from __future__ import annotations

import csv
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from mmemo.errors import ArgumentError
from mmemo.faces import FaceFinder
from mmemo.faces.identity import IdentityProjection, circumstances, gradients
from mmemo.files import replacing_file

log = logging.getLogger("face_identity")


@dataclass(frozen=True, eq=False)
class Portraits:
    """The largest face in each of N pictures.

    Attributes:
        names: (N,) of the people.
        gradients: (N, 512) float32.
        circumstances: (N, 58) float32.
    """

    names: np.ndarray
    gradients: np.ndarray
    circumstances: np.ndarray


def main(
    folder: Annotated[Path, typer.Argument(help="Pictures to fit on, with manifest.csv.")],
    out: Annotated[Path, typer.Option(help="The file to write, .npz.")],
    measure: Annotated[list[Path] | None, typer.Option(help="Pictures of other people to measure on.")] = None,
    components: Annotated[int, typer.Option(help="Principal components.")] = 250,
    ridge: Annotated[float, typer.Option(help="Of the regression on pose and blendshapes.")] = 10.0,
    shrinkage: Annotated[float, typer.Option(help="Of the scatter within people, towards its mean.")] = 0.5,
    most: Annotated[int, typer.Option(help="A person with more pictures counts as with so many.")] = 10,
) -> None:
    """Fit, write and measure."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with replacing_file(out, [folder, *(measure or [])]) as partial:
        portraits = read(folder)
        fitted = fit(portraits, components, ridge, shrinkage, most)
        np.savez(partial, **fitted)
    projection = IdentityProjection(*(fitted[name].astype(np.float32) for name in ("components", "scales", "offsets")))
    log.info("%s: %d bytes", out, out.stat().st_size)
    for other in measure or []:
        log.info("%s: %s", other, verification(projection, read(other)))


def read(folder: Path) -> Portraits:
    """The pictures that a folder's manifest names, as far as a face is found."""
    finder = FaceFinder()
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names, seen, around = [], [], []
    for row in rows:
        picture = cv2.imread(str(folder / row["path"]))
        faces = [] if picture is None else finder.find(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        if faces:
            names.append(row["subject"])
            seen.append(gradients(faces[0].crop))
            around.append(circumstances(faces[0].pose, faces[0].blendshapes))
    if not names:
        raise ArgumentError(f"{folder}: none of the {len(rows)} pictures of the manifest shows a face.")
    log.info("%s: %d of %d pictures, %d people", folder, len(names), len(rows), len(set(names)))
    return Portraits(np.array(names), np.stack(seen), np.stack(around))


def fit(portraits: Portraits, components: int, ridge: float, shrinkage: float, most: int) -> dict[str, np.ndarray]:
    """The arrays of an `IdentityProjection`, as they are stored."""
    x, around = portraits.gradients.astype(np.float64), portraits.circumstances.astype(np.float64)
    explained = np.linalg.solve(around.T @ around + ridge * np.eye(around.shape[1]), around.T @ x)
    explained[0] += (x - around @ explained).mean(axis=0)  # the first circumstance is the constant
    rest = x - around @ explained
    principal = np.linalg.svd(rest, full_matrices=False)[2][:components].T
    whitening = _whitening(rest @ principal, portraits.names, shrinkage, most)
    rows = (principal @ whitening).T
    scales = np.abs(rows).max(axis=1) / 127
    return {
        "components": np.round(rows / scales[:, None]).astype(np.int8),
        "scales": scales.astype(np.float32),
        "offsets": (rows @ explained.T).astype(np.float16),
    }


def _whitening(points: np.ndarray, names: np.ndarray, shrinkage: float, most: int) -> np.ndarray:
    """(D, D) that makes the scatter of points (N, D) within people round."""
    _, person, counts = np.unique(names, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), points.shape[1]))
    np.add.at(means, person, points)
    apart = points - (means / counts[:, None])[person]
    weights = np.minimum(counts, most) / counts
    freedom = (weights * (counts - 1)).sum()
    scatter = (apart * weights[person, None]).T @ apart / freedom
    scatter += shrinkage * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    sizes, directions = np.linalg.eigh(scatter)
    return np.asarray(directions / np.sqrt(sizes))


def verification(projection: IdentityProjection, portraits: Portraits) -> str:
    """How well single pictures of the same person are told from those of two."""
    vectors = portraits.gradients @ (projection.components * projection.scales[:, None]).T
    vectors -= portraits.circumstances @ projection.offsets.T
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    first, second = np.triu_indices(len(vectors), 1)
    cosine, same = (vectors @ vectors.T)[first, second], portraits.names[first] == portraits.names[second]
    thresholds = np.sort(cosine[same])
    missed = np.arange(len(thresholds)) / len(thresholds)
    confused = np.array([(cosine[~same] >= threshold).mean() for threshold in thresholds])
    at = int(np.argmin(np.abs(missed - confused)))
    rate = (missed[at] + confused[at]) / 2
    return (
        f"equal error rate {rate:.3f} at cosine {thresholds[at]:.2f}; at .50 {np.mean(cosine[same] < 0.5):.3f} of "
        f"{same.sum()} same pairs missed, {np.mean(cosine[~same] > 0.5):.3f} of {(~same).sum()} others confused"
    )


if __name__ == "__main__":
    typer.run(main)
