"""Denoising of faces before and after: detection, UAR and calibration at each level of each condition.

    python benchmarks/face_sweep.py DATA --out build/face_sweep.json

DATA: the unpacked corpora. A fixed sample of SFEW and of half of the people of CK+48, on neither of which a constant
of `mmemo.faces.enhance` was chosen; ``--development`` takes those on which they were: FER2013's PublicTest, the other
half of CK+48, and Yale. That only pictures in which nobody is found are denoised was decided after SFEW had shown
that others lose by it. Low light is simulated on linear light: shot noise of 2,000 electrons at white and read noise
of four, then eight bits again. Intervals are 95% over resampled people (SFEW: films, FER2013: pictures), those of the
change paired: the same pictures before and after. Detected is a face in the place it has in the picture as it is. A
picture without a scored face counts as wrong in the UAR; the expected calibration error (ECE) is over the scored
ones, in ten bins. Pictures in which a face is found are never denoised, so only the share named "denoised" can
change.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from face_pictures import NO_SCORE, Picture, balanced, ck48, fer2013, listed, scores

from mmemo import load_model
from mmemo.evaluation.bootstrap import Interval, Resamples, percentile_interval
from mmemo.evaluation.metrics import ConfusionMatrix, calibration_gaps, sample_confusions
from mmemo.faces import Face, FaceFinder
from mmemo.faces.detector import overlaps
from mmemo.faces.enhance import denoised
from mmemo.labels import EKMAN7
from mmemo.model import EmotionModel

BINS = 10
SAME_PLACE = 0.4  # intersection over union with the face of the picture as it is
ELECTRONS, READ_NOISE = 2000.0, 4.0
Change = Callable[[np.ndarray, Face, float, np.random.Generator], np.ndarray]


def darken(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The picture in this share of the light, as a camera with a small sensor takes it."""
    light = (image / 255.0) ** 2.2 * share * ELECTRONS
    return _quantized((np.clip(_like(image, light, rng) / ELECTRONS, 0, 1)) ** (1 / 2.2) * 255)


