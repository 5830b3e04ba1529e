"""Heads trained by two processes together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("accelerate")

TRAIN = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
import torch
from accelerate import PartialState
from mmemo.encoders.base import Encoding
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.cross_attention import CrossAttentionFusion
from mmemo.labels import LabelSet

torch.set_num_threads(1)
process = PartialState(cpu=True)
labels = LabelSet("three", ("a", "b", "c"))
rng = np.random.default_rng(0)
target = rng.integers(0, 3, 203)  # no multiple of the batch: one process has less, or nothing, of the last one
def seen(width):
    tokens = rng.normal(0, 1, (203, 4, width)).astype(np.float32)
    tokens[:, :, :3] += 1.5 * np.eye(3, dtype=np.float32)[target][:, None]
    return Encoding(tokens, np.ones((203, 4), bool), (1.5 * np.eye(3)[target] + rng.normal(0, 1, (203, 3))).astype(np.float32))
given = {"face": seen(5), "voice": seen(6)}
out = {}
for head in (ConcatFusion, CrossAttentionFusion):
    fitted = head.fit(labels, given, target, groups=np.arange(203) % 20, training=replace(head.training, epochs=6))
    out[head.kind] = fitted.fuse(given)
np.savez(Path(sys.argv[1]) / f"{process.num_processes}-{process.process_index}.npz", target=target, **out)
"""


def run(command: list[str]) -> None:
    """Run, and leave no process behind if it takes too long."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=180)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, output[-3000:]


def test_two_processes_train_one_head(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    # On CPUs `accelerate launch` needs MPI for several processes; torch's own launcher sets up the same.
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script), str(tmp_path)]
    run([sys.executable, *launch])
    first, second = (np.load(tmp_path / f"2-{name}.npz") for name in (0, 1))
    for kind in ("concat", "cross-attention"):
        np.testing.assert_allclose(first[kind], second[kind], atol=1e-5)  # one head, though each saw half of a batch
        assert (first[kind].argmax(axis=1) == first["target"]).mean() > 0.8
