"""Worker processes, both ends: requests go in as lines of JSON, reports and a reply come out for each.

A crash, a hang or the memory of one request ends that process and no other. When nobody holds the other end any more it
ends too, in the middle of a request if need be.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread, Timer
from typing import IO, Any, TextIO

import mmemo
from mmemo.batch.settings import Settings
from mmemo.errors import ArgumentError, MmemoError, TimeLimitError, WorkerError
from mmemo.evidence import Seconds

Values = dict[str, Any]
Report = Callable[[Values], None]
Handler = Callable[[Values, Report], Values]

STARTS = 4
"""Attempts at starting a process: the system may kill one that starts for the memory of another."""
PAUSE: Seconds = 1.0
"""Before the second attempt; twice as long before each one after that."""
START_LIMIT: Seconds = 300.0
"""Importing takes a second, and may take a minute from a busy network drive."""


class DiedError(Exception):
    """The process died while it worked on a request; the text says how."""


class WorkerProcess:
    """A process that works on one request at a time: ``python -P -m MODULE``, whose module calls `serve`.

    It is started with the first request, and anew after it died. Not `multiprocessing`: that would import the caller's
    main module again, and a pool of it ends with its first dead process.

    Args:
        what: the process does, for messages: "analyzes clips".
    """

    def __init__(self, module: str, settings: Settings, what: str = "analyzes clips") -> None:
        self._module, self._settings, self._what = module, settings, what
        self._running: subprocess.Popen[str] | None = None
        self._stderr: IO[bytes] | None = None
        self._lock, self._starting = Lock(), Lock()
        self._closed = Event()

    def request(
        self,
        values: Values,
        limit: Seconds | None = None,
        report: Report | None = None,
        stopped: Event | None = None,
    ) -> Values:
        """The reply to a request.

        Args:
            limit: seconds after which the process is killed; None for no limit.
            report: called with what the process reports on its way.
            stopped: set before `interrupt`, it holds for a process that is only starting, too.

        Raises:
            TimeLimitError: if it took longer.
            DiedError: if the process died, or was interrupted.
            WorkerError: if it can't be started, or was closed.
        """
        self.start()
        if stopped is not None and stopped.is_set():
            raise DiedError("when it was interrupted")
        try:
            with self._limited(limit) as late:
                reply = self._exchange(json.dumps(values), report)
            if reply is not None:
                return reply
            how = self._end()
        except BaseException:
            self._end()  # the reply to this request must not be taken for that to the next
            raise
        if late.is_set():
            raise TimeLimitError(f"It took longer than the limit of {limit:g} s for a clip, and was ended.")
        raise DiedError(how)

    def start(self) -> None:
        """Start the process unless it runs: ahead of the first request, in a thread.

        Raises:
            WorkerError: if it can't be started, or was closed.
        """
        with self._starting:
            self._start()

    def interrupt(self) -> None:
        """Kill the process, from another thread than the one that waits for a reply."""
        with self._lock:
            if self._running is not None:
                self._running.kill()

    def close(self) -> None:
        """End the process; a request in another thread raises."""
        self._closed.set()
        self._end()

    def _start(self) -> None:
        how = ""
        for attempt in range(STARTS):
            if attempt:
                self._closed.wait(PAUSE * 2 ** (attempt - 1))
            try:
                if not self._launch():
                    return
                with self._limited(START_LIMIT):
                    ready = self._exchange(self._settings.to_json(), None)
            except OSError as error:  # no more processes, memory or disk: the others may give some back
                how = str(error)
                continue
            if ready is None:
                how = self._end()
            elif "broken" in ready:
                self._end()
                raise WorkerError(f"The process that {self._what} can't be started: {ready['broken']}.")
            else:
                return
        raise WorkerError(f"The process that {self._what} can't be started: it died {STARTS} times, {how}.")

    def _launch(self) -> bool:
        """Start a process, unless one runs."""
        with self._lock:
            if self._closed.is_set():
                raise WorkerError("The process was closed.")
            if self._running is not None:
                return False
            home = str(Path(mmemo.__file__).parent.parent)
            paths = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
            threads = {} if self._settings.threads is None else {"OMP_NUM_THREADS": str(self._settings.threads)}
            stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
            try:
                self._running = subprocess.Popen(
                    [sys.executable, "-P", "-m", self._module],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    encoding="utf-8",
                    env={**os.environ, "PYTHONPATH": paths, **threads},
                )
            except OSError:
                stderr.close()
                raise
            self._stderr = stderr
            return True

    @contextmanager
    def _limited(self, limit: Seconds | None) -> Iterator[Event]:
        """Kill the process after some seconds; gives whether it was."""
        late = Event()
        if limit is None:
            yield late
            return

        def end() -> None:
            late.set()
            self.interrupt()

        timer = Timer(limit, end)
        timer.daemon = True
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()

    def _exchange(self, line: str, report: Report | None) -> Values | None:
        """Send a request and wait for the reply; None if the process died."""
        running = self._running
        if running is None or running.stdin is None or running.stdout is None:
            return None
        try:
            running.stdin.write(line + "\n")
            running.stdin.flush()
        except (OSError, ValueError):  # a broken pipe, or a closed one
            return None
        while True:
            try:
                reply: Values = json.loads(running.stdout.readline())
            except (OSError, ValueError):  # half a line or none
                return None
            if "report" not in reply:
                return reply
            if report is not None:
                report(reply["report"])

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
                with suppress(OSError):  # what was not yet sent has nowhere to go
                    pipe.close()
        stderr.seek(0)
        last = stderr.read().decode("utf-8", "replace").strip().splitlines()[-1:]
        stderr.close()
        return " ".join([f"with exit status {status}", *(f"({line.strip()})" for line in last)])


def serve(prepare: Callable[[Settings], Handler]) -> None:
    """Work on requests until there are no more: the main function of a worker's module.

    Args:
        prepare: gives the function that replies to a request; a `MmemoError` that it raises is no request's fault, and
            ends the process.
    """
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no reply
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    requests: SimpleQueue[str] = SimpleQueue()
    Thread(target=_listen, args=(sys.stdin, requests), daemon=True).start()
    settings = Settings.from_json(requests.get())

    def send(values: Values) -> None:
        replies.write(json.dumps(values) + "\n")
        replies.flush()

    try:
        if settings.threads is not None:
            limit_threads(settings.threads)
        handle = prepare(settings)
    except MmemoError as error:
        send({"broken": f"{type(error).__name__}: {' '.join(str(error).split())}"})
        return
    send({"ready": True})
    while True:
        request = json.loads(requests.get())
        try:
            reply = handle(request, lambda values: send({"report": values}))
        except Exception:
            reply = {"fault": traceback.format_exc()}
        send(reply)


def limit_threads(count: int) -> None:
    """Keep this process's models to some CPU threads, so that several processes don't get in each other's way.

    To be called before any of them is loaded.
    """
    import cv2

    os.environ["OMP_NUM_THREADS"] = str(count)  # ONNX Runtime's threads (`mmemo.onnx_network`), and those of torch
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)
    cv2.setNumThreads(count)


def check_limit(limit: Seconds | None) -> None:
    """Check a time limit.

    Raises:
        ArgumentError: if it is neither None nor a positive number of seconds that a timer can take.
    """
    if limit is not None and not 0 < limit <= _LONGEST:
        raise ArgumentError(f"clip_timeout: expected seconds above 0, or None for no limit, got {limit}.")


_LONGEST: Seconds = 1e6


def _listen(source: TextIO, requests: SimpleQueue[str]) -> None:
    for line in source:
        requests.put(line)
    os._exit(0)