def _like(image: np.ndarray, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shot and read noise; a gray picture stays gray."""
    electrons = rng.poisson(light) + rng.normal(0, READ_NOISE, light.shape)
    return electrons if np.ptp(image, axis=2).any() else electrons[..., :1].repeat(3, axis=2)


def _noisy(image: np.ndarray, _: Face, deviation: float, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(0, deviation, image.shape)
    return _quantized(image + (noise if np.ptp(image, axis=2).any() else noise[..., :1]))


def _quantized(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.round(values), 0, 255).astype(np.uint8))


def _blurred(image: np.ndarray, _: Face, deviation: float, __: np.random.Generator) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), deviation))


def _compressed(image: np.ndarray, _: Face, level: float, __: np.random.Generator) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(level)])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def _resized(image: np.ndarray, face: Face, height: float, _: np.random.Generator) -> np.ndarray:
    scale = height / float(face.box[3] - face.box[1])
    size = [max(8, round(side * scale)) for side in image.shape[1::-1]]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))


CONDITIONS: dict[str, tuple[Change, tuple[float, ...]]] = {
    "as it is": (lambda image, _, __, ___: image, (1,)),
    "light, share": (lambda image, _, share, rng: darken(image, share, rng), (0.5, 0.25, 0.12, 0.06, 0.03, 0.015)),
    "noise, gray levels": (_noisy, (8, 16, 24, 32)),
    "blur, pixels": (_blurred, (1, 2, 3)),
    "JPEG quality": (_compressed, (50, 20, 8)),
    "face height, pixels": (_resized, (112, 80, 56, 40, 24)),
}


class Look(NamedTuple):
    """One picture: whether a face is detected, and in its place, and its scores (7,)."""

    detected: bool
    here: bool
    probabilities: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """One condition at one level of one corpus: before, after, and what changed, by measure.

    Attributes:
        denoised: share of the pictures, those in which nobody was found before.
    """

    corpus: str
    condition: str
    level: float
    denoised: float
    before: dict[str, Interval]
    after: dict[str, Interval]
    change: dict[str, Interval]


def corpora(data: Path, development: bool, each: int) -> dict[str, list[Picture]]:
    """The samples, by name: so many pictures of each label."""
    people = sorted({picture.group for picture in ck48(data)})
    half = set(people[::2] if development else people[1::2])
    ck = balanced((picture for picture in ck48(data) if picture.group in half), each)
    if development:
        yale = listed(data / "face" / "yale")
        return {"FER2013 PublicTest": balanced(fer2013(data, "val"), each), "CK+48": ck, "Yale": yale}
    return {"SFEW": balanced(listed(data / "face" / "sfew"), each), "CK+48": ck}


def look(model: EmotionModel, finder: FaceFinder, image: np.ndarray, box: np.ndarray) -> Look:
    """Whether a face is detected, whether it is the one at this place (4,), and its scores (7,), NaN without any."""
    faces = finder.find(image)
    probabilities = scores(model, [faces[0]], image.shape) if faces else None
    here = bool(faces) and overlaps(faces[0].box[None].astype(float), box)[0] > SAME_PLACE
    return Look(bool(faces), here, np.full(len(EKMAN7), np.nan) if probabilities is None else probabilities)


def sweep(model: EmotionModel, name: str, pictures: Sequence[Picture]) -> list[Outcome]:
    """All conditions of one corpus, on the pictures in which a face is detected as they are."""
    before, after = FaceFinder(enhance=False), FaceFinder()
    clear = [(picture, image, faces[0]) for picture in pictures if (faces := before.find(image := picture.read()))]
    label = np.array([picture.label for picture, _, _ in clear])
    resamples = Resamples(len(clear), np.array([picture.group for picture, _, _ in clear]))
    outcomes = []
    for condition, (change, levels) in CONDITIONS.items():
        for level in levels:
            pairs, retried = [], 0
            for place, (_, image, face) in enumerate(clear):
                seen = change(image, face, level, np.random.default_rng(place))
                scale = np.tile(np.array(seen.shape[1::-1]) / image.shape[1::-1], 2)
                first = look(model, before, seen, face.box * scale)
                again = not first.detected and denoised(seen)[0] is not seen
                retried += again
                pairs.append((first, look(model, after, seen, face.box * scale) if again else first))
            sides = [measures(label, [pair[side] for pair in pairs], resamples) for side in (0, 1)]
            outcomes.append(Outcome(name, condition, level, retried / len(clear), *compared(*sides)))
            print(line(outcomes[-1]), flush=True)
    return outcomes


Values = dict[str, tuple[float, np.ndarray]]


def measures(label: np.ndarray, looks: Sequence[Look], resamples: Resamples) -> Values:
    """Detection rate, UAR and ECE of the sample, and of its resamples (D,)."""
    detected = np.array([one.here for one in looks], float)
    probabilities = np.stack([one.probabilities for one in looks])
    scored = np.isfinite(probabilities[:, 0])
    predicted = np.where(scored, np.nan_to_num(probabilities).argmax(axis=1), NO_SCORE)
    single = sample_confusions(label, predicted, len(EKMAN7))
    gaps = calibration_gaps(label, np.nan_to_num(probabilities), BINS) * scored[:, None]

    def ece(sums: np.ndarray, count: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.asarray(np.abs(sums).sum(axis=-1) / count)

    return {
        "detected": (float(detected.mean()), resamples.sums(detected) / resamples.sums(np.ones(len(label)))),
        "UAR": (float(ConfusionMatrix(single.sum(axis=0)).uar), ConfusionMatrix(resamples.sums(single)).uar),
        "ECE": (float(ece(gaps.sum(axis=0), scored.sum())), ece(resamples.sums(gaps), resamples.sums(scored * 1.0))),
    }


def compared(before: Values, after: Values) -> tuple[dict[str, Interval], dict[str, Interval], dict[str, Interval]]:
    """Intervals of both and of their paired difference."""
    single = [{name: percentile_interval(*value) for name, value in side.items()} for side in (before, after)]
    change = {
        name: percentile_interval(after[name][0] - before[name][0], after[name][1] - before[name][1]) for name in before
    }
    return single[0], single[1], change


HEAD = (
    "| corpus | condition | level | denoised | detected | change | UAR | change | ECE | change |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def line(outcome: Outcome) -> str:
    """A row of the table: value before and after, and the change with its interval where anything was denoised."""
    cells = []
    for name, before in outcome.before.items():
        change = outcome.change[name]
        same = outcome.denoised == 0
        cells.append(f"{before.value:.3f}" if same else f"{before.value:.3f} → {outcome.after[name].value:.3f}")
        cells.append("-" if same else f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]")
    return (
        f"| {outcome.corpus} | {outcome.condition} | {outcome.level:g} | {outcome.denoised:.2f} | {' | '.join(cells)} |"
    )


def run(model: EmotionModel, data: Path, development: bool = False, each: int = 25) -> list[dict[str, Any]]:
    """The whole sweep, printed as a table of Markdown."""
    print(HEAD)
    rows = [
        outcome
        for name, pictures in corpora(data, development, each).items()
        for outcome in sweep(model, name, pictures)
    ]
    return [asdict(row) for row in rows]


def main(data: Path, out: Path, model: Path | None, development: bool, each: int) -> None:
    """Measure, print, write the JSON."""
    loaded = load_model(model or "default", modalities=("face",), device="cpu")
    rows = run(loaded, data, development, each)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/face_sweep.json"))
    parser.add_argument("--model", type=Path, help="a model's folder; the embedded one by default")
    parser.add_argument("--each", type=int, default=25, help="pictures of each label of each corpus")
    parser.add_argument("--development", action="store_true", help="the pictures that constants were chosen on")
    main(**vars(parser.parse_args()))
