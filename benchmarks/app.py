"""Memory of the app, as docs/results.md reports it; for its live page see benchmarks/live.py.

    pip install 'mmemo[app]'
    python benchmarks/app.py --uploads 50

Starts the server, uploads a clip of two seconds repeatedly from the page in Chromium, and measures the memory
of the server and its process after each; then sends as many from programs, 20 at once, every tenth of which
hangs up midway, and looks for what is left of them. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

from mmemo.samples import make_clip

WARM = 5
"""Uploads before the reference level: models, codecs and fonts are loaded with the first."""


def main(uploads: int) -> None:
    """Print each result on a line."""
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", seconds=2.0, size=(640, 480), rate=15)
        with _served(Path(folder) / "tmp") as (server, link):
            _memory(server, link, clip, uploads)
        with _served(Path(folder) / "tmp") as (server, link):
            _crowd(server, link, Path(folder) / "tmp", clip, uploads)


@contextmanager
def _served(folder: Path) -> Iterator[tuple[int, str]]:
    """The server's process and its link; its temporary files are in ``folder``."""
    folder.mkdir(exist_ok=True)
    server = subprocess.Popen(
        [sys.executable, "-m", "mmemo", "app", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    try:
        assert server.stdout is not None
        address = re.search(r"http://\S+", server.stdout.readline())
        assert address is not None
        yield server.pid, address[0]
    finally:
        server.terminate()
        server.wait()


def _crowd(server: int, link: str, folder: Path, clip: Path, uploads: int) -> None:
    address, _, token = link.partition("/?token=")
    place = urlsplit(address)
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="clip.mp4"\r\n\r\n' + clip.read_bytes()
    body += b"\r\n--b--\r\n"
    head = f"POST /api/analyze HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n"
    head += "Connection: close\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"

    def send(number: int) -> str:
        with socket.create_connection((str(place.hostname), place.port or 0)) as line:
            hangs_up = number % 10 == 9
            sent = len(body) // 2 if number % 20 == 9 else len(body)  # some while they send, some while they wait
            line.sendall(head.encode() + body[:sent])
            if hangs_up:
                time.sleep(1)
                return "hung up"
            return line.makefile("rb").readline().decode().split()[1]

    for _ in range(WARM):
        send(0)
    before, levels = _megabytes(server), []
    with ThreadPoolExecutor(20) as crowd:
        sending = [crowd.submit(send, number) for number in range(uploads)]
        while not all(one.done() for one in sending):
            levels.append(_megabytes(server))
            time.sleep(0.2)
    time.sleep(2)
    left = [file.name for file in folder.rglob("*") if file.is_file() and file.name != "mmemo-app.lock"]
    statuses = Counter(one.result() for one in sending)
    print(
        f"{uploads} uploads of programs, 20 at once: {dict(statuses)}; memory {before:.0f} MB before, at most "
        f"{max(levels):.0f} MB, {_megabytes(server):.0f} MB after; files left: {left or 'none'}"
    )


def _memory(server: int, link: str, clip: Path, uploads: int) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    levels = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for _ in range(WARM + uploads):
            page = chromium.new_page()
            page.goto(link)
            page.set_input_files("#file input[type=file]", clip)
            page.wait_for_selector(f"#file :text('{clip.stem}')")
            page.click("#start")
            page.wait_for_selector("#result .finding", timeout=120_000)
            page.close()
            levels.append(_megabytes(server))
    print(
        f"memory of the server: {levels[0]:.0f} MB after 1 upload, {levels[WARM - 1]:.0f} MB after {WARM}, "
        f"{levels[-1]:.0f} MB after {len(levels)}; largest {max(levels):.0f} MB"
    )
    print("every 5th:", " ".join(f"{level:.0f}" for level in levels[::5]))


def _megabytes(pid: int) -> float:
    """Memory of a process and those it started."""
    children = " ".join(file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")).split()
    kilobytes = 0
    for one in (str(pid), *children):
        status = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{one}/status").read_text())
        kilobytes += int(status[1]) if status else 0
    return kilobytes / 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=50)
    main(parser.parse_args().uploads)
