from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from mmemo.errors import ArgumentError
from mmemo.evidence import SAMPLE_RATE
from mmemo.faces import Face
from mmemo.pipeline.windows import Grid, Sighting, cut, face_windows, voice_windows


@pytest.mark.parametrize(
    ("duration", "spans"),
    [
        (0.0, [(0.0, 0.0)]),
        (1.5, [(0.0, 1.5)]),
        (2.0, [(0.0, 2.0)]),
        (3.0, [(0.0, 2.0), (1.0, 3.0)]),
        (3.3, [(0.0, 2.0), (1.0, 3.0), (2.0, 3.3)]),
    ],
)
def test_windows_cover_the_clip(duration: float, spans: list[tuple[float, float]]) -> None:
    assert list(Grid(duration)) == [pytest.approx(span) for span in spans]


def test_windows_of_a_span_have_the_times_of_the_file() -> None:
    assert list(Grid(3.0, 2.0, 1.0, start=10.0)) == [(10.0, 12.0), (11.0, 13.0)]


@pytest.mark.parametrize(
    ("window", "hop"), [(0.0, 1.0), (2.0, 0.0), (1.0, 2.0), (float("nan"), 1.0), (float("inf"), 1.0)]
)
def test_impossible_windows(window: float, hop: float) -> None:
    with pytest.raises(ArgumentError, match="0 < hop <= window"):
        Grid(10.0, window, hop)


def test_cut_gives_overlapping_spans_of_a_stream() -> None:
    sound = np.arange(5 * SAMPLE_RATE, dtype=np.float32)
    blocks = np.array_split(sound, 7)
    spans = [(0.0, 2.0), (1.0, 3.0), (3.5, 3.5), (4.0, 9.0)]
    for (start, end), piece in zip(spans, cut(blocks, spans), strict=True):
        np.testing.assert_array_equal(piece, sound[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)])


def test_cut_counts_from_the_origin() -> None:
    sound = np.arange(SAMPLE_RATE, dtype=np.float32)
    (piece,) = cut([sound], [(10.5, 11.0)], origin=10.0)
    np.testing.assert_array_equal(piece, sound[SAMPLE_RATE // 2 :])


def test_a_window_without_speech_has_no_voice() -> None:
    windows = list(voice_windows([np.ones(4 * SAMPLE_RATE, np.float32)], [(0.5, 1.5)], Grid(4.0)))
    assert [window is None for window in windows] == [False, False, True]
    first = windows[0]
    assert first is not None
    assert first.coverage == pytest.approx(0.5)
    assert first.speech.sum() == SAMPLE_RATE


def test_people_are_sorted_by_prominence_and_counted_over_all_frames() -> None:
    seen = [
        Sighting(0.1 * number, (100, 50), [_face(0, number, 10), *([_face(1, number, 80)] if number < 5 else [])])
        for number in range(20)
    ]
    (people,) = list(face_windows(seen, Grid(2.0)))
    assert [person.person for person in people] == [1, 0]
    assert [person.coverage for person in people] == [0.25, 1.0]
    assert people[0].crops.shape == (5, 4, 4, 3)
    assert people[0].frame_size == (100, 50)


def test_face_windows_take_no_more_frames_than_they_need() -> None:
    taken = 0

    def stream() -> object:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield Sighting(0.1 * number, (100, 50), [_face(0, number, 10)])

    windows = face_windows(stream(), Grid(100.0))  # type: ignore[arg-type]
    next(windows)
    assert taken == 21
    assert sum(1 for _ in windows) == 98


def test_blendshapes_of_a_window_are_those_of_its_faces() -> None:
    rng = np.random.default_rng(0)
    seen = [
        Sighting(time, (100, 50), [replace(_face(0, 0, 10), landmarks=rng.random((478, 3), np.float32) * 50)])
        for time in (0.0, 0.1)
    ]
    ((face,),) = face_windows(seen, Grid(1.0))
    expected = np.stack([sighting.faces[0].blendshapes for sighting in seen])
    # Several faces in one run are rounded in another order.
    np.testing.assert_allclose(pickle.loads(pickle.dumps(face)).blendshapes, expected, atol=1e-4)
    np.testing.assert_allclose(replace(face, coverage=0.5).blendshapes, expected, atol=1e-4)
    assert face.blendshapes is face.blendshapes


def _face(person: int, number: int, side: float) -> Face:
    box = np.array([0, 0, side, side], np.float32)
    return Face(
        person,
        0.1 * number,
        np.zeros((478, 3), np.float32),
        np.zeros(3, np.float32),
        box,
        1.0,
        1.0,
        np.zeros((4, 4, 3), np.uint8),
    )
