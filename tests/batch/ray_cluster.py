"""Analyzes a folder on a cluster of two workers, and kills one of them midway. Prints what came of it as JSON.

A process of its own for `test_ray.py`, as Ray changes the signals and threads of the process it is used in.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.cluster_utils import Cluster

from mmemo import analyze_many
from mmemo.batch.analyze_many import BatchProgress

folder, out = sys.argv[1:]
# A dead machine is noticed after ten seconds; a live one on a busy computer may pause for some.
quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_failure_threshold": 10}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": quick})
workers = [cluster.add_node(num_cpus=1) for _ in range(2)]
ray.init(cluster.address, log_to_driver=False)
states: list[BatchProgress] = []
busy_at_death = None


def watch(state: BatchProgress) -> None:
    """Kill a worker as soon as both work and there are rows."""
    global busy_at_death
    states.append(state)
    if state.done < 3 or busy_at_death is not None:
        return
    deadline = time.monotonic() + 60
    while ray.available_resources().get("CPU", 0) > 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    busy_at_death = 2 - ray.available_resources().get("CPU", 0)
    cluster.remove_node(workers[1], allow_graceful=False)


batch = analyze_many(folder, out, modalities=("voice",), ray=cluster.address, progress=watch)
report = {
    "busy_at_death": busy_at_death,
    "alive": sum(node["Alive"] for node in ray.nodes()) - 1,
    "done": [state.done for state in states],
    "rows": [row.to_json() for row in batch.rows],
}
print("REPORT " + json.dumps(report))
ray.shutdown()
cluster.shutdown()
