"""Analysis of uploads: one after the other, in a process of its own, within a time limit."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any

from mmemo import errors
from mmemo.app.personal import Personal
from mmemo.app.sessions import Features, ResultStore, StoredResult, Visitor
from mmemo.app.worker import Anonymize, Progress
from mmemo.batch.process import DiedError, Values, WorkerProcess
from mmemo.batch.settings import Settings
from mmemo.clip import TrackChoice
from mmemo.document import from_document
from mmemo.errors import ArgumentError, MmemoError, WorkerError
from mmemo.evidence import Seconds
from mmemo.media import AUDIO, IMAGE, VIDEO
from mmemo.model import EmotionModel
from mmemo.personal.corrections import ClipFeatures
from mmemo.result import EmotionResult

log = logging.getLogger(__name__)

SUFFIXES = (*VIDEO, *AUDIO, *IMAGE)
"""Suffixes of accepted uploads; their content is checked too."""
CLIP_TIMEOUT: Seconds = 600.0
"""Seconds that an upload may take by default."""


class StoppedError(Exception):
    """The analysis was stopped by who began it."""


class Analyst:
    """Runs the analyses of all visitors one after the other: two at once would each take twice as long.

    Args:
        most_bytes: of one file.
        limit: seconds that one analysis may take, with the files that can be downloaded; None for no limit.
        personal: prior, baseline and adaptation of all analyses.
    """

    def __init__(
        self,
        settings: Settings,
        results: ResultStore,
        most_bytes: int,
        limit: Seconds | None = CLIP_TIMEOUT,
        personal: Personal = Personal(),  # noqa: B008 - it is frozen
    ) -> None:
        self.settings = settings
        self.personal = personal
        self.results = results
        self.most_bytes = most_bytes
        self._limit = limit
        self._process = WorkerProcess("mmemo.app.worker", settings, "analyzes uploads")
        self._line: list[_Job] = []
        self._moved = Condition()

    def warm_up(self) -> None:
        """Start the process, in a thread, before the first upload comes; what goes wrong is raised with that one."""

        def start() -> None:
            with suppress(WorkerError):
                self._process.start()

        Thread(target=start, daemon=True).start()

    @cached_property
    def model(self) -> EmotionModel:
        """The model in this process, without baseline and adaptation; its prior is that of all results."""
        return self.settings.analyzer().adjusted(self.personal.prior).model

    def document(
        self,
        visitor: Visitor,
        file: Path | None,
        text: str | None,
        modalities: Sequence[str] = (),
        channel: str = "mix",
        **tracks: TrackChoice | None,
    ) -> dict[str, Any]:
        """The document of the result of one upload, with the file's name as its source.

        Args:
            modalities: those analyzed; all by default.
            channel: of the sound; see `mmemo.Clip`.
            tracks: ``audio_track`` and ``subtitle_track`` likewise.

        Raises:
            MmemoError: with the upload's own name, never with where it was put.
            StoppedError: if it was stopped.
        """
        request = {
            "modalities": list(modalities),
            "channel": channel,
            "tracks": tracks,
            "folder": None,
            "anonymize": None,
        }
        reply = self._analyze(visitor, file, text, request, _no_progress)
        document: dict[str, Any] = reply["result"]
        return document

    def find(
        self,
        visitor: Visitor,
        file: Path | None,
        text: str | None,
        anonymize: Anonymize | None,
        progress: Progress,
        earlier: Sequence[Features] = (),
    ) -> StoredResult:
        """Analyze an upload, and keep its result and files for the visitor. The upload itself is removed.

        Args:
            earlier: features of the same person's clips before this one, which the person's baseline is fitted to.

        Raises:
            MmemoError: in words for the person who uploaded it.
            StoppedError: if it was stopped.
        """
        folder = self.results.folder()
        try:
            moved = None
            if file is not None:
                moved = folder / "upload" / plain_name(file.name)
                moved.parent.mkdir()
                shutil.move(file, moved)
            request: Values = {
                "modalities": [],
                "channel": "mix",
                "tracks": {},
                "folder": str(folder),
                "anonymize": anonymize,
            }
            reply = self._analyze(visitor, moved, text, request, progress, earlier)
            if moved is not None:
                shutil.rmtree(moved.parent)
            features = {name: from_document(ClipFeatures, one) for name, one in reply["features"].items()}
            result = EmotionResult.from_dict(reply["result"])
            return self.results.keep(visitor, folder, result, reply["course"], features)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def stop(self, visitor: Visitor) -> None:
        """End what the visitor has begun, wherever it is."""
        with self._moved:
            for place, job in enumerate(self._line):
                if job.visitor == visitor:
                    job.stopped.set()
                    if place == 0:
                        self._process.interrupt()
            self._moved.notify_all()

    def close(self) -> None:
        """End all that runs or waits."""
        with self._moved:
            for job in self._line:
                job.stopped.set()
            self._moved.notify_all()
        self._process.close()

    def _analyze(
        self,
        visitor: Visitor,
        file: Path | None,
        text: str | None,
        request: Values,
        progress: Progress,
        earlier: Sequence[Features] = (),
    ) -> Values:
        words = (text or "").strip() or None
        if file is not None:
            self._check(file)
        elif words is None:
            raise ArgumentError("Nothing to analyze: give a file, or words.")
        request = {"file": None if file is None else str(file), "text": words, **request}
        with self._turn(visitor, progress) as stopped:
            request |= self.personal.request(self.model, earlier)  # now, and not when it began to wait
            try:
                reply = self._process.request(
                    request, self._limit, lambda report: progress(report["done"], report["what"]), stopped
                )
            except (DiedError, WorkerError) as error:
                if stopped.is_set():
                    raise StoppedError from None
                if isinstance(error, WorkerError):
                    raise
                raise WorkerError(f"The process that analyzed it died, {error}. Try again, or another file.") from None
        if "fault" in reply:
            log.error("an analysis failed\n%s", reply["fault"])
            raise RuntimeError("an analysis failed")
        if "error" in reply:
            raise _revived(reply["error"], reply["message"])
        return reply

    @contextmanager
    def _turn(self, visitor: Visitor, progress: Progress) -> Iterator[Event]:
        """Wait in line; gives whether the visitor stopped it."""
        job = _Job(visitor)
        with self._moved:
            self._line.append(job)
        try:
            with self._moved:
                while (place := self._line.index(job)) and not job.stopped.is_set():
                    progress(0.0, f"waiting for {place} other analys{'is' if place == 1 else 'es'} to end")
                    self._moved.wait()
            if job.stopped.is_set():
                raise StoppedError
            yield job.stopped
        finally:
            with self._moved:
                self._line.remove(job)
                self._moved.notify_all()

    def _check(self, file: Path) -> None:
        suffix = file.suffix.lower()
        if suffix not in SUFFIXES:
            raise ArgumentError(
                f"{file.name} is no video, sound or picture by its name ({suffix or 'no suffix'}). "
                f"Taken are {', '.join(one.removeprefix('.') for one in SUFFIXES)}."
            )
        size = file.stat().st_size
        if size > self.most_bytes:
            raise ArgumentError(
                f"{file.name} has {size / 1e6:.0f} MB, this server takes {self.most_bytes / 1e6:.0f} MB. Cut or "
                "compress it, or start the app with a larger --max-mb."
            )


class _Job:
    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.stopped = visitor, Event()


def _revived(name: str, message: str) -> MmemoError:
    """An error of the worker's; some classes make their message of other arguments."""
    kind: type[MmemoError] = getattr(errors, name)
    return kind.__new__(kind, message)


def _no_progress(_: float, __: str) -> None:
    """A request has no progress bar."""


def plain_name(name: str) -> str:
    """A file name of letters, digits and ``. _ -``, at most 80 of them, for a folder and an address."""
    stem, suffix = re.sub(r"[^\w.-]+", "_", Path(name).stem).strip("._"), re.sub(r"[^\w.]", "", Path(name).suffix)
    return f"{stem[:70] or 'clip'}{suffix[:10]}"
