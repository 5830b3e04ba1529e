"""The app as its command starts it, watched by strace where that is there, and a real browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from mmemo import media
from mmemo.samples import make_clip, portrait
from tests.processes import children, files_in, in_foreground

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MOST_MEGABYTES = 3


@dataclass
class Running:
    """A server that runs: its address and token, the folder of its temporary files, the log of its system calls."""

    address: str
    token: str
    folder: Path
    calls: Path | None
    process: subprocess.Popen[str]
    stop: Callable[[], None] = field(repr=False)

    @property
    def link(self) -> str:
        """What the command prints."""
        return f"{self.address}/?token={self.token}"

    @property
    def bearer(self) -> dict[str, str]:
        """The header that lets a program in."""
        return {"Authorization": f"Bearer {self.token}"}

    def workers(self) -> list[int]:
        """Processes that the server started."""
        return children(self.process.pid)

    def files(self) -> set[Path]:
        """All files the server has lying about; those of visitors who left may go at any time."""
        return files_in(self.folder)


def start(folder: Path, *options: str, calls: Path | None = None) -> Running:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "mmemo", "app", "--port", "0", "--max-mb", str(MOST_MEGABYTES), *options]
    if calls is not None:
        watch = ["--seccomp-bpf", "-e", "trace=connect,sendto,bind", "-o", str(calls)]
        command = [shutil.which("strace") or "strace", "-f", "-qq", *watch, *command]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
        preexec_fn=in_foreground,
    )
    assert process.stdout is not None
    guard = threading.Timer(120, process.kill)  # a server that never says where it is must not hang the tests
    guard.start()
    line = process.stdout.readline()
    guard.cancel()
    found = re.search(r"(http://127\.0\.0\.1:\d+)(?:/\?token=(\S+))?", line)
    if found is None:
        process.kill()
        pytest.fail(f"the app did not start: {line!r}")

    def stop() -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # strace passes nothing on
        process.wait(30)

    return Running(found[1], found[2] or "", folder, calls, process, stop)


def may_trace(folder: Path) -> bool:
    strace = shutil.which("strace")
    if strace is None:
        return False
    tried = [strace, "-f", "--seccomp-bpf", "-o", str(folder / "tried"), "-e", "trace=connect", "true"]
    return subprocess.run(tried, capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("app")
    calls = folder / "calls" if may_trace(folder) else None
    running = start(folder / "tmp", "--corrections", str(folder / "corrections"), calls=calls)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's camera sees: a face, as uncompressed video (YUV4MPEG2)."""
    path = tmp_path_factory.mktemp("camera") / "face.y4m"
    face = cv2.copyMakeBorder(cv2.resize(portrait(), (480, 480)), 0, 0, 80, 80, cv2.BORDER_REPLICATE)
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F20:1 Ip A1:1 C420jpeg\n")
        for _ in range(10):
            file.write(b"FRAME\n" + cv2.cvtColor(face, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's microphone hears: somebody who speaks."""
    return make_clip(tmp_path_factory.mktemp("microphone") / "voice.wav", seconds=3.0, picture=False)


@pytest.fixture(scope="session")
def browser(camera: Path, microphone: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    fakes = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        seen, heard = f"--use-file-for-fake-video-capture={camera}", f"--use-file-for-fake-audio-capture={microphone}"
        expect.set_options(timeout=60_000)  # a machine may be slow
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *fakes, seen, heard])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser, server: Running) -> Iterator[Callable[[], Page]]:
    """Opens the page as a new visitor; at the end nothing may have been asked of another host."""
    asked: list[str] = []
    blocked: list[str] = []
    contexts = []

    def open_page() -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda line: blocked.append(line.text) if "Content Security Policy" in line.text else None)
        page.goto(server.link)
        page.wait_for_selector("#start")
        return page

    yield open_page
    for context in contexts:
        context.close()
    elsewhere = [url for url in asked if not url.startswith((server.address, "data:", "blob:"))]
    assert elsewhere == []
    assert blocked == []  # nothing that the page needs


@pytest.fixture(scope="session")
def smile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of a smiling face who says something."""
    return make_clip(tmp_path_factory.mktemp("clips") / "smile.mp4", seconds=1.0, rate=10)


@pytest.fixture(scope="session")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of a wall, with a voice."""
    return make_clip(tmp_path_factory.mktemp("clips") / "wall.mp4", seconds=1.0, rate=10, faces=0)


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that takes many seconds to analyze."""
    return make_clip(tmp_path_factory.mktemp("clips") / "long.mp4", seconds=60.0, size=(320, 240), rate=10)


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "face.png"
    cv2.imwrite(str(path), next(media.frames(Path(__file__).parents[2] / "examples" / "portrait.mp4")).image[..., ::-1])
    return path
