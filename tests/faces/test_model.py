from __future__ import annotations

import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from mmemo.faces import FaceFinder, FaceTracker
from mmemo.faces import model as face_model
from mmemo.faces.model import BLENDSHAPES, DETECTOR, LANDMARKS, FaceNetwork, network


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the networks that are loaded during a test, which begins without any."""
    names: list[str] = []
    load = FaceNetwork._opened

    def recorded(self: FaceNetwork) -> Any:
        session = load(self)
        names.append(self.path.name)
        return session

    monkeypatch.setattr(FaceNetwork, "_opened", recorded)
    monkeypatch.setattr(face_model, "_networks", {})
    return names


def _wait() -> None:
    """Until all that loads ahead is loaded."""
    for thread in threading.enumerate():
        if thread.name.startswith("mmemo-"):
            thread.join()


def test_models_are_loaded_ahead_and_once_for_all_pictures_and_threads(loaded: list[str], portrait: np.ndarray) -> None:
    finder = FaceFinder()
    _wait()
    assert sorted(loaded) == [DETECTOR, LANDMARKS]
    (face,) = finder.find(portrait)
    # A tracker locates the landmarks twice, in a region that is a little different.
    for work, apart in ((lambda: FaceFinder().find(portrait), 0.0), (lambda: FaceTracker().update(portrait, 0.0), 2.0)):
        with ThreadPoolExecutor(1) as thread:
            (same,) = thread.submit(work).result()
        np.testing.assert_allclose(same.landmarks, face.landmarks, atol=apart, rtol=0)
    _wait()
    assert len(loaded) == 2


def test_blendshapes_are_computed_when_they_are_read(loaded: list[str], portrait: np.ndarray) -> None:
    (face,) = FaceFinder().find(portrait)
    assert BLENDSHAPES not in loaded
    assert face.blendshapes is face.blendshapes
    assert loaded.count(BLENDSHAPES) == 1


def test_threads_share_a_finder(loaded: list[str], portrait: np.ndarray) -> None:
    pictures = [portrait, np.ascontiguousarray(portrait[:, ::-1])] * 4
    finder = FaceFinder()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(finder.find, pictures))
    expected = [finder.find(picture)[0] for picture in pictures]
    for (face,), wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(face.landmarks, wanted.landmarks)
        np.testing.assert_array_equal(face.crop, wanted.crop)
    assert sorted(loaded) == [DETECTOR, LANDMARKS]


def test_a_pickled_network_is_that_of_the_process() -> None:
    assert pickle.loads(pickle.dumps(network(DETECTOR))) is network(DETECTOR)
    assert network(DETECTOR, 2) is not network(DETECTOR)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_waits_for_what_loads(loaded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    load = FaceNetwork._opened

    def slow(self: FaceNetwork) -> Any:
        time.sleep(0.2)
        return load(self)

    monkeypatch.setattr(FaceNetwork, "_opened", slow)
    FaceFinder()
    child = os.fork()
    if not child:
        os._exit(2 - len(loaded))
    assert os.waitpid(child, 0)[1] == 0


def test_a_used_finder_can_be_pickled(portrait: np.ndarray) -> None:
    finder = FaceFinder(size=64)
    (face,) = finder.find(portrait)
    (same,) = pickle.loads(pickle.dumps(finder)).find(portrait)
    np.testing.assert_array_equal(same.crop, face.crop)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_process_finds_the_same(portrait: np.ndarray, threads: int) -> None:
    finder = FaceFinder(threads=threads)
    (face,) = finder.find(portrait)
    child = os.fork()
    if not child:
        found = False
        try:
            found = np.array_equal(finder.find(portrait)[0].landmarks, face.landmarks)
        finally:
            os._exit(0 if found else 1)
    watch = threading.Timer(60, os.kill, (child, 9))  # a child that hangs ends the test
    watch.start()
    assert os.waitpid(child, 0)[1] == 0
    watch.cancel()
