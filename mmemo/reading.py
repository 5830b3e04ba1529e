"""Files that are read: only plain ones, only so large, and with a word on what they are if not what they should be.

Every function raises `OSError` or `ValueError` with a message that completes "FILE can't be read: …".
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

LARGEST = 100_000_000
"""Bytes of a document that is read whole: subtitles, settings, a result. Those of a film have some hundred thousand."""
LONGEST = 10_000_000
"""Bytes of one line of a table or manifest."""
DEEPEST = 100
"""Lists and objects within each other in JSON: those of mmemo's own documents go 8 deep."""
_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_SURROGATES = re.compile("[\ud800-\udfff]")
_ADDRESS = re.compile(r"(?a)([a-z][a-z0-9+.-]+):/+(.+)", re.IGNORECASE | re.DOTALL)
"""A URL, also as a path, which has one slash after the scheme. A drive has one letter."""


def open_plain(path: str | Path) -> BufferedReader:
    """The bytes of a file, opened for reading.

    A pipe waits for ever and a device like ``/dev/zero`` never ends, so neither is opened.

    Raises:
        OSError: if it is no plain file, or can't be opened.
    """
    file = Path(path)
    try:
        mode = os.stat(file).st_mode
    except ValueError:  # a zero byte in the name
        raise FileNotFoundError(errno.ENOENT, "there can be no file of this name") from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(stat.S_IFMT(mode), 'something')}, not a file")
    return file.open("rb")


def open_input(path: str | Path) -> BufferedReader:
    """The bytes of a file that is data, opened for reading.

    Raises:
        OSError: see `open_plain`; and if it is a web page or a pointer of Git LFS, which a download that went wrong
            leaves in the place of any file.
    """
    opened = open_plain(path)
    if stands_in := stand_in(opened.read(512)):
        opened.close()
        raise OSError(errno.EINVAL, stands_in)
    opened.seek(0)
    return opened


def read_bytes(path: str | Path, largest: int = LARGEST) -> bytes:
    """The content of a file.

    Raises:
        OSError: see `open_input`; and if it has more bytes than ``largest``.
    """
    with open_input(path) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest / 1e6:g} MB")
    return content


def read_lines(path: str | Path) -> Iterator[bytes]:
    """The lines of a file, of which one is in memory at a time.

    Raises:
        OSError: see `open_input`; and if a line has more than `LONGEST` bytes.
    """
    with open_input(path) as file:
        while line := file.readline(LONGEST + 1):
            if len(line) > LONGEST:
                raise OSError(errno.EFBIG, f"a line of it is longer than {LONGEST / 1e6:g} MB")
            yield line


def parse_json(text: str | bytes) -> Any:
    """The values of a JSON text.

    Raises:
        ValueError: if it is none, or lists and objects are nested more than `DEEPEST` deep.
    """
    try:
        values = json.loads(text)
        brackets = text.count(b"[") + text.count(b"{") if isinstance(text, bytes) else text.count("[") + text.count("{")
        if brackets <= DEEPEST or not _is_deep(values):
            return values
    except RecursionError:
        pass
    raise ValueError("it is nested too deeply")


def _is_deep(values: Any) -> bool:
    level = [values]
    for _ in range(DEEPEST):
        level = [
            item
            for part in level
            if isinstance(part, dict | list)
            for item in (part.values() if isinstance(part, dict) else part)
        ]
    return any(isinstance(part, dict | list) for part in level)


def stand_in(head: bytes) -> str | None:
    """What the first bytes of a file show it to be, if not what its name says: a web page, or a pointer of Git LFS."""
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, and the file itself is not here; fetch it with: git lfs pull"
    if _HTML.match(head):
        return "it is a web page (HTML), as a failed download leaves; download the file itself"
    return None


def address(name: str) -> tuple[str, str] | None:
    """Scheme and rest of a URL, also where it was made a path, which loses a slash; None for any other name."""
    match = _ADDRESS.match(name)
    return None if match is None else (match[1].lower(), match[2])


def well_formed(text: str) -> str:
    """The text with halves of UTF-16 pairs that stand alone replaced, as no file in UTF-8 can hold them.

    Python makes them of the bytes of file names that are not UTF-8, and JSON of its escapes.
    """
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def reason(error: Exception) -> str:
    """What is wrong, in short: of an `OSError` without number and name."""
    return getattr(error, "strerror", None) or str(error)
