"""The models of the bundle for everybody: loaded when they are first run, and kept for the next caller."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence

import numpy as np

from mmemo.faces.bundle import TfliteModel

_idle: dict[tuple[str, int, int], deque[TfliteModel]] = {}


class FaceModel:
    """One model of the bundle. Any number of threads may share it, and it can be copied and pickled.

    A loaded model runs one call at a time. It takes longer to load than to run, so those of a process are kept: there
    are never more than ran at once. A forked process loads its own.

    Args:
        name: the model's file name within the bundle.
        threads: how many CPU threads one call may use.

    Raises:
        WeightsError: if the bundle is damaged.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        self._name, self._threads = name, threads
        self._kept().append(self._take())  # a damaged bundle is reported now

    def __call__(self, values: np.ndarray) -> Sequence[np.ndarray]:
        """Run the model on a float32 array of its input's shape; gives copies of its outputs, in the model's order."""
        model = self._take()
        outputs = model(values)
        self._kept().append(model)
        return outputs

    def _take(self) -> TfliteModel:
        try:
            return self._kept().pop()
        except IndexError:
            return TfliteModel(self._name, self._threads)

    def _kept(self) -> deque[TfliteModel]:
        """The models that nobody runs at the moment."""
        return _idle.setdefault((self._name, self._threads, os.getpid()), deque())
