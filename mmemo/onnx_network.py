"""Networks as ONNX files, run by ONNX Runtime."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from mmemo.errors import ArgumentError, WeightsError, expected_one_of

if TYPE_CHECKING:
    import onnxruntime

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
"""ONNX Runtime's name of each device."""
DEVICES = ("auto", *PROVIDERS)
"""Names of devices; "cuda:1" names the second one of its kind."""
_ABANDONED: list[Any] = []
"""Sessions of the process that this one was forked from; to end one would wait for its threads."""
_LOADERS: list[Thread] = []
"""Threads that load networks, and some that have done so."""
_PACKAGES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml", "openvino": "onnxruntime-openvino"}


class OnnxNetwork:
    """A network as an ONNX file: arrays in, arrays out. It can be pickled, shared by threads, and used after a fork.

    The file is loaded with the first run, or before by `warm_up` or `load_ahead`.

    Args:
        path: of the file.
        device: one of `DEVICES`; "auto" is CUDA where ONNX Runtime has it, else the CPU.
        threads: CPU threads of one run; all usable cores by default, or what ``OMP_NUM_THREADS`` allows.

    Attributes:
        device: that it runs on.

    Raises:
        ArgumentError: if there is no such device, or ONNX Runtime was installed without it.

    >>> import mmemo
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from mmemo.onnx_network import OnnxNetwork
    >>> network = OnnxNetwork(Path(mmemo.__file__).parent / "weights" / "face" / "model.onnx")
    >>> features, logits = network(np.zeros((2, 1, 64, 64), np.float32))
    >>> logits.shape
    (2, 7)
    """

    path: Path
    device: str
    _threads: int | None
    _session: Any
    _inputs: list[str]

    def __init__(self, path: str | Path, device: str = "cpu", *, threads: int | None = None) -> None:
        self.__setstate__({"path": Path(path), "device": onnx_device(device), "_threads": threads})

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Run the network.

        Args:
            inputs: in the file's order, in its types.

        Returns:
            The outputs in the file's order.

        Raises:
            WeightsError: if the file can't be loaded.
        """
        self.warm_up()
        outputs: list[np.ndarray] = self._session.run(None, dict(zip(self._inputs, inputs, strict=True)))
        return outputs

    @property
    def inputs(self) -> list[Any]:
        """Each input as ONNX Runtime describes it, with ``name``, ``type`` and ``shape``."""
        self.warm_up()
        described: list[Any] = self._session.get_inputs()
        return described

    def warm_up(self) -> None:
        """Load the file now, unless it is loaded.

        Raises:
            WeightsError: if it can't be loaded.
        """
        if self._process != os.getpid():  # the threads of a session don't survive a fork, and it would wait for them
            _ABANDONED.append(self._session)
            self.__setstate__(self.__getstate__())
        with self._lock:
            if self._session is None:
                session = self._opened()
                self._inputs = [one.name for one in session.get_inputs()]
                self._session = session

    def load_ahead(self) -> None:
        """Load the file in a thread of its own, unless it is loaded; returns at once.

        Whoever runs the network meanwhile waits for the rest. What is wrong with the file is reported then.
        """
        if self._session is not None and self._process == os.getpid():
            return
        # No daemon: a process that ended while ONNX Runtime loads would crash.
        loader = Thread(target=self._load_quietly, name=f"mmemo-{self.path.parent.name}-{self.path.stem}")
        _let_forks_wait()
        _LOADERS[:] = [other for other in _LOADERS if other.is_alive()]
        loader.start()
        _LOADERS.append(loader)

    def _load_quietly(self) -> None:
        with suppress(WeightsError):
            self.warm_up()

    def _opened(self) -> onnxruntime.InferenceSession:
        return _session(self.path, self.device, self._threads or usable_threads())

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "device": self.device, "_threads": self._threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock, self._session = Lock(), None
        self._process = os.getpid()  # last, as other threads look at it first


@cache
def _let_forks_wait() -> None:
    """Let forks wait for loaders: locks that ONNX Runtime holds while it loads would stay locked in the new process."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_join_loaders, after_in_child=_LOADERS.clear)


def _join_loaders() -> None:
    for loader in _LOADERS:
        loader.join()


def onnx_device(device: str) -> str:
    """The device that a network runs on, "auto" resolved.

    Raises:
        ArgumentError: if it is none of `DEVICES`, or ONNX Runtime was installed without it.
    """
    check_device(device)
    available = import_onnxruntime().get_available_providers()
    if device == "auto":
        return "cuda" if PROVIDERS["cuda"] in available else "cpu"
    kind = device.partition(":")[0]
    if PROVIDERS[kind] not in available:
        package = _PACKAGES.get(kind)
        there = ", ".join(name for name, provider in PROVIDERS.items() if provider in available)
        raise ArgumentError(
            f"Device {device!r}: the installed ONNX Runtime has {there} only. "
            + (f"Install {package} in place of onnxruntime, or use" if package else "Use")
            + ' device="cpu".'
        )
    return device


def import_onnxruntime() -> Any:
    """ONNX Runtime with its telemetry off.

    From version 1.29 on its official builds report models and machine to Microsoft, beginning when they are imported.
    mmemo promises that nothing leaves the machine; who wants otherwise sets ``ORT_DISABLE_TELEMETRY=0`` beforehand.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    if os.environ["ORT_DISABLE_TELEMETRY"] == "1" and hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()  # in case somebody else has imported it before
    return onnxruntime


def check_device(device: str) -> None:
    """Check the name of a device; whether the machine has it shows when a network is loaded.

    Raises:
        ArgumentError: if it is none of `DEVICES`, or its number is none.
    """
    kind, colon, number = str(device).partition(":")
    if kind not in DEVICES or (colon and not number.isdecimal()):
        raise ArgumentError(expected_one_of("Device", DEVICES, device))


def usable_threads() -> int:
    """CPU threads that a network may use: what ``OMP_NUM_THREADS`` allows, else all cores that this process may use."""
    allowed = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if allowed.isdecimal() and int(allowed):
        return int(allowed)
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _session(path: Path, device: str, threads: int) -> onnxruntime.InferenceSession:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors; a warning is of no use to who did not write the network
    # Threads that wait for work give their core away at once: to the face's thread, and to other programs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    kind, _, number = device.partition(":")
    chosen: list[Any] = [(PROVIDERS[kind], {"device_id": number})] if number else [PROVIDERS[kind]]
    if kind != "cpu":
        chosen.append(PROVIDERS["cpu"])  # for what the device can't do
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=chosen)
    except Exception as error:  # its exceptions have no base of their own
        raise WeightsError(f"{path} can't be loaded as an ONNX network: {error}") from None
