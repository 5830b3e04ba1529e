from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mmemo.faces import FaceFinder, FaceTracker, bundle
from mmemo.faces import model as face_model
from mmemo.faces.model import FaceModel


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models that are loaded during a test, which begins without any."""
    names: list[str] = []

    class Recorded(bundle.TfliteModel):
        def __init__(self, name: str, threads: int = 1) -> None:
            names.append(name)
            super().__init__(name, threads)

    monkeypatch.setattr(face_model, "TfliteModel", Recorded)
    monkeypatch.setattr(face_model, "_idle", {})
    return names


def test_models_are_loaded_once_for_all_pictures_and_threads(loaded: list[str], portrait: np.ndarray) -> None:
    (face,) = FaceFinder().find(portrait)
    assert sorted(loaded) == [bundle.DETECTOR, bundle.LANDMARKS]
    for work in (lambda: FaceFinder().find(portrait), lambda: FaceTracker().update(portrait, 0.0)):
        with ThreadPoolExecutor(1) as thread:
            (same,) = thread.submit(work).result()
        np.testing.assert_array_equal(same.landmarks, face.landmarks)
    assert len(loaded) == 2


def test_blendshapes_are_computed_when_they_are_read(loaded: list[str], portrait: np.ndarray) -> None:
    (face,) = FaceFinder().find(portrait)
    assert bundle.BLENDSHAPES not in loaded
    assert face.blendshapes is face.blendshapes
    assert loaded.count(bundle.BLENDSHAPES) == 1


def test_threads_share_a_finder(loaded: list[str], portrait: np.ndarray) -> None:
    finder = FaceFinder()
    pictures = [portrait, np.ascontiguousarray(portrait[:, ::-1])] * 4
    expected = [finder.find(picture)[0] for picture in pictures]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(finder.find, pictures))
    for (face,), wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(face.landmarks, wanted.landmarks)
        np.testing.assert_array_equal(face.crop, wanted.crop)
    assert loaded.count(bundle.LANDMARKS) <= 4


def test_a_model_that_runs_is_not_lent_to_another_thread(loaded: list[str]) -> None:
    model = FaceModel(bundle.BLENDSHAPES)
    held = model._take()
    assert model(np.zeros((1, 146, 2), np.float32))
    assert loaded == [bundle.BLENDSHAPES] * 2
    assert held not in model._kept()


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
