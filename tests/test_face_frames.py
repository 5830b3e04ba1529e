"""The table of faces frame by frame: its columns, blinks and files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmemo.errors import ArgumentError
from mmemo.face_frames import FaceFrames
from mmemo.faces.action_units import ACTION_UNITS
from mmemo.faces.blendshapes import BLENDSHAPES


def made(times: list[float], closure: list[float], people: list[int] | None = None) -> FaceFrames:
    """Frames in which the eyes are closed so far."""
    rows, rng = len(times), np.random.default_rng(0)
    shapes = rng.random((rows, 52), np.float32)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        shapes[:, BLENDSHAPES.index(name)] = closure
    scores = rng.random((rows, 2), np.float32)
    return FaceFrames(
        frame=np.arange(rows),
        time=np.array(times, float),
        person=np.array(people or [0] * rows, int),
        box=np.tile(np.array([10.0, 20, 50, 100], np.float32), (rows, 1)),
        confidence=rng.random(rows, np.float32),
        quality=rng.random(rows, np.float32),
        pose=np.tile(np.array([1.0, 2, 3], np.float32), (rows, 1)),
        gaze=np.tile(np.array([4.0, np.nan], np.float32), (rows, 1)),
        blendshapes=shapes,
        scores=scores / scores.sum(axis=1, keepdims=True),
        labels=("anger", "happiness"),
    )


def same(one: FaceFrames, other: FaceFrames, atol: float = 0.0) -> None:
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(getattr(other, name), value, atol=atol)
            assert getattr(other, name).dtype == value.dtype
    assert other.labels == one.labels


def test_eyes_that_close_for_a_moment_blink() -> None:
    tenths = [number / 10 for number in range(12)]
    blink = made(tenths, [0, 0, 0.9, 0.6, 0, 0, 0, 0, 0, 0, 0, 0]).blink
    assert blink.tolist() == [False, False, True, True, *[False] * 8]
    assert not made(tenths, [0, 0, *[0.9] * 6, 0, 0, 0, 0]).blink.any()  # asleep
    assert not made(tenths, [0.9, 0.9, *[0] * 10]).blink.any()  # not seen to close
    assert not made([0.0], [0.9]).blink.any()


def test_each_person_blinks_for_themselves() -> None:
    both = made([0.0, 0.0, 0.1, 0.1, 0.2, 0.2], [0, 0.9, 0.9, 0.9, 0, 0.9], [0, 1] * 3)
    assert both.blink.tolist() == [False, False, True, False, False, False]


def test_columns_are_those_of_py_feat_where_it_has_them() -> None:
    columns = made([0.0, 0.04], [0, 0]).columns()
    assert [columns[name][0] for name in ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")] == [
        10, 20, 40, 80,
    ]  # fmt: skip
    assert [columns[name][0] for name in ("Yaw", "Pitch", "Roll", "gaze_yaw")] == [1, 2, 3, 4]
    assert set(ACTION_UNITS) | set(BLENDSHAPES) | {"FaceScore", "anger", "happiness", "frame", "time"} < set(columns)
    assert columns["AU_derived"].all()


@pytest.mark.parametrize("suffix", [".csv", pytest.param(".parquet", marks=pytest.mark.slow)])
def test_a_table_comes_back(tmp_path: Path, suffix: str) -> None:
    for frames in (made([0.0, 0.04, 0.08], [0, 0.9, 0.2], [0, 1, 0]), made([], [])):
        path = frames.save(tmp_path / f"frames{suffix}")
        same(frames, FaceFrames.load(path), atol=1e-5)
    assert [one.name for one in tmp_path.iterdir()] == [f"frames{suffix}"]


def test_what_was_read_is_not_overwritten(tmp_path: Path) -> None:
    clip = tmp_path / "clip.csv"
    clip.write_text("a video")
    with pytest.raises(ArgumentError, match="overwritten"):
        replace(made([0.0], [0]), inputs=(str(clip),)).save(clip)
    assert clip.read_text() == "a video"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", "", "Suffix"),
        ("a.csv", "", "no column"),
        ("a.csv", "frame,time\n1,2\n1\n", "table of frames"),
        ("a.csv", "frame,time\n1,x\n", "table of frames"),
        ("a.parquet", "no parquet", "table of frames"),
    ],
)
def test_what_is_no_table_of_frames_is_refused(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ArgumentError, match=says):
        FaceFrames.load(tmp_path / name)


def test_a_missing_file_and_wrong_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="No such file"):
        FaceFrames.load(tmp_path / "none.csv")
    with pytest.raises(ArgumentError, match=r"pose: expected the shape \(1, 3\)"):
        replace(made([0.0], [0]), pose=np.zeros((1, 2), np.float32))
    with pytest.raises(ArgumentError, match="AU99"):
        made([0.0], [0]).action_unit("AU99")
