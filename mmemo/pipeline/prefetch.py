"""Prefetching: items are made in a thread, a few ahead of their use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class Prefetcher(Iterator[T]):
    """Iterator over items that a thread makes, at most ``size`` of them ahead; it raises the thread's exceptions."""

    def __init__(self, items: Iterable[T], size: int) -> None:
        self._items = items
        self._ready: queue.Queue[T | _End] = queue.Queue(size)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mmemo-faces", daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if self._closed.is_set():
            raise StopIteration
        item = self._ready.get()
        if not isinstance(item, _End):
            return item
        self.close()
        if item.error is not None:
            raise item.error
        raise StopIteration

    def close(self) -> None:
        """End the thread, which finishes the item it is at; items that wait are lost."""
        self._closed.set()
        self._thread.join()  # one that still ran networks when the process ends would abort it

    def _work(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
            self._put(_End(None))
        except BaseException as error:
            self._put(_End(error))

    def _put(self, item: T | _End) -> bool:
        while not self._closed.is_set():
            try:
                self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


@dataclass(frozen=True)
class _End:
    error: BaseException | None
