"""Speed and memory of `mmemo analyze`, as docs/results.md reports them.

    python benchmarks/speed.py            # about ten minutes on 2 cores

Makes its clips from the portrait and the sentence of `mmemo.samples`: 10 s of 640x360 at 25 frames a second with
speech, and 30 minutes of the same at 320x240. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2

from mmemo import Analyzer, media
from mmemo.faces import FaceTracker
from mmemo.samples import make_clip, portrait


def main(runs: int, minutes: float) -> None:
    """Print each result on a line."""
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "ten.mp4", seconds=10.0, size=(640, 360))
        seconds = [_shell(clip)[0] for _ in range(runs + 1)][1:]
        print(
            f"10 s clip from the shell: median {statistics.median(seconds):.2f} s of {runs} runs, "
            f"{min(seconds):.2f} to {max(seconds):.2f} s"
        )
        print(f"face pipeline, decode to scores: {_faces(clip):.0f} frames/s")
        took = _picture()
        print(f"a picture of 112x112 in memory, warm: median {took * 1000:.1f} ms")
        for length in (min(2.0, minutes), minutes):
            film = make_clip(Path(folder) / "film.mp4", seconds=60 * length)
            took, peak = _shell(film)
            print(f"{length:.0f} min film: {took:.0f} s, peak memory {peak / 2**20:.2f} GiB")


def _shell(clip: Path) -> tuple[float, float]:
    """Wall seconds and peak memory in KiB of one run of the command line."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "mmemo", "analyze", str(clip), "--json"], stdout=subprocess.PIPE)
    peak = [0.0]
    watch = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watch.start()
    out, _ = process.communicate()
    took = time.perf_counter() - start
    if process.returncode or not json.loads(out)["modalities"]:
        raise SystemExit("the analysis failed")
    watch.join()
    return took, peak[0]


def _watch(pid: int, peak: list[float]) -> None:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():  # not Linux: the largest child so far is all that is known
        peak[0] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return
    while True:
        try:
            lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        except OSError:
            return
        if not lines:
            return
        peak[0] = max(peak[0], float(lines[0].split()[1]))
        time.sleep(0.2)


def _faces(clip: Path) -> float:
    """Frames per second of decoding, tracking, cropping and encoding after a warm-up."""
    from mmemo.evidence import Evidence
    from mmemo.pipeline.windows import Grid, Sighting, face_windows
    from mmemo.pretrained import load_model

    model = load_model(modalities=("face",))
    rates = []
    for _ in range(3):
        tracker, start, count = FaceTracker(), time.perf_counter(), 0
        sightings = []
        for frame in media.frames(clip):
            height, width = frame.image.shape[:2]
            sightings.append(Sighting(frame.time, (width, height), tracker.update(frame.image, frame.time)))
            count += 1
        grid = Grid(count / 25)
        people = [
            (span, person)
            for span, window in zip(grid, face_windows(sightings, grid), strict=True)
            for person in window
        ]
        model.encode("face", [Evidence(*span, face=person) for span, person in people])
        rates.append(count / (time.perf_counter() - start))
    return max(rates)


def _picture() -> float:
    """Median seconds of an analysis of a small picture in memory, the models being loaded."""
    picture = cv2.resize(portrait(), (112, 112), interpolation=cv2.INTER_AREA)
    analyzer = Analyzer()
    analyzer(picture)
    took = []
    for _ in range(100):
        start = time.perf_counter()
        analyzer(picture)
        took.append(time.perf_counter() - start)
    return statistics.median(took)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=30.0, help="length of the long film")
    main(**vars(parser.parse_args()))
