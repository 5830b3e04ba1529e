"""Several processes on this machine, each with one clip at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from queue import SimpleQueue
from threading import Thread

from mmemo.batch.plan import Task
from mmemo.batch.process import Process
from mmemo.batch.row import Row
from mmemo.batch.settings import Settings

Finding = tuple[Task, str, Row]
"""A task, the key of its clip and its row."""


def on_this_machine(tasks: Sequence[Task], settings: Settings, workers: int) -> Generator[Finding, None, None]:
    """Analyze tasks in some processes; findings come as they are made, in any order.

    Raises:
        WorkerError: if a process can't be started.
    """
    waiting = deque(tasks)
    made: SimpleQueue[Finding | BaseException] = SimpleQueue()
    crew = [Process(settings) for _ in range(min(workers, len(tasks)))]
    threads = [Thread(target=_labour, args=(process, waiting, made), daemon=True) for process in crew]
    try:
        for thread in threads:
            thread.start()
        for _ in tasks:
            found = made.get()
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        waiting.clear()
        for process in crew:
            process.close()
        for thread in threads:
            thread.join()


def usable_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _labour(process: Process, waiting: deque[Task], made: SimpleQueue[Finding | BaseException]) -> None:
    try:
        while True:
            try:
                task = waiting.popleft()
            except IndexError:
                process.close()  # its memory serves the others
                return
            made.put((task, *process(task.clip)))
    except BaseException as error:
        made.put(error)
