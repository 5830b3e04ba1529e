"""Gaps of the face encoder between groups of people and of pictures, with intervals.

    python benchmarks/face_fairness.py DATA --out build/face_fairness.json

DATA: the unpacked corpora. Measured from picture files, with the embedded model or ``--model``: FER2013's PrivateTest
without its leaks, CK+48 (six classes) and SFEW. Groups are what can be known or measured of a picture:

- person: CK+48 names its people. The spread of accuracy over them.
- skin tone, in thirds: the individual typology angle (ITA, Chardon et al. 1991) of cheeks and forehead where pictures
  are in color (SFEW); the luma of the same skin, a proxy, where they are gray. Both depend on the light as much as on
  the skin: of SFEW's faces, dimly lit as films are, 96% are "dark" by the limits of the ITA, so these can't be used.
  Read it as the tone of the picture, not of the person.
- size: distance of the eyes in pixels of the picture, in thirds.
- pose: the size of the yaw.
- gender: only three people of MEAD and one each of RAVDESS and CREMA-D are on video at hand: shown, not compared.

UAR and recalls of two groups are compared over the classes of which both have `LEAST` pictures. Their gap is that to
the group named first, resampled as a whole: people of CK+48, films of SFEW, pictures of FER2013. A gap is *clear* if
its 95% interval leaves out zero; of so many gaps, one in twenty would be by chance, and a gap is *certain* if its
interval leaves out zero at 95% over all of them together (Bonferroni). A face that is detected and not scored counts as
wrong.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from face_pictures import NO_SCORE, Picture, ck48, fer2013, listed, scores

from mmemo import load_model, media
from mmemo.evaluation.bootstrap import Interval, Resamples, percentile_interval
from mmemo.evaluation.metrics import ConfusionMatrix, sample_confusions
from mmemo.faces import Face, FaceFinder
from mmemo.faces.landmarks import eye_distance
from mmemo.labels import EKMAN7
from mmemo.model import EmotionModel

LEAST = 8  # pictures of a class in both groups, for the class to be compared; and of a group, to be shown
DRAWS = 4000
SKIN = (50, 280, 151, 10)  # landmarks: the middle of both cheeks, between the brows, the top of the forehead
YAWS = {"yaw below 10°": (0, 10), "yaw 10° to 25°": (10, 25), "yaw 25° and more": (25, 91)}


@dataclass(frozen=True)
class Measured:
    """A face that was detected: its truth, prediction and what groups it.

    Attributes:
        label, predicted: indices in EKMAN7; ``predicted`` is `NO_SCORE` where the face is not scored.
        confidence: the highest score; NaN where it is not scored.
        tone: ITA in degrees in a color picture, luma 0 to 255 in a gray one.
        size: pixels between the eyes.
        yaw: degrees to either side.
    """

    label: int
    predicted: int
    confidence: float
    group: str
    tone: float
    size: float
    yaw: float


@dataclass(frozen=True)
class Row:
    """One group of one corpus, and its gap to the group named first (None for that group itself).

    Attributes:
        excess: confidence less accuracy of the pictures that are scored.
        recalls: gap of the recall of each class.
    """

    corpus: str
    attribute: str
    name: str
    pictures: int
    scored: float
    uar: Interval
    excess: Interval
    gap: Interval | None = None
    certain: bool = False
    recalls: dict[str, Interval] | None = None

    @property
    def clear(self) -> bool:
        return self.gap is not None and (self.gap.low > 0 or self.gap.high < 0)


def skin_tone(image: np.ndarray, face: Face) -> float:
    """Median ITA in degrees of the skin of a face in a color picture, or its luma in a gray one.

    ITA = arctan((L* - 50) / b*), in CIELAB of the sRGB values.
    """
    radius = max(1, round(0.08 * eye_distance(face.landmarks)))
    patches = []
    for x, y in face.landmarks[list(SKIN), :2].round().astype(int):
        patch = image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        patches.append(patch.reshape(-1, 3))
    pixels = np.concatenate(patches)
    if (np.ptp(image.astype(np.int16), axis=2) <= 2).all():
        return float(np.median(pixels)) if len(pixels) else np.nan
    if not len(pixels):
        return np.nan
    light, _, yellow = cv2.cvtColor(np.float32(pixels[None]) / 255, cv2.COLOR_RGB2LAB)[0].T
    return float(np.median(np.degrees(np.arctan2(light - 50, np.maximum(yellow, 1e-3)))))


def measure(model: EmotionModel, finder: FaceFinder, pictures: Sequence[Picture]) -> list[Measured]:
    """The largest face of each picture; pictures without a face are left out."""
    measured = []
    for picture in pictures:
        image = picture.read()
        faces = finder.find(image)
        if not faces:
            continue
        face = faces[0]
        probabilities = scores(model, [face], image.shape)
        predicted = NO_SCORE if probabilities is None else int(probabilities.argmax())
        confidence = np.nan if probabilities is None else float(probabilities.max())
        tone, size = skin_tone(image, face), eye_distance(face.landmarks)
        yaw = abs(float(face.pose[0]))
        measured.append(Measured(picture.label, predicted, confidence, picture.group, tone, size, yaw))
    return measured


def thirds(values: np.ndarray, name: Callable[[float, float], str], backward: bool = False) -> dict[str, np.ndarray]:
    """Masks (N,) of three groups of equal size, the lowest values first, or last."""
    edges = np.nanquantile(values, [0, 1 / 3, 2 / 3, 1])
    parts = {}
    for place, (low, high) in enumerate(pairwise(edges)):
        parts[name(low, high)] = (values >= low) & ((values < high) if place < 2 else (values <= high))
    return dict(reversed(parts.items())) if backward else parts


def groups_of(faces: Sequence[Measured], color: bool) -> dict[str, dict[str, np.ndarray]]:
    """By attribute, the mask (N,) of each group; the first group is what the others are compared with."""
    tone, size, yaw = (np.array([getattr(face, name) for face in faces]) for name in ("tone", "size", "yaw"))

    def bands(values: np.ndarray, limits: dict[str, tuple[int, int]]) -> dict[str, np.ndarray]:
        return {name: (values >= low) & (values < high) for name, (low, high) in limits.items()}

    unit = "ITA" if color else "luma"
    return {
        "skin tone" if color else "skin tone (luma proxy)": thirds(
            tone, lambda a, b: f"{unit} {a:.0f} to {b:.0f}", backward=True
        ),
        "size": thirds(size, lambda a, b: f"eyes {a:.1f} to {b:.1f} px", backward=True),
        "pose": bands(yaw, YAWS),
    }


def compare(corpus: str, faces: Sequence[Measured], color: bool, comparisons: int) -> list[Row]:
    """Each group against the first one of its attribute."""
    label = np.array([face.label for face in faces])
    predicted = np.array([face.predicted for face in faces])
    confidence = np.array([face.confidence for face in faces])
    scored = predicted != NO_SCORE
    single = sample_confusions(label, predicted, len(EKMAN7))
    excess = np.where(scored, np.nan_to_num(confidence) - (label == predicted), 0.0)
    resamples = Resamples(len(faces), np.array([face.group for face in faces]), DRAWS)

    def recalls(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the sample (K,) and of its resamples (D, K)."""
        own = single * mask[:, None, None]
        return ConfusionMatrix(own.sum(axis=0)).recalls, ConfusionMatrix(resamples.sums(own)).recalls

    rows = []
    for attribute, parts in groups_of(faces, color).items():
        first: np.ndarray | None = None
        for name, mask in parts.items():
            if mask.sum() < LEAST:
                continue
            counts = np.bincount(label[mask], minlength=len(EKMAN7))
            own, drawn = recalls(mask)
            enough = counts >= LEAST
            with np.errstate(invalid="ignore"):
                confident = np.stack([excess * mask, scored * mask], axis=1)
                total, part = confident.sum(axis=0), resamples.sums(confident)
                trust = percentile_interval(total[0] / total[1], part[:, 0] / part[:, 1])
            values: dict[str, Any] = {}
            if first is not None:
                common = enough & (np.bincount(label[first], minlength=len(EKMAN7)) >= LEAST)
                reference, reference_drawn = recalls(first)
                gap = (drawn - reference_drawn)[:, common]
                value = float((own - reference)[common].mean()) if common.any() else np.nan
                mean = gap.mean(axis=1) if common.any() else np.full(DRAWS, np.nan)
                strict = percentile_interval(value, mean, 1 - 0.05 / comparisons)
                values = {
                    "gap": percentile_interval(value, mean),
                    "certain": bool(strict.low > 0 or strict.high < 0),
                    "recalls": {
                        EKMAN7.labels[place]: percentile_interval(
                            float(own[place] - reference[place]), drawn[:, place] - reference_drawn[:, place]
                        )
                        for place in np.flatnonzero(common)
                    },
                }
            else:
                first = mask
            uar = percentile_interval(
                float(own[enough].mean()) if enough.any() else np.nan,
                drawn[:, enough].mean(axis=1) if enough.any() else np.full(DRAWS, np.nan),
            )
            share = float(scored[mask].mean())
            rows.append(Row(corpus, attribute, name, int(mask.sum()), share, uar, trust, **values))
    return rows


