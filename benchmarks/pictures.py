"""Speed and memory of annotated videos, plots and reports, as docs/results.md reports them.

    python benchmarks/pictures.py            # about three minutes on 2 cores

Makes its clips from the portrait and the sentence of `mmemo.samples`: 20 s of 640x360 at 25 frames a second, and one
and five minutes of the same for memory. Run it on an idle machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

from mmemo import Analyzer, EmotionResult
from mmemo.samples import make_clip

WAYS: tuple[Literal["blur", "mask"] | None, ...] = (None, "blur", "mask")


def main() -> None:
    """Print a line per result."""
    analyzer = Analyzer(modalities=("face", "voice"))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        result = analyzer(make_clip(scratch / "clip.mp4", seconds=20.0, size=(640, 360)))
        for how in WAYS:
            wall, cpu = timed(lambda how=how: result.save_video(scratch / "out.mp4", anonymize=how))  # type: ignore[misc]
            print(
                f"video, anonymize={how}: {20 / wall:.1f} x real time, {20 / cpu:.1f} x in processor time", flush=True
            )
        for name in ("out.png", "out.html"):
            wall, _ = timed(lambda name=name: result.save(scratch / name))  # type: ignore[misc]
            print(f"{name}: {wall:.2f} s", flush=True)
        for minutes in (1, 5):
            film = make_clip(scratch / f"{minutes}.mp4", seconds=60.0 * minutes, size=(640, 360))
            saved = Analyzer(modalities=("face",))(film).save(scratch / f"{minutes}.json")
            done = subprocess.run([sys.executable, __file__, str(saved)], capture_output=True, text=True, check=True)
            print(f"peak memory of the video with faces hidden, {minutes} min: {done.stdout.strip()}", flush=True)


def timed(work: object) -> tuple[float, float]:
    """Seconds on the clock, and of processor time, of the best of three runs."""
    walls, cpus = [], []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        work()  # type: ignore[operator]
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def memory(saved: Path) -> None:
    """Write the video of a saved result, and print this process's peak memory."""
    EmotionResult.load(saved).save_video(saved.with_name("memory.mp4"), anonymize="blur")
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM"))  # ru_maxrss would be that of the parent
    print(f"{int(peak.split()[1]) / 1024:.0f} MiB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        memory(Path(sys.argv[1]))
    else:
        main()
