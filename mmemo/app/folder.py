"""The app's temporary folder, which goes when the app ends, and with the next start where the app was killed."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PREFIX = "mmemo-app-"
LOCK = "mmemo-app.lock"
"""A file in the folder that a living server keeps locked; the system unlocks it, however the server ends."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder, which only this user of the machine may read; folders of servers that were killed go first."""
    sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        root = Path(name).resolve()
        fd = os.open(root / f"{LOCK}.new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            if sys.platform != "win32":
                with suppress(OSError):  # a file system without locks: then the folder is never swept
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.rename(root / f"{LOCK}.new", root / LOCK)  # nobody sees it unlocked
            yield root
        finally:
            os.close(fd)


def sweep(parent: Path) -> None:
    """Remove folders that apps of this user left behind: with the app's name and its lock, which nobody holds."""
    if sys.platform != "win32":
        for folder in parent.glob(f"{PREFIX}*"):
            with suppress(OSError):  # another app was quicker, or it is alive, or not ours
                _remove_dead(folder)


def _remove_dead(folder: Path) -> None:
    if sys.platform != "win32":
        about = folder.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
            return
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        finally:
            os.close(fd)
