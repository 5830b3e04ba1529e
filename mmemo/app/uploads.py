"""What visitors sent by the page: who sent which file, and requests that name a file checked against that."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from mmemo.errors import ArgumentError

FETCH = "/gradio_api/file="
"""How the address of an upload begins; its path follows."""
_FILE = {"path", "url", "orig_name", "size", "mime_type", "is_stream", "meta"}
_MOST = 4096
"""Uploads remembered; they themselves go as soon as they are analyzed."""


class Uploads:
    """The uploads of all sessions. A session may name the files it sent itself, and no other path.

    Gradio believes the path in a request: with the wrong flag it moves or removes what lies there, and an address it
    fetches. So neither reaches it. Safe to use from several threads.

    Args:
        folder: where Gradio puts uploads, resolved; only this user may read it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sent: dict[tuple[str, str], None] = {}  # in the order they came
        self._lock = threading.Lock()

    def add(self, session: str, paths: list[str]) -> None:
        """Remember that the session sent these files."""
        with self._lock:
            for path in paths:
                self._sent[session, path] = None
            while len(self._sent) > _MOST:
                del self._sent[next(iter(self._sent))]

    def own(self, session: str, path: str) -> Path:
        """The path of a file that the session sent.

        Raises:
            ArgumentError: if it did not, or a link or a folder is there now, or nothing any more.
        """
        with self._lock:
            sent = (session, path) in self._sent
        file = Path(path)
        if not sent or not file.is_relative_to(self.folder) or (file.exists() and file.resolve() != file):
            raise ArgumentError("Only a file that was uploaded by this page can be analyzed. Drop it on the page.")
        if not file.is_file():
            raise ArgumentError(f"{file.name} is not kept any more. Drop it on the page again.")
        return file

    def checked(self, session: str, body: bytes, address: str) -> bytes:
        """The body of a request to analyze, with nothing in its files that Gradio could be led astray by.

        Args:
            address: of this server, as the page names it: ``http://127.0.0.1:7860``.

        Raises:
            ArgumentError: if it is no JSON object, or names anything but files that the session sent.
        """

        def plain(value: Any) -> Any:
            if isinstance(value, list):
                return [plain(one) for one in value]
            return self._file(session, value, address) if isinstance(value, dict) else value

        try:
            document = json.loads(body)
            if isinstance(document, dict):
                return json.dumps({key: plain(value) for key, value in document.items()}).encode()
        except (ValueError, RecursionError) as error:
            if isinstance(error, ArgumentError):
                raise
        raise ArgumentError("A request to analyze must be a JSON object.")

    def _file(self, session: str, given: dict[str, Any], address: str) -> dict[str, Any]:
        """The file as Gradio gets it: its path and nothing else."""
        path, url = given.get("path"), given.get("url")
        if not isinstance(path, str) or not given.keys() <= _FILE or given.get("is_stream"):
            raise ArgumentError("A file in a request must be one that was uploaded, and no stream.")
        if url is not None and not str(url).startswith(f"{address}{FETCH}"):
            raise ArgumentError("A file in a request must be uploaded; this server fetches nothing from an address.")
        return {"path": str(self.own(session, path)), "meta": {"_type": "gradio.FileData"}}
