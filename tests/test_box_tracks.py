"""Box tracks: few numbers that stay close to every detection."""

from __future__ import annotations

import numpy as np
import pytest

from mmemo.box_tracks import BoxTrack, BoxTrackRecorder
from mmemo.errors import ArgumentError


def box(x: float, y: float = 0.5, side: float = 0.2) -> tuple[float, float, float, float]:
    return x, y, x + side, y + side


def test_between_two_sightings_a_face_moves_straight() -> None:
    track = BoxTrack((1.0, 2.0), (box(0.1), box(0.3)))
    assert track.at(1.25) == pytest.approx(box(0.15))
    assert track.at(2.05) == box(0.3)
    assert track.at(2.2) is None
    assert track.at(0.5) is None


def test_a_track_is_near_every_sighting_and_has_few_knots() -> None:
    recorder = BoxTrackRecorder()
    times = np.arange(0, 20, 1 / 15)
    places = 0.4 + 0.2 * np.sin(times / 2)
    noise = np.random.default_rng(0).normal(0, 0.001, len(times))
    for time, x in zip(times, places + noise, strict=True):
        recorder.add(time, {3: box(x)})
    (track,) = recorder.tracks(3)
    assert len(track.times) < len(times) / 4
    tracked = np.array([track.at(time)[0] for time in times])  # type: ignore[index]
    assert np.abs(tracked - places).max() < 0.05 * 0.2 + 0.005


def test_a_face_that_leaves_and_comes_back_has_two_tracks() -> None:
    recorder = BoxTrackRecorder()
    for time in np.arange(0, 3, 0.1):
        recorder.add(float(time), {0: box(0.1)} if not 1.05 < time < 1.95 else {})
    first, second = recorder.tracks(0)
    assert first.times[-1] == pytest.approx(1.0)
    assert second.times[0] == pytest.approx(2.0)
    assert first.at(1.5) is None


def test_one_missed_frame_is_bridged_and_slow_video_is_no_gap() -> None:
    recorder = BoxTrackRecorder()
    for time in (0.0, 0.1, 0.3):  # missed at 0.2
        recorder.add(time, {0: box(0.1), 1: box(0.6)} if time else {0: box(0.1)})
        if time == 0.1:
            recorder.add(0.2, {1: box(0.6)})
    assert len(recorder.tracks(0)) == 1
    slow = BoxTrackRecorder()
    for time in range(5):  # a frame a second, with the face in each
        slow.add(float(time), {0: box(0.1)})
    (track,) = slow.tracks(0)
    assert track.at(2.5) == pytest.approx(box(0.1))


def test_a_track_without_order_is_refused() -> None:
    with pytest.raises(ArgumentError, match="increasing"):
        BoxTrack((1.0, 1.0), (box(0.1), box(0.1)))
