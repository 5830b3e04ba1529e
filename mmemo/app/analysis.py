"""Analysis of uploads: the result, and the files that can be viewed and downloaded."""

from __future__ import annotations

import ctypes
import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

from mmemo.app.sessions import ResultStore, StoredResult, Visitor
from mmemo.errors import ArgumentError, MmemoError
from mmemo.media import AUDIO, IMAGE, VIDEO, probe
from mmemo.pipeline.analyzer import Analyzer
from mmemo.report.html.page import timeline
from mmemo.report.previews import Previews
from mmemo.result import EmotionResult

Done = TypeVar("Done")
Progress = Callable[[float, str], None]
Anonymize = Literal["blur", "mask"]

SUFFIXES = (*VIDEO, *AUDIO, *IMAGE)
"""Suffixes of accepted uploads; their content is checked too."""


class Analyst:
    """Runs the analyses of all visitors one after the other: two at once would each take twice as long.

    All of them run in one thread, because the C library keeps what was freed for the thread that had it: with the
    many threads of a server, memory would grow by 15 MB with each of the first dozens of uploads.

    Args:
        most_bytes: of one file.
    """

    def __init__(self, analyzer: Analyzer, results: ResultStore, most_bytes: int) -> None:
        self.analyzer = analyzer
        self.results = results
        self.most_bytes = most_bytes
        self._turn = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "analysis")

    @property
    def busy(self) -> bool:
        """Whether an analysis runs."""
        return self._turn.locked()

    def scores(
        self, file: Path | None, name: str, text: str | None, progress: Progress, analyzer: Analyzer | None = None
    ) -> EmotionResult:
        """The result of one upload, with ``name`` as its source.

        Raises:
            MmemoError: with the upload's own name, never with where it was put.
        """
        progress(
            0.0, "waiting for another analysis to end" if self._turn.locked() else "listening for speech and words"
        )
        return self._alone(lambda: self._scores(file, name, text, progress, analyzer or self.analyzer))

    def _alone(self, work: Callable[[], Done]) -> Done:
        context = copy_context()  # it knows whose progress bar is to move
        with self._turn:
            try:
                return self._thread.submit(context.run, work).result()
            finally:
                _give_back()

    def _scores(
        self, file: Path | None, name: str, text: str | None, progress: Progress, analyzer: Analyzer
    ) -> EmotionResult:
        try:
            if file is not None:
                self._check(file, name)
            elif not (text or "").strip():
                raise ArgumentError("Nothing to analyze: give a file, or words.")
            transcript = (text or "").strip() or None
            return analyzer(
                file, text=transcript, progress=lambda done: progress(0.2 + 0.8 * done, "looking at faces, scoring")
            )
        except MmemoError as error:
            if file is None or str(file) not in str(error):
                raise
            raise type(error)(str(error).replace(str(file), name)) from None

    def find(
        self,
        visitor: Visitor,
        file: Path | None,
        text: str | None,
        anonymize: Anonymize | None,
        progress: Progress,
    ) -> StoredResult:
        """Analyze an upload, and keep its result and files for the visitor. The upload itself is removed.

        Raises:
            MmemoError: in words for the person who uploaded it.
        """
        folder = self.results.folder()
        try:
            moved = None
            if file is not None:
                moved = folder / "upload" / plain_name(file.name)
                moved.parent.mkdir()
                shutil.move(file, moved)
            name = moved.name if moved is not None else "Text"
            result = self.scores(moved, name, text, lambda done, what: progress(0.6 * done, what))

            def show() -> str:
                course = timeline(result, Previews(result), faces=anonymize is None)
                _write(result, moved, folder, anonymize, lambda done, what: progress(0.6 + 0.4 * done, what))
                return course

            course = self._alone(show)
            if moved is not None:
                shutil.rmtree(moved.parent)
            named = replace(result, source=moved.name if moved else None)
            return self.results.keep(visitor, folder, named, course)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _check(self, file: Path, name: str) -> None:
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise ArgumentError(
                f"{name} is no video, sound or picture by its name ({suffix or 'no suffix'}). "
                f"Taken are {', '.join(one.removeprefix('.') for one in SUFFIXES)}."
            )
        size = file.stat().st_size
        if size > self.most_bytes:
            raise ArgumentError(
                f"{name} has {size / 1e6:.0f} MB, this server takes {self.most_bytes / 1e6:.0f} MB. Cut or compress "
                "it, or start the app with a larger --max-mb."
            )


def _give_back() -> None:
    """Hand freed memory back to the system, which glibc does by itself only where nothing lies above it."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def plain_name(name: str) -> str:
    """A file name of letters, digits and ``. _ -``, at most 80 of them, for a folder and an address."""
    stem, suffix = re.sub(r"[^\w.-]+", "_", Path(name).stem).strip("._"), re.sub(r"[^\w.]", "", Path(name).suffix)
    return f"{stem[:70] or 'clip'}{suffix[:10]}"


def _write(
    result: EmotionResult, file: Path | None, folder: Path, anonymize: Anonymize | None, progress: Progress
) -> None:
    """Write what can be downloaded; ``result`` still names the file where it lies."""
    progress(0.0, "writing the report")
    result.save(folder / "report.html", anonymize=anonymize)
    result.save(folder / "timeline.png", anonymize=anonymize)
    named = replace(result, source=file.name if file else None)
    suffixes = [".json", ".csv"]
    if result.transcript is not None and result.duration:
        suffixes += [".srt", ".vtt"]
    for suffix in suffixes:
        named.save(folder / f"result{suffix}")
    if file is not None and probe(file).kind == "video":
        result.save_video(
            folder / "annotated.mp4",
            anonymize=anonymize,
            progress=lambda done: progress(0.1 + 0.9 * done, "writing the annotated video"),
        )
    progress(1.0, "done")
