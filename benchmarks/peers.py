"""Stills scored by mmemo and by peers that run offline, side by side: speed and accuracy in one table.

    python -m venv PEER && PEER/bin/python -m pip install fer "setuptools<80"
    python benchmarks/peers.py DATA --fer PEER/bin/python      # DATA: the unpacked corpora

Pictures of 256x256: SFEW (films, the longer side brought to 256, gray around it) and CK+48 (posed, brought to 192).
mmemo was not trained on them. Each system scores them one by one, file in, label out, in a process of its own on one
core, in turn; the first pictures warm it up and are not timed. `fer` is the package of that name (mini-Xception,
TensorFlow) with its default face detector. A picture in which no face is found counts as wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

SIDE, GRAY, WARM_UP = 256, 128, 10
CORPORA = {"SFEW": ("face/sfew/train", SIDE), "CK+48": ("face/CK+48", 192)}
LABELS = {
    **{name: name for name in ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")},
    **{"angry": "anger", "happy": "happiness", "sad": "sadness"},
}
"""Class folders, and `fer`'s names of emotions, in mmemo's labels."""

MMEMO = """
import mmemo
from mmemo.errors import MissingStreamError
analyzer = mmemo.Analyzer(modalities=("face",))
def label(path):
    try:
        return analyzer(path).label
    except MissingStreamError:
        return None
"""
FER = """
import cv2, tensorflow
tensorflow.config.threading.set_intra_op_parallelism_threads(1)
tensorflow.config.threading.set_inter_op_parallelism_threads(1)
from fer.fer import FER
detector = FER()
def label(path):
    faces = detector.detect_emotions(cv2.imread(path))
    if not faces:
        return None
    largest = max(faces, key=lambda face: face["box"][2] * face["box"][3])
    return max(largest["emotions"], key=largest["emotions"].get)
"""
ONE_CORE = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
"""
TIMED = """
import json, sys, time
paths = json.load(open(sys.argv[1]))
labels = [label(path) for path in paths[:int(sys.argv[2])]]
start, cpu = time.perf_counter(), time.process_time()
labels += [label(path) for path in paths[int(sys.argv[2]):]]
print("RESULT" + json.dumps([time.perf_counter() - start, time.process_time() - cpu, labels]))
"""


def main(data: Path, fer: Path | None, count: int, runs: int, seed: int) -> None:
    """Print a table of speed, and one of accuracy."""
    systems = {"mmemo": (Path(sys.executable), MMEMO)} | ({"fer": (fer, FER)} if fer else {})
    with tempfile.TemporaryDirectory() as folder:
        pictures = {name: made(data, name, Path(folder), count, seed) for name in CORPORA}
        paths = [str(path) for rows in pictures.values() for path, _ in rows]
        (Path(folder) / "paths.json").write_text(json.dumps(paths))
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
        labels: dict[str, list[str | None]] = {}
        for _ in range(runs):
            for name, (python, code) in systems.items():
                wall, cpu, labels[name] = scored(python, code, Path(folder) / "paths.json")
                times[name].append((wall, cpu))
    timed = len(paths) - WARM_UP
    print("| system | pictures a second | ms of processor time a picture |\n|---|---|---|")
    for name, each in times.items():
        wall, cpu = (float(np.median(values)) for values in zip(*each, strict=True))
        print(f"| {name} | {timed / wall:.1f} | {1000 * cpu / timed:.1f} |")
    truth = {name: [label for _, label in rows] for name, rows in pictures.items()}
    print("\n| system | " + " | ".join(f"{name}, {len(rows)}" for name, rows in truth.items()) + " |\n|---|---|---|")
    for name, predicted in labels.items():
        print(f"| {name} | " + " | ".join(cells(truth, predicted)) + " |")


def made(data: Path, corpus: str, out: Path, count: int, seed: int) -> list[tuple[Path, str]]:
    """Pictures of a corpus and their labels, as many of each class as there are at random."""
    folder, longest = CORPORA[corpus]
    files = [file for file in sorted((data / folder).glob("*/*")) if file.parent.name.lower() in LABELS]
    rows = []
    for number, file in enumerate(random.Random(seed).sample(files, min(count, len(files)))):
        image = cv2.imread(str(file))
        scale = longest / max(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        height, width = image.shape[:2]
        top, left = (SIDE - height) // 2, (SIDE - width) // 2
        border = (top, SIDE - height - top, left, SIDE - width - left)
        path = out / f"{corpus}_{number}.png"
        cv2.imwrite(str(path), cv2.copyMakeBorder(image, *border, cv2.BORDER_CONSTANT, value=(GRAY,) * 3))
        rows.append((path, LABELS[file.parent.name.lower()]))
    return rows


def scored(python: Path, code: str, paths: Path) -> tuple[float, float, list[str | None]]:
    """Wall and processor seconds of all pictures but the first, and the label of each."""
    threads = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    done = subprocess.run(
        [str(python), "-c", ONE_CORE + code + TIMED, str(paths), str(WARM_UP)],
        env={**os.environ, **threads, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    wall, cpu, labels = json.loads(line.removeprefix("RESULT"))
    return wall, cpu, [None if label is None else LABELS.get(label, label) for label in labels]


def cells(truth: Mapping[str, Sequence[str]], predicted: Sequence[str | None]) -> list[str]:
    """Accuracy of each corpus with its interval over pictures, and the share in which a face was found."""
    made, start = [], 0
    for labels in truth.values():
        own = predicted[start : start + len(labels)]
        start += len(labels)
        right = np.array([one == label for one, label in zip(own, labels, strict=True)], float)
        draws = np.random.default_rng(0).choice(right, (2000, len(right))).mean(axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        found = np.mean([one is not None for one in own])
        made.append(f"{right.mean():.3f} [{low:.3f}, {high:.3f}], faces found {found:.0%}")
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--fer", type=Path, help="a Python that has the package fer")
    parser.add_argument("--count", type=int, default=300, help="pictures of each corpus")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
