"""Spotting of micro-expressions: F1 on synthetic sequences, and false alarms on ordinary motion.

    python benchmarks/micro_spotting.py DATA --run RUNS/spotting

DATA holds ``micro/megc2019`` and ``av``. No long video with labeled micro-expressions is at hand, so sequences are
synthesized: a still of a real clip, moved by the flow of a real micro-expression of MEGC2019 that grows and fades
within 0.16 to 0.5 s, while the head sways and turns, the camera shakes, the person blinks and sometimes smiles slowly,
and the sensor has noise. The limits of such sequences are in ``docs/results.md``. The flows are of the 34 subjects,
and the stills of the corpora, that no threshold was set on; ``--development`` takes the others.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import cv2
import numpy as np
import typer

from mmemo import media
from mmemo.evaluation.spotting import SpottingScore, spotting_score
from mmemo.evidence import Seconds
from mmemo.media import Frame
from mmemo.micro.intervals import RATE
from mmemo.micro.spot import embedded_recognizer, spot_frames, spot_micro
from mmemo.samples import portrait
from mmemo.testing import MadeSequence, Movement, Unrest, brow_raise, corpus_flow

sys.path.insert(0, str(Path(__file__).parent.parent / "recipes"))
from micro_megc2019 import read_flows

UNREST = Unrest(sway=2.0, turn=1.5, shake=0.3, blinks=0.25, noise=1.5)
SECONDS = 20.0
SIDE = 256
STILLS = {
    True: ("crema_d/1001_DFA_NEU_XX.flv", "ravdess/01-01-01-01-01-01-01.mp4"),
    False: (
        "mead/mead_M030_front_neutral_level1_001.mp4",
        "mead/mead_W009_front_neutral_level1_001.mp4",
        "mead/mead_W011_front_neutral_level1_001.mp4",
    ),
}
"""Faces of 150 to 200 px. Of one of 45 px, in ``misc/obama_speech.mp4``, 1 of 15 movements of 1 or 2 px was spotted."""
CLIPS = {True: ("crema_d/*", "ravdess/0*"), False: ("mead/*", "misc/*")}


def sequence(
    data: Path, development: bool, seed: int, rate: float, strength: float, seconds: Seconds
) -> tuple[MadeSequence, list[Movement]]:
    """One synthetic sequence and its micro-expressions; strength 0 has none."""
    rng = np.random.default_rng([seed, development])
    flows, labels = read_flows(data / "micro" / "megc2019", development)
    picture = _still(data / "av" / rng.choice(STILLS[development]))
    movements, slow, start = [], [], 1.5
    while start < seconds - 2.0:
        row = rng.integers(len(flows))
        if rng.random() < 0.75:
            length = float(rng.uniform(0.16, 0.5))
            apex = start + length * float(rng.uniform(0.35, 0.6))
            if strength:
                movements.append(Movement(start, apex, start + length, corpus_flow(flows[row], strength)))
            start += length + float(rng.uniform(2.0, 3.5))
        else:
            rise, hold, fall = rng.uniform((0.6, 0.8, 0.6), (1.0, 2.0, 1.2))
            smile = corpus_flow(flows[rng.choice(np.flatnonzero(labels == 1))], 3.0)
            slow.append(Movement(start, start + rise, start + rise + hold + fall, smile, hold))
            start += rise + hold + fall + float(rng.uniform(1.0, 2.0))
    made = MadeSequence(picture, [*movements, *slow], UNREST, seconds=seconds, rate=rate, seed=seed)
    return made, movements


def measure(
    data: Path, development: bool, run: Path, cell: tuple[int, float, float, Seconds]
) -> tuple[SpottingScore, float]:
    """Hits and errors on one synthetic sequence, and the processor seconds it took; kept in ``run``."""
    file = run / f"{'development' if development else 'test'}-{'-'.join(f'{value:g}' for value in cell)}.json"
    if not file.exists():
        cv2.setNumThreads(1)
        seed, rate, strength, seconds = cell
        made, movements = sequence(data, development, seed, rate, strength, seconds)
        start = time.process_time()
        _, detected, _ = spot_frames(partial(_read, made), 0.0, None)
        true = [(movement.onset, movement.offset) for movement in movements]
        score = spotting_score(true, [(one.onset, one.offset) for one in detected])
        took = time.process_time() - start
        file.write_text(json.dumps([score.hits, score.false, score.missed, took]))
    hits, false, missed, took = json.loads(file.read_text())
    return SpottingScore(hits, false, missed), took


def real_clips(data: Path, development: bool) -> tuple[int, float]:
    """Number of micro-expressions detected in real clips of acted and spoken emotion, and the minutes of video."""
    count, seconds = 0, 0.0
    for pattern in CLIPS[development]:
        for path in sorted((data / "av").glob(pattern)):
            result = spot_micro(path, recognizer=None)
            count += len(result.expressions)
            seconds += result.duration
    return count, seconds / 60


def speed() -> tuple[float, float]:
    """Frames per second of wall time, in sequence, of a file of 640 x 360 at 100 Hz; and at 25 Hz."""
    square = cv2.resize(portrait(), (360, 360), interpolation=cv2.INTER_AREA)
    picture = cv2.copyMakeBorder(square, 0, 0, 140, 140, cv2.BORDER_REPLICATE)
    rates = []
    embedded_recognizer()  # loading it once is no part of a clip's time
    with TemporaryDirectory() as folder:
        for rate in (100, 25):
            movement = Movement(2.0, 2.15, 2.35, brow_raise(2.0))
            made = MadeSequence(picture, [movement], UNREST, seconds=5.0, rate=rate)
            path = media.write_video(Path(folder) / f"{rate}.mp4", made, rate=rate)
            start = time.perf_counter()
            spot_micro(path)
            rates.append(5.0 * rate / (time.perf_counter() - start))
    return rates[0], rates[1]


def _read(made: MadeSequence, start: Seconds, end: Seconds | None) -> Iterator[Frame]:
    """As `mmemo.media.frames` with the rate of `mmemo.spot_micro`; skipped frames are not synthesized."""
    return made.between(start, end, max_rate=RATE * 1.2)


def _still(path: Path) -> np.ndarray:
    image = next(iter(media.frames(path, 0.2))).image
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.asarray(
        cv2.resize(image[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    )


def main(
    data: Annotated[Path, typer.Argument(help="Folder with micro/ and av/.")],
    development: Annotated[bool, typer.Option(help="The stills and subjects that thresholds were set on.")] = False,
    run: Annotated[Path, typer.Option(help="Folder of the measurements; a run begun there is resumed.")] = Path("run"),
    sequences: Annotated[int, typer.Option(help="Of 20 s, for each strength and rate.")] = 4,
    minutes: Annotated[float, typer.Option(help="Of ordinary motion without micro-expressions.")] = 10.0,
    rates: Annotated[str, typer.Option(help="Hz, by comma.")] = "25,50,100,200",
    strengths: Annotated[str, typer.Option(help="Pixels, by comma.")] = "0.5,1,2",
    workers: int = 2,
) -> None:
    """Print F1 over strength and frame rate, and false alarms per minute."""
    run.mkdir(parents=True, exist_ok=True)
    of_cell = partial(measure, data, development, run)
    results: dict[str, object] = {}
    with ProcessPoolExecutor(workers) as pool:
        print("| frames a second | strength px | F1 | precision | recall | hits, false, missed |")
        print("|---|---|---|---|---|---|")
        for rate in map(float, rates.split(",")):
            for strength in map(float, strengths.split(",")):
                scores = pool.map(of_cell, [(seed, rate, strength, SECONDS) for seed in range(sequences)])
                score = sum((one for one, _ in scores), SpottingScore(0, 0, 0))
                results[f"{rate:g} Hz, {strength:g} px"] = [score.hits, score.false, score.missed]
                print(
                    f"| {rate:g} | {strength:g} | {score.f1:.2f} | {score.precision:.2f} | {score.recall:.2f} "
                    f"| {score.hits}, {score.false}, {score.missed} |",
                    flush=True,
                )
        if minutes:
            pieces = [(1000 + number, 100.0, 0.0, 60.0) for number in range(round(minutes))]
            score = sum((one for one, _ in pool.map(of_cell, pieces)), SpottingScore(0, 0, 0))
            results["ordinary motion, 100 Hz"] = [score.false, len(pieces)]
            print(f"ordinary motion, 100 Hz: {score.false} false alarms in {len(pieces)} minutes", flush=True)
    fast, slow = speed()
    results["frames a second at 640 x 360"] = [fast, slow]
    print(f"640 x 360: {fast:.0f} frames a second of a 100 Hz file, {slow:.0f} of a 25 Hz file", flush=True)
    count, length = real_clips(data, development)
    results["real clips"] = [count, length]
    print(f"real clips of speech and acted emotion: {count} detected in {length:.1f} minutes")
    print(json.dumps(results))


if __name__ == "__main__":
    typer.run(main)
