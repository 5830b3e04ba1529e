"""Latency and memory of `mmemo.stream`, as docs/results.md reports them.

    python benchmarks/live.py --seconds 60 --minutes 5

Pushes a looped clip of a face and a voice, 640x480, as a camera and a microphone give it, and takes the updates in
another thread: first at its own speed, for the time from a picture's arrival to the update with it, and from that of a
block of sound; then at four times its speed, for the growth of memory. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from pathlib import Path
from threading import Thread

from mmemo import Analyzer, stream
from mmemo.media.live import Block, Piece, pieces_of
from mmemo.pipeline.live_session import LiveSession
from mmemo.pipeline.live_update import Kind
from mmemo.samples import make_clip

WARM = 10.0
"""Seconds before measuring: models and buffers are loaded then."""


def main(seconds: float, minutes: float, *, keep: bool, words: bool) -> None:
    """Print each result on a line."""
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", seconds=6.0, size=(640, 480), rate=15)
        pieces = list(pieces_of(clip, sees=True, hears=True, max_rate=None, max_side=1280))
    analyzer = Analyzer(transcriber="auto" if words else None)
    _latency(analyzer, pieces, seconds, keep=keep)
    _memory(analyzer, pieces, minutes, keep=keep)


def _latency(analyzer: Analyzer, pieces: list[Piece], seconds: float, *, keep: bool) -> None:
    took: dict[Kind, list[float]] = {"face": [], "voice": [], "words": []}
    begun = time.perf_counter()
    with stream(analyzer=analyzer, keep=keep) as session:
        consumer = Thread(target=_take, args=(session, took))
        consumer.start()
        cpu = time.process_time()
        _push(session, pieces, WARM + seconds, speed=1.0)
        cpu, spent = time.process_time() - cpu, time.perf_counter() - begun
        session.close()
        consumer.join()
    for kind, all_of_kind in took.items():
        if len(all_of_kind) > 20:
            p95 = statistics.quantiles(all_of_kind, n=20)[-1]
            print(
                f"{kind}: least {min(all_of_kind):.0f} ms, p50 {statistics.median(all_of_kind):.0f}, p95 {p95:.0f}; "
                f"{len(all_of_kind) / (spent - WARM):.1f} updates a second"
            )
    print(f"dropped: {session.dropped}; processor: {cpu / spent:.0%} of one core")


def _take(session: LiveSession, took: dict[Kind, list[float]]) -> None:
    begun: float | None = None
    for update in session:
        begun = update.time if begun is None else begun
        if update.time - begun >= WARM:
            took[update.kind].append(1000 * update.latency)


def _memory(analyzer: Analyzer, pieces: list[Piece], minutes: float, *, keep: bool) -> None:
    levels: list[float] = []
    with stream(analyzer=analyzer, keep=keep) as session:
        consumer = Thread(target=lambda: [None for _ in session])
        consumer.start()
        start = 0.0
        for _ in range(max(2, round(2 * minutes))):
            start = _push(session, pieces, 120.0, speed=4.0, start=start)
            levels.append(_megabytes())
        session.close()
        consumer.join()
    print(
        f"{start:.0f} s at 4 times the speed: {levels[0]:.0f} MB after 2 minutes, {levels[-1]:.0f} MB at the end; "
        f"dropped: {session.dropped}"
    )
    print("every 2 minutes:", " ".join(f"{level:.0f}" for level in levels))


def _push(session: LiveSession, pieces: list[Piece], seconds: float, speed: float, start: float = 0.0) -> float:
    """Push a clip over and over, for some seconds of it; gives where it ends."""
    begun, length, offset = time.perf_counter(), pieces[-1].time + 1 / 15, 0.0
    while offset < seconds:
        for piece in pieces:
            end = piece.end if isinstance(piece, Block) else piece.time
            time.sleep(max(0.0, begun + (offset + end) / speed - time.perf_counter()))
            at = start + offset + piece.time
            if isinstance(piece, Block):
                session.push_sound(piece.samples, at)
            else:
                session.push_frame(piece.image, at)
        offset += length
    return start + offset


def _megabytes() -> float:
    status = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(status[1]) / 1000 if status else 0.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the latency")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the memory, each four of the clip")
    parser.add_argument("--keep", action="store_true", help="keep the result")
    parser.add_argument("--words", action="store_true", help="recognize speech")
    given = parser.parse_args()
    main(given.seconds, given.minutes, keep=given.keep, words=given.words)
