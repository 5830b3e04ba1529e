"""Threads and clocks of a live session: work that never queues without end, and times that never go back."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Generic, TypeVar

import numpy as np

from mmemo.errors import ArgumentError, shown
from mmemo.evidence import Seconds

T = TypeVar("T")
STEP: Seconds = 0.04
"""From one picture to the next, where nothing else is known."""
_BACK: Seconds = 1.0
"""By which a time may lie before the last one to be late; one that lies further back is of a clock that was set."""


class Worker(Generic[T]):
    """A thread that works on what is put, a few items at most; of more, the oldest are dropped.

    Args:
        drop: is called with what is dropped.
        failed: is called with what the work raises; it ends then.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[T], None],
        most: int,
        drop: Callable[[T], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._work, self._most, self._drop, self._failed = work, most, drop, failed
        self._waiting, self._changed, self._ending = deque[T](), Condition(), False
        self._thread = Thread(target=self._run, name=f"mmemo-live-{name}", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Let an item be worked on, after those that wait."""
        with self._changed:
            late = [self._waiting.popleft() for _ in range(len(self._waiting) - self._most + 1)]
            self._waiting.append(item)
            self._changed.notify()
        for one in late:
            self._drop(one)

    def end(self, *, drop: bool) -> None:
        """End the thread, once what waits is done; ``drop`` leaves that undone."""
        with self._changed:
            if drop:
                self._waiting.clear()
            self._ending = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    while not self._waiting and not self._ending:
                        self._changed.wait()
                    if not self._waiting:
                        return
                    item = self._waiting.popleft()
                self._work(item)
        except BaseException as error:
            self._failed(error)


class Clock:
    """Times that go forward only: a clock that was set back goes on from where it was."""

    def __init__(self) -> None:
        self._shift, self._last = 0.0, -math.inf
        self.was_set = False

    def __call__(self, given: object) -> Seconds | None:
        """The time on the session's clock; None for what is late.

        Raises:
            ArgumentError: if it is no number.
        """
        if isinstance(given, bool) or not isinstance(given, int | float | np.integer | np.floating):
            raise ArgumentError(f"Expected the time in seconds, got {shown(given)}.")
        time = float(given) + self._shift
        if not math.isfinite(time):
            raise ArgumentError(f"Expected the time in seconds, got {given}.")
        if time <= self._last - _BACK:
            self._shift += self._last + STEP - time
            self.was_set = True
            time = self._last + STEP
        if time <= self._last:
            return None
        self._last = time
        return time
