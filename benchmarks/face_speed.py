"""Speed of faces, as docs/results.md and docs/models/face.md report it: per crop, per frame of video, per still, live.

    python benchmarks/face_speed.py --threads 2

Makes its media from the portrait of `mmemo.samples`. Processor time hardly changes with other work on the machine, the
rates do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from mmemo import Analyzer, media
from mmemo.encoders.face.encoder import FaceEncoder
from mmemo.evidence import Evidence
from mmemo.faces import FaceFinder, FaceTracker
from mmemo.pipeline.extract import TrackedFaces
from mmemo.pipeline.live_faces import LiveFaces
from mmemo.pipeline.prefetch import Prefetcher
from mmemo.pipeline.windows import Grid, Sighting, face_windows
from mmemo.pretrained import WEIGHTS
from mmemo.samples import make_clip, portrait

SECONDS, STILL, SMALL = 10.0, 256, 112


def main(face: Path, threads: int, batch: int, runs: int) -> None:
    """Print a line per result."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    encoder = FaceEncoder.load(face)
    mirror = encoder.mirror
    for encoder.mirror in (True, False):
        windows = list(np.random.default_rng(0).random((batch, 1, 2, encoder.size, encoder.size), dtype=np.float32))
        took, _ = timed(lambda: encoder.encode(windows), runs)  # noqa: B023 - it runs within the loop
        how = "with" if encoder.mirror else "without"
        print(f"a crop {how} the mirror image: {took / batch:.2f} ms, batch of {batch}")
    encoder.mirror = mirror
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", seconds=SECONDS, size=(640, 360))
        frames = list(media.frames(clip))
        stages: dict[str, Callable[[], object]] = {
            "decode": lambda: [None for _ in media.frames(clip)],
            "track and crop": lambda: list(sightings(frames)),
            "decode, track, crop and encode": lambda: encode(encoder, Prefetcher(windows_of(clip), 8)),
        }
        for name, work in stages.items():
            took, cpu = timed(work, max(runs // 10, 2))
            rate = 1000 * len(frames) / took
            print(f"{name}, 640x360: {cpu / len(frames):.2f} ms of processor time a frame, {rate:.0f} frames/s")
    still, finder = cv2.resize(portrait(), (STILL, STILL), interpolation=cv2.INTER_AREA), FaceFinder()
    took, cpu = timed(lambda: finder.find(still), runs)
    print(f"faces of a still {STILL}x{STILL}: {took:.1f} ms, {cpu:.1f} of processor time")
    took, cpu = timed(lambda: encode(encoder, still_windows(finder, still)), runs)
    print(f"the same, and its scores: {took:.1f} ms, {cpu:.1f} of processor time")
    analyzer = Analyzer()
    small = cv2.resize(portrait(), (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    took, cpu = timed(lambda: analyzer(small), runs)
    print(f"a picture {SMALL}x{SMALL} in memory, analyzed: {took:.1f} ms, {cpu:.1f} of processor time")
    live(analyzer)


def live(analyzer: Analyzer) -> None:
    """Print what a frame of a live session costs: until its update, and with the search after that."""
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", seconds=SECONDS, size=(640, 480), rate=15)
        frames = list(media.frames(clip))
    tracked = TrackedFaces(8, None)
    faces = LiveFaces(analyzer.model, tracked)
    updates, searches = [], []
    for frame in frames:
        start = time.process_time()
        faces.update(frame, later=True)
        shown = time.process_time()
        tracked.search()
        updates.append(1000 * (shown - start))
        searches.append(1000 * (time.process_time() - shown))
    p95 = statistics.quantiles(updates, n=20)[-1]
    print(
        f"a live frame 640x480, of processor time: p50 {statistics.median(updates):.1f} ms, p95 {p95:.1f}, until its "
        f"update; {statistics.mean(searches):.1f} on average after it, {max(searches):.1f} at most"
    )


def sightings(frames: Iterator[media.Frame] | list[media.Frame]) -> Iterator[Sighting]:
    """The faces of every frame."""
    tracker = FaceTracker()
    for frame in frames:
        height, width = frame.image.shape[:2]
        yield Sighting(frame.time, (width, height), tracker.update(frame.image, frame.time))


def windows_of(clip: Path) -> Iterator[list[Evidence]]:
    """The people of each window of a clip."""
    grid = Grid(SECONDS)
    for span, people in zip(grid, face_windows(sightings(media.frames(clip)), grid), strict=True):
        yield [Evidence(*span, face=person) for person in people]


def still_windows(finder: FaceFinder, still: np.ndarray) -> Iterator[list[Evidence]]:
    """The people of a still."""
    size = (still.shape[1], still.shape[0])
    grid = Grid(0.0)
    for people in face_windows([Sighting(0.0, size, finder.find(still))], grid):
        yield [Evidence(0.0, 0.0, face=person) for person in people]


def encode(encoder: FaceEncoder, windows: Iterator[list[Evidence]]) -> None:
    """Encode the windows as they come, as an analysis does while the frames after them are tracked."""
    for people in windows:
        encoder.encode([window for window in map(encoder.prepare, people) if window is not None])


def timed(work: Callable[[], object], runs: int) -> tuple[float, float]:
    """Median milliseconds on the clock, and the least of processor time, of some runs after a first one."""
    work()
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append((time.perf_counter() - wall) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
    return statistics.median(walls), min(cpus)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--face", type=Path, default=WEIGHTS / "face")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--runs", type=int, default=30)
    main(**vars(parser.parse_args()))
