"""Milliseconds of the face encoder for one crop, as docs/models/face.md reports them.

python benchmarks/face_speed.py --threads 2
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from mmemo.encoders.face.encoder import FaceEncoder
from mmemo.pretrained import WEIGHTS


def main(face: Path, threads: int, batch: int, runs: int) -> None:
    """Print the median of some runs of ``batch`` windows of one crop, with and without the mirror image."""
    torch.set_num_threads(threads)
    loaded = FaceEncoder.load(face)
    for mirror in (True, False):
        encoder = FaceEncoder(loaded.network, loaded.labels, mirror=mirror)
        windows = list(np.random.default_rng(0).random((batch, 1, 2, encoder.size, encoder.size), dtype=np.float32))
        encoder.encode(windows)
        took = []
        for _ in range(runs):
            start = time.perf_counter()
            encoder.encode(windows)
            took.append((time.perf_counter() - start) / batch * 1000)
        print(
            f"{'with' if mirror else 'without'} the mirror image: median {statistics.median(took):.2f} ms a crop, "
            f"best {min(took):.2f}, batch {batch}, {threads} threads"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--face", type=Path, default=WEIGHTS / "face")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--runs", type=int, default=30)
    main(**vars(parser.parse_args()))
