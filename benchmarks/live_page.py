"""Updates a second of the web page in Chromium, as docs/results.md reports them.

    npm install onnxruntime-web@1.30.0
    python benchmarks/live_page.py node_modules/onnxruntime-web --seconds 30

Exports the embedded model with its page, serves it, and lets headless Chromium follow a face from a fake camera,
640x480 at 20 pictures a second, without the voice and with it. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
from playwright.sync_api import sync_playwright

from mmemo.samples import make_clip, portrait
from mmemo.training.export_onnx import export_model

WARM = 20.0
"""Seconds until the browser has compiled the networks' code for good."""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def main(package: Path, seconds: float) -> None:
    """Print what the page shows of its speed, without and with the voice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page = export_model("default", folder / "live", int8=True, web=package)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=page))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        voice = make_clip(folder / "voice.wav", seconds=6.0, picture=False)
        for listens in (False, True):
            print(
                "face and voice:" if listens else "face:",
                _speed(server.server_port, _camera(folder), voice, seconds, listens),
            )
        server.shutdown()


def _speed(port: int, camera: Path, microphone: Path, seconds: float, listens: bool) -> str:
    """What the page says after so many seconds."""
    fakes = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    fakes += [f"--use-file-for-fake-video-capture={camera}", f"--use-file-for-fake-audio-capture={microphone}"]
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *fakes])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        if listens:
            page.check("#listen")
        page.click("#camera")
        page.get_by_text("updates a second").wait_for(timeout=300_000)
        time.sleep(WARM + seconds)
        shown = page.inner_text("#rate")
        browser.close()
    return shown


def _camera(folder: Path) -> Path:
    """A face as uncompressed video (YUV4MPEG2)."""
    path = folder / "face.y4m"
    face = cv2.copyMakeBorder(cv2.resize(portrait(), (480, 480)), 0, 0, 80, 80, cv2.BORDER_REPLICATE)
    picture = cv2.cvtColor(face, cv2.COLOR_RGB2YUV_I420).tobytes()
    path.write_bytes(b"YUV4MPEG2 W640 H480 F20:1 Ip A1:1 C420jpeg\n" + 10 * (b"FRAME\n" + picture))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="folder of the npm package onnxruntime-web")
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    main(given.package, given.seconds)
