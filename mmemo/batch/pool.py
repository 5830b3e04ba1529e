"""Worker processes on this machine: each has one clip at a time, and is started again when it dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import IO, Any

import mmemo
from mmemo.batch.plan import Task, pack
from mmemo.batch.row import Row
from mmemo.batch.settings import Settings
from mmemo.clip import Clip
from mmemo.errors import WorkerError

CompletedTask = tuple[Task, str, Row]
"""A task, the key of its clip and its row."""

TRIES = 2
"""Attempts at a clip whose process dies: the system may have killed it for the memory of another."""


class Process:
    """Analyzes clips one after the other in a process of its own.

    Not `multiprocessing`: that would import the caller's main module again, and a pool of it ends with its first dead
    process.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: subprocess.Popen[str] | None = None
        self._stderr: IO[bytes] | None = None
        self._lock = Lock()
        self._closed = False

    def __call__(self, clip: Clip) -> tuple[str, Row]:
        """A clip's key and its row. If the process dies of it twice, the row says so.

        Raises:
            WorkerError: if the process can't be started, or was closed.
        """
        for _ in range(TRIES):
            self._start()
            reply = self._request(json.dumps(pack(clip)))
            if reply is not None:
                return reply["key"], Row.from_json(reply["row"])
            died = self._end()
        return "", Row.failed(WorkerError(f"The process that analyzed it died {TRIES} times, {died}."))

    def close(self) -> None:
        """End the process; a call in another thread raises."""
        with self._lock:
            self._closed = True
        self._end()

    def _start(self) -> None:
        with self._lock:
            if self._closed:
                raise WorkerError("The process was closed.")
            if self._running is not None:
                return
            threads = str(self._settings.threads)
            home = str(Path(mmemo.__file__).parent.parent)
            paths = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
            self._running = subprocess.Popen(
                [sys.executable, "-P", "-m", "mmemo.batch.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                encoding="utf-8",
                env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": threads},
            )
        ready = self._request(self._settings.to_json())
        if ready is None or "broken" in ready:
            why = self._end() if ready is None else ready["broken"]
            raise WorkerError(f"The process that analyzes clips can't be started: {why}.")

    def _request(self, line: str) -> dict[str, Any] | None:
        """Send a line and wait for the reply; None if the process died."""
        running = self._running
        if running is None or running.stdin is None or running.stdout is None:
            return None
        try:
            running.stdin.write(line + "\n")
            running.stdin.flush()
            reply: dict[str, Any] = json.loads(running.stdout.readline())
        except (OSError, ValueError):  # a broken pipe, half a line or none
            return None
        return reply

    def _end(self) -> str:
        """Kill what is left of the process; gives how it ended."""
        with self._lock:
            running, stderr = self._running, self._stderr
            self._running = self._stderr = None
        if running is None or stderr is None:
            return "when it was closed"
        running.kill()
        status = running.wait()
        for pipe in (running.stdin, running.stdout):
            if pipe is not None:
                _close(pipe)
        stderr.seek(0)
        last = stderr.read().decode("utf-8", "replace").strip().splitlines()[-1:]
        stderr.close()
        return " ".join([f"with exit status {status}", *(f"({line.strip()})" for line in last)])


def _close(pipe: IO[str]) -> None:
    with suppress(OSError):  # what was not yet sent has nowhere to go
        pipe.close()


def analyze_locally(tasks: Sequence[Task], settings: Settings, workers: int) -> Generator[CompletedTask, None, None]:
    """Analyze tasks in some processes; rows come as they are completed, in any order.

    Raises:
        WorkerError: if a process can't be started.
    """
    waiting = deque(tasks)
    done: SimpleQueue[CompletedTask | BaseException] = SimpleQueue()
    processes = [Process(settings) for _ in range(min(workers, len(tasks)))]
    threads = [Thread(target=_work, args=(process, waiting, done), daemon=True) for process in processes]
    try:
        for thread in threads:
            thread.start()
        for _ in tasks:
            completed = done.get()
            if isinstance(completed, BaseException):
                raise completed
            yield completed
    finally:
        waiting.clear()
        for process in processes:
            process.close()
        for thread in threads:
            thread.join()


def usable_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _work(process: Process, waiting: deque[Task], done: SimpleQueue[CompletedTask | BaseException]) -> None:
    try:
        while True:
            try:
                task = waiting.popleft()
            except IndexError:
                process.close()  # its memory serves the others
                return
            done.put((task, *process(task.clip)))
    except BaseException as error:
        done.put(error)