def people(faces: Sequence[Measured]) -> dict[str, Any]:
    """Spread of accuracy over the people of CK+48; intervals over people."""
    names = sorted({face.group for face in faces})
    accuracy = np.array(
        [np.mean([face.label == face.predicted for face in faces if face.group == name]) for name in names]
    )
    rng = np.random.default_rng(0)
    drawn = accuracy[rng.integers(0, len(accuracy), (DRAWS, len(accuracy)))]
    low = percentile_interval(float(np.quantile(accuracy, 0.1)), np.quantile(drawn, 0.1, axis=1))
    below = percentile_interval(float((accuracy < 0.5).mean()), (drawn < 0.5).mean(axis=1))
    middle = percentile_interval(float(accuracy.mean()), drawn.mean(axis=1))
    return {
        "people": len(names),
        "mean": asdict(middle),
        "tenth percentile": asdict(low),
        "below half": asdict(below),
    }


def by_gender(model: EmotionModel, finder: FaceFinder, data: Path) -> list[dict[str, Any]]:
    """Right predictions of the clips, by person: MEAD (M and W in the name) and RAVDESS and CREMA-D, one man each."""
    men = {"rav01": "man", "1001": "man"}
    rights: dict[tuple[str, str, str], list[bool]] = {}
    with (data / "av" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        clips = [row for row in csv.DictReader(file) if row["label"] in EKMAN7.labels]
    for clip in clips:
        gender = men.get(clip["speaker"]) or {"M": "man", "W": "woman"}.get(clip["speaker"][:1])
        if gender is None:
            continue
        images = [frame.image for frame in media.frames(data / "av" / clip["path"], max_side=media.MAX_SIDE)]
        chosen = [images[int(place)] for place in np.linspace(0, len(images) - 1, 10)[1:-1]]
        faces = [found[0] for image in chosen if (found := finder.find(image))]
        probabilities = scores(model, faces, images[0].shape) if faces else None
        right = probabilities is not None and EKMAN7.labels[int(probabilities.argmax())] == clip["label"]
        rights.setdefault((clip["corpus"], clip["speaker"], gender), []).append(right)
    return [
        {"corpus": corpus, "person": person, "gender": gender, "clips": len(right), "right": int(sum(right))}
        for (corpus, person, gender), right in rights.items()
    ]


def markdown(rows: Sequence[Row], spread: dict[str, Any], clips: Sequence[dict[str, Any]]) -> str:
    """The tables of the report."""

    def text(value: Interval | None) -> str:
        return "-" if value is None else f"{value.value:+.3f} [{value.low:+.3f}, {value.high:+.3f}]"

    lines = ["| corpus | group | pictures | scored | UAR | confidence - accuracy | gap of the UAR | classes apart |"]
    lines.append("|" + "---|" * 8)
    for row in rows:
        apart = [name for name, one in (row.recalls or {}).items() if one.low > 0 or one.high < 0]
        mark = " **certain**" if row.certain else " **clear**" if row.clear else ""
        lines.append(
            f"| {row.corpus} | {row.attribute}: {row.name} | {row.pictures} | {row.scored:.2f} | {row.uar} "
            f"| {text(row.excess)} | {text(row.gap)}{mark} | {', '.join(apart) or '-'} |"
        )
    lines += ["", f"People of CK+48 ({spread['people']}), accuracy:"]
    for name in ("mean", "tenth percentile", "below half"):
        lines.append(f"- {name}: {Interval(**spread[name])}")
    lines += ["", "Gender: too few people at hand to compare; clips by person, right of all:"]
    lines += [f"- {one['corpus']} {one['person']} ({one['gender']}): {one['right']} of {one['clips']}" for one in clips]
    return "\n".join(lines)


def main(data: Path, out: Path, model: Path | None, most: int | None) -> None:
    """Measure, print the tables, write the JSON."""
    loaded, finder = load_model(model or "default", modalities=("face",), device="cpu"), FaceFinder()
    corpora = {
        "FER2013": fer2013(data, "test")[:: 1 if most is None else max(1, 3301 // most)],
        "CK+48": ck48(data),
        "SFEW": listed(data / "face" / "sfew"),
    }
    measured = {}
    for name, pictures in corpora.items():
        measured[name] = measure(loaded, finder, pictures)
        print(f"{name}: {len(measured[name])} faces of {len(pictures)} pictures", flush=True)
    comparisons = 6 * len(corpora)  # two groups of each of three attributes against the first
    rows = [row for name, faces in measured.items() for row in compare(name, faces, name == "SFEW", comparisons)]
    spread = people(measured["CK+48"])
    clips = by_gender(loaded, finder, data)
    print(markdown(rows, spread, clips))
    out.parent.mkdir(parents=True, exist_ok=True)
    report = {"groups": [{**asdict(row), "clear": row.clear} for row in rows], "people": spread, "gender": clips}
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/face_fairness.json"))
    parser.add_argument("--model", type=Path, help="a model's folder; the embedded one by default")
    parser.add_argument("--most", type=int, help="pictures of FER2013; all by default")
    main(**vars(parser.parse_args()))
