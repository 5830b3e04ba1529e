"""The same work as a Ray Data job: clips go to actors of a cluster, rows come back (extra ``ray``).

Ray restarts an actor, and sends a clip again, when a machine goes away. Each actor leaves the analysis to a process of
its own, so a clip that crashes it is a row with an error there too, and not a restart without end. Every machine must
see the files under the same paths.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Generator, Sequence
from typing import Any

from mmemo.batch.plan import Task, pack, unpack
from mmemo.batch.pool import CompletedTask, analyze_in, worker
from mmemo.batch.row import Row
from mmemo.batch.settings import Settings
from mmemo.errors import ArgumentError, WorkerError, require_extra
from mmemo.evidence import Seconds

MOST_BLOCKS = 10_000
"""Clips of one block are lost together when a machine goes away; Ray Data slows down with very many blocks."""


def analyze_on_ray(
    tasks: Sequence[Task], settings: Settings, address: str, workers: int | None, limit: Seconds | None
) -> Generator[CompletedTask, None, None]:
    """Analyze tasks on a cluster; rows come as they are completed, in any order.

    Args:
        address: of the cluster, ``"host:6379"``; "auto" for the one that this machine belongs to; "local" starts one
            here.
        workers: actors; as many as the cluster has room for by default.
        limit: seconds that a clip may take; None for no limit.

    Raises:
        MissingExtraError: if Ray is not installed.
        ArgumentError: if there is no such cluster.
        WorkerError: if no actor can be started.
    """
    require_extra("--ray", "ray", "ray", "pyarrow", "pandas")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing leaves this machine but to the cluster named
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it warns of what Ray Data always does
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    ours = not ray.is_initialized()
    if ours:
        _reach(address)
        try:
            ray.init(
                address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                include_dashboard=False if address == "local" else None,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ArgumentError(f"There is no Ray cluster at {address!r}: {' '.join(str(error).split())}") from None
    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        room = int(ray.cluster_resources().get("CPU", 1)) // (settings.threads or 1)  # type: ignore[no-untyped-call]
        most = max(1, min(workers or room, len(tasks)))
        items = [{"number": number, "clip": json.dumps(pack(task.clip))} for number, task in enumerate(tasks)]
        results = ray.data.from_items(items, override_num_blocks=min(len(items), MOST_BLOCKS)).map(
            Analysis,  # type: ignore[arg-type]  # a class is taken too
            fn_constructor_kwargs={"settings": settings.to_json(), "limit": limit},
            compute=ActorPoolStrategy(min_size=1, max_size=most, initial_size=most, max_tasks_in_flight_per_actor=1),
            num_cpus=settings.threads,
        )
        for row in results.iter_rows():
            yield tasks[row["number"]], row["key"], Row.from_json(row["row"])
    except ray.exceptions.RayError as error:
        raise WorkerError(f"The Ray job failed: {' '.join(str(error).split())}") from None
    finally:
        if ours:
            ray.shutdown()


def _reach(address: str) -> None:
    """Check that the address can be reached: Ray itself waits for minutes before it gives up."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in ("auto", "local"):
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise ArgumentError(
            f"There is no Ray cluster at {address!r} ({error}): expected HOST:PORT of one, auto or local."
        ) from None


class Analysis:
    """The actor: a clip in, its key and row out."""

    def __init__(self, settings: str, limit: Seconds | None) -> None:
        self._process = worker(Settings.from_json(settings))
        self._limit = limit

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """One clip."""
        key, row = analyze_in(self._process, unpack(json.loads(item["clip"])), self._limit)
        return {"number": item["number"], "key": key, "row": row.to_json()}
