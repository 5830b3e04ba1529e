"""A network in ONNX Runtime: it survives pickling and forks, and says plainly what is wrong."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmemo import onnx_network
from mmemo.errors import ArgumentError, WeightsError
from mmemo.onnx_network import OnnxNetwork, check_device, onnx_device, usable_threads
from mmemo.pretrained import WEIGHTS

FACE = WEIGHTS / "face" / "model.onnx"


def images(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).random((count, 1, 64, 64)).astype(np.float32)


def test_arrays_in_arrays_out() -> None:
    features, logits = OnnxNetwork(FACE)(images())
    assert features.shape == (2, 256)
    assert logits.shape == (2, 7)


def test_a_pickled_network_is_the_same() -> None:
    network = OnnxNetwork(FACE, threads=1)
    again = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(network(images())[1], again(images())[1])


def _in_child(network: OnnxNetwork, results: multiprocessing.SimpleQueue) -> None:  # type: ignore[type-arg]
    results.put(network(images())[1])


@pytest.mark.slow
def test_a_forked_network_works() -> None:
    network = OnnxNetwork(FACE, threads=2)
    expected = network(images())[1]
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(network, results))
    child.start()
    np.testing.assert_allclose(results.get(), expected, atol=1e-5)
    child.join(20)
    assert child.exitcode == 0


def test_loading_ahead_leaves_no_threads_behind() -> None:
    networks = [OnnxNetwork(FACE, threads=1) for _ in range(4)]
    for network in networks:
        network.load_ahead()
        network(images())  # waits for it
    for loader in onnx_network._LOADERS:
        loader.join()
    OnnxNetwork(FACE, threads=1).load_ahead()
    assert len(onnx_network._LOADERS) == 1


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "", "CPU"])
def test_no_such_device(device: str) -> None:
    with pytest.raises(ArgumentError, match="Device: expected one of"):
        check_device(device)


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(ArgumentError, match=r"has cpu only\. Install onnxruntime-directml") as caught:
        onnx_device("directml")
    assert "\n" not in str(caught.value)
    assert onnx_device("auto") in ("cpu", "cuda")
    assert onnx_device("cpu") == "cpu"


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(FACE.read_bytes()[:2000])
    network = OnnxNetwork(tmp_path / "x.onnx")
    for run in (network.warm_up, lambda: network(images())):
        with pytest.raises(WeightsError, match="can't be loaded"):
            run()


@pytest.mark.slow
def test_telemetry_is_off(tmp_path: Path) -> None:
    """Builds with telemetry leave the file of a session in the temporary folder as soon as they are imported."""
    code = (
        "import sys; from mmemo.onnx_network import OnnxNetwork; assert 'onnxruntime' not in sys.modules\n"
        f"OnnxNetwork({str(FACE)!r}).warm_up(); import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")}
    environment["TMPDIR"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert list(tmp_path.iterdir()) == []


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert usable_threads() == 4
    for value in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert usable_threads() >= 1
