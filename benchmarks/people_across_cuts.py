"""People across cuts: films spliced from clips of several people, cut every second, and how many people mmemo counts.

    python benchmarks/people_across_cuts.py DATA      # DATA: the unpacked corpora, with av/ and face/CK+48/

Each film shows pieces of a second from different takes in random order, at 15 frames a second. For each kind of film:
the people found, without matching across cuts, with it, and with their number given; and the share of frames with the
right id, where ids are assigned to people so that most frames are right. Nobody in them was used for
the fit or the threshold; the features were compared on the same people.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from mmemo import media
from mmemo.faces import FaceTracker
from mmemo.faces.identity import PersonGallery

RATE, SHOT = 15.0, 15  # frames a second, frames a shot
WIDTH, HEIGHT = 480, 360
Shot = tuple[tuple[str, ...], list[np.ndarray]]  # who is seen, from left to right, and the frames


@dataclass
class Outcome:
    """People found and share of frames with the right id, of one film."""

    found: int
    right: float


def main(data: Path, films: int, shots: int) -> None:
    """Print a Markdown table."""
    rng = np.random.default_rng(0)
    takes = _takes(data)
    stills = _stills(data)
    mead = [name for name in takes if name[0] in "MW"]
    kinds: dict[str, Iterable[list[Shot]]] = {
        "one person, cut every second": (_film(rng, takes, [name], shots) for name in takes for _ in range(2)),
        "two of three people, same studio": (
            _film(rng, takes, pair, shots) for pair in list(combinations(mead, 2)) * 2
        ),
        "three people, same studio": (_film(rng, takes, mead, shots) for _ in range(films // 2)),
        "two people": (_film(rng, takes, pair, shots) for pair in combinations(takes, 2)),
        "four people": (_film(rng, takes, rng.choice(list(takes), 4, False), shots) for _ in range(films // 2)),
        "two people, alone and side by side": (
            _side_by_side(rng, takes, pair, shots) for pair in combinations(mead, 2)
        ),
        "one person, stills of CK+48": (_film(rng, stills, rng.choice([*stills], 1), shots) for _ in range(films)),
        "two people, stills of CK+48": (
            _film(rng, stills, rng.choice([*stills], 2, False), shots) for _ in range(films)
        ),
    }
    ways = "no matching | matching | number known"
    print(f"| films | number | people | found: {ways} | right: {ways} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind, made in kinds.items():
        rows = []
        truth = []
        for film in made:
            truth.append(len({name for names, _ in film for name in names}))
            rows.append([*_run(film, None), _run(film, truth[-1])[1]])
        found = [f"{np.mean([row[way].found for row in rows]):.2f}" for way in range(3)]
        right = [f"{np.mean([row[way].right for row in rows]):.3f}" for way in range(3)]
        print(f"| {kind} | {len(rows)} | {np.mean(truth):.0f} | " + " | ".join(found + right) + " |", flush=True)


def _takes(data: Path) -> dict[str, list[Callable[[], list[np.ndarray]]]]:
    """By person, what gives the frames of each take."""
    takes: dict[str, list[Callable[[], list[np.ndarray]]]] = defaultdict(list)
    with (data / "av" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["corpus"] in ("crema_d", "ravdess", "mead"):
                takes[row["speaker"]].append(lambda path=data / "av" / row["path"]: _frames(path))
    return dict(takes)


def _stills(data: Path) -> dict[str, list[Callable[[], list[np.ndarray]]]]:
    """The same of CK+48: each sequence's last picture, of people with four or more, slowly enlarged."""
    last: dict[tuple[str, str], Path] = {}
    for path in sorted((data / "face" / "CK+48").glob("*/*.png")):
        person, sequence, _ = path.stem.split("_", 2)
        last[person, sequence] = path
    stills: dict[str, list[Callable[[], list[np.ndarray]]]] = defaultdict(list)
    for (person, _), path in last.items():
        stills[person].append(lambda path=path: _enlarged(cv2.imread(str(path))))
    return {person: pictures for person, pictures in stills.items() if len(pictures) >= 4}


