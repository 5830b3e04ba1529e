"""Speed of the voice, as docs/models/voice.md reports it: one window, and a file of a minute.

python benchmarks/voice_speed.py --threads 2

The minute is the sentence of `mmemo.samples` over and over, decoded, searched for speech and scored each second, with
the model loaded. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmemo import Analyzer
from mmemo.encoders.voice.encoder import VoiceEncoder
from mmemo.pretrained import WEIGHTS
from mmemo.samples import make_clip, speech


def main(threads: int, runs: int) -> None:
    """Print the median and the best of some runs."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    encoder = VoiceEncoder.load(WEIGHTS / "voice")
    window = np.resize(speech(), 32_000)
    encoder.encode([window])
    took = [timed(lambda: encoder.encode([window])) * 1000 for _ in range(5 * runs)]
    print(f"a window of 2 s: median {statistics.median(took):.1f} ms, best {min(took):.1f}, {threads} threads")
    with tempfile.TemporaryDirectory() as folder:
        minute = make_clip(Path(folder) / "minute.wav", seconds=60.0, picture=False)
        analyzer = Analyzer(modalities=("voice",))
        analyzer(minute)
        rates = [60 / timed(lambda: analyzer(minute)) for _ in range(runs)]
    print(f"a file of 60 s: median {statistics.median(rates):.0f} times real time, best {max(rates):.0f}")


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    main(given.threads, given.runs)
