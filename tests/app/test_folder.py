"""The server's temporary folder: private, gone at the end, and swept when a server was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mmemo.app.folder import LOCK, PREFIX, private_folder, sweep
from tests.app.conftest import start
from tests.app.test_endpoint import post
from tests.processes import INTERRUPTED, files_in, interrupt

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks and signals"),
    pytest.mark.slow,
]


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def killed(parent: Path) -> Path:
    """The folder of a server that was killed."""
    code = "from mmemo.app.folder import *\nwith private_folder() as f: print(f, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(parent)},
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    sweep(parent)
    assert folder.is_dir()  # it is alive
    process.kill()
    process.communicate()
    (folder / "uploads").mkdir()
    (folder / "uploads" / "private.mp4").write_text("x")
    return folder


def test_only_its_user_may_read_it_and_it_goes(parent: Path) -> None:
    with private_folder() as folder:
        assert folder.parent == parent
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(parent.iterdir()) == []


def test_the_folder_of_a_killed_server_goes_with_the_next_start(parent: Path) -> None:
    folder = killed(parent)
    with private_folder() as living, private_folder() as other:
        assert sorted(parent.iterdir()) == sorted([living, other])
    assert not folder.exists()


def test_nothing_else_is_swept(parent: Path) -> None:
    unlocked = parent / f"{PREFIX}by-somebody"
    unlocked.mkdir(mode=0o700)
    (unlocked / "file").write_text("x")
    other = parent / "other"
    other.mkdir(mode=0o700)
    (other / LOCK).touch()
    (parent / f"{PREFIX}link").symlink_to(other)
    (parent / f"{PREFIX}file").touch()
    open_to_others = killed(parent)
    open_to_others.chmod(0o777)
    linked = parent / f"{PREFIX}linked"
    linked.mkdir(mode=0o700)
    (linked / LOCK).symlink_to(other / LOCK)
    before = sorted(parent.rglob("*"))
    sweep(parent)
    assert sorted(parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("ending", "option"), [("SIGTERM", "--max-mb=9"), ("SIGHUP", "--no-token"), ("SIGINT", "--no-token")]
)
def test_a_server_that_is_ended_leaves_nothing(tmp_path: Path, long: Path, ending: str, option: str) -> None:
    folder = tmp_path / "tmp"
    running = start(folder, option)
    statuses = []

    def send() -> None:
        with suppress(OSError, ValueError):  # no answer, or none of the app's own
            statuses.append(post(running, ("long.mp4", long.read_bytes()))[0])

    sender = threading.Thread(target=send)
    try:
        sender.start()
        while "long.mp4" not in (file.name for file in files_in(folder)):
            time.sleep(0.02)
        if ending == "SIGINT" and sys.platform == "linux":
            assert interrupt(running.process) < 2  # seconds of processor time, of a machine that may be slow
            assert running.process.wait() in INTERRUPTED
        running.process.send_signal(getattr(signal, ending))
        running.process.wait(30)
    finally:
        running.stop()
        sender.join()
    assert list(folder.iterdir()) == []
    assert statuses != [200]  # it was ended while it analyzed
