"""Memory and speed of the app, as docs/results.md reports them.

    pip install 'mmemo[app]'
    python benchmarks/app.py --uploads 50

Starts the server, uploads a clip of two seconds repeatedly from the page in Chromium, and measures the
server's memory after each; then scores camera frames in this process. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from mmemo import load_model
from mmemo.app.live import LiveScorer
from mmemo.media import frames
from mmemo.samples import make_clip

WARM = 5
"""Uploads before the reference level: models, codecs and fonts are loaded with the first."""


def main(uploads: int) -> None:
    """Print each result on a line."""
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", seconds=2.0, size=(640, 480), rate=15)
        _live(clip)
        _memory(clip, uploads)


def _live(clip: Path) -> None:
    scorer, took, cpu = LiveScorer(load_model(modalities=("face",))), [], []
    for turn in range(5):
        for frame in frames(clip):
            start, busy = time.perf_counter(), time.process_time()
            scorer.update(frame.image, 2.0 * turn + frame.time)
            took.append(1000 * (time.perf_counter() - start))
            cpu.append(1000 * (time.process_time() - busy))
    took, cpu = took[10:], cpu[10:]
    print(
        f"live, 640x480: median {statistics.median(took):.1f} ms a picture, 95% within "
        f"{statistics.quantiles(took, n=20)[-1]:.1f} ms; processor time {statistics.median(cpu):.1f} ms"
    )


def _memory(clip: Path, uploads: int) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    server = subprocess.Popen([sys.executable, "-m", "mmemo", "app", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = re.search(r"http://\S+", server.stdout.readline())
        assert address is not None
        levels = []
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            for _ in range(WARM + uploads):
                page = chromium.new_page()
                page.goto(address[0])
                page.set_input_files("#file input[type=file]", clip)
                page.wait_for_selector(f"#file :text('{clip.stem}')")
                page.click("#start")
                page.wait_for_selector("#result .finding", timeout=120_000)
                page.close()
                levels.append(_megabytes(server.pid))
        print(
            f"memory of the server: {levels[0]:.0f} MB after 1 upload, {levels[WARM - 1]:.0f} MB after {WARM}, "
            f"{levels[-1]:.0f} MB after {len(levels)}; largest {max(levels):.0f} MB"
        )
        print("every 5th:", " ".join(f"{level:.0f}" for level in levels[::5]))
    finally:
        server.terminate()
        server.wait()


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=50)
    main(parser.parse_args().uploads)