@lru_cache(maxsize=16)
def _frames(path: Path) -> list[np.ndarray]:
    return [_framed(frame.image) for frame in media.frames(path, max_rate=RATE)]


def _enlarged(picture: np.ndarray) -> list[np.ndarray]:
    sides = np.linspace(180, 200, 2 * SHOT).astype(int)
    canvas = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    frames = []
    for side in sides:
        frame, top, left = canvas.copy(), (HEIGHT - side) // 2, (WIDTH - side) // 2
        frame[top : top + side, left : left + side] = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
        frames.append(frame)
    return frames


def _framed(image: np.ndarray) -> np.ndarray:
    """The picture at the film's height, its sides cut off, or gray beside it."""
    scaled = cv2.resize(image, (round(image.shape[1] * HEIGHT / image.shape[0]), HEIGHT), interpolation=cv2.INTER_AREA)
    cut = max((scaled.shape[1] - WIDTH) // 2, 0)
    scaled = scaled[:, cut : cut + WIDTH]
    room = WIDTH - scaled.shape[1]
    return cv2.copyMakeBorder(scaled, 0, 0, room // 2, room - room // 2, cv2.BORDER_CONSTANT, value=(128,) * 3)


def _film(rng: np.random.Generator, takes: dict, people: Sequence[str], shots: int) -> list[Shot]:
    """Shots of the people in random order, nobody twice in a row unless alone; each is seen at least once."""
    order = list(rng.permutation(list(people)))
    while len(order) < shots:
        order.append(rng.choice([name for name in people if name != order[-1]] or list(people)))
    return [((str(name),), _piece(rng, takes[name])) for name in order]


def _side_by_side(rng: np.random.Generator, takes: dict, pair: Sequence[str], shots: int) -> list[Shot]:
    """Every third shot shows both, now one at the left, now the other."""
    film = _film(rng, takes, pair, shots)
    for number in range(1, shots, 3):
        names = tuple(str(name) for name in rng.permutation(list(pair)))
        halves = [_piece(rng, takes[name]) for name in names]
        film[number] = (names, [np.hstack([side[:, 60:-60] for side in both]) for both in zip(*halves, strict=False)])
    return film


def _piece(rng: np.random.Generator, takes: Sequence[Callable[[], list[np.ndarray]]]) -> list[np.ndarray]:
    frames = takes[rng.integers(len(takes))]()
    start = int(rng.integers(max(len(frames) - SHOT, 0) + 1))
    return frames[start : start + SHOT]


def _run(film: list[Shot], people: int | None) -> tuple[Outcome, Outcome]:
    """The outcome by tracks alone, and by people."""
    tracker = FaceTracker() if people is None else FaceTracker(max_faces=people)
    gallery = PersonGallery(people)
    seen: list[tuple[str, int]] = []
    for number, (names, image) in enumerate(_images(film)):
        faces = tracker.update(image, number / RATE)
        gallery.add(faces, number / RATE)
        for face in faces:
            middle = (face.box[0] + face.box[2]) / 2
            seen.append((names[int(np.clip(middle / image.shape[1], 0, 0.999) * len(names))], face.person))
    person_of = gallery.finish()
    return _outcome(seen), _outcome([(name, person_of[track]) for name, track in seen])


def _outcome(pairs: list[tuple[str, int]]) -> Outcome:
    names, ids = sorted({name for name, _ in pairs}), sorted({person for _, person in pairs})
    counts = np.array([[pairs.count((name, person)) for person in ids] for name in names])
    right = counts[linear_sum_assignment(-counts)].sum()
    return Outcome(len(ids), right / len(pairs))


def _images(film: list[Shot]) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    for names, frames in film:
        for image in frames:
            yield names, image


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--films", type=int, default=12, help="of the kinds that are drawn at random")
    parser.add_argument("--shots", type=int, default=12, help="of each film")
    main(**vars(parser.parse_args()))
