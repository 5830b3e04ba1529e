"""From motion to intervals, on motion that is made by formula."""

from __future__ import annotations

import numpy as np
import pytest

from mmemo.micro.intervals import Candidate, find_micro_expressions
from mmemo.micro.tracking import CORNERS, OWNERS, REGION_NAMES, STILL, FaceMotion

SECONDS = 6.0


def bump(times: np.ndarray, onset: float, apex: float, offset: float) -> np.ndarray:
    rise = 0.5 - 0.5 * np.cos(np.pi * (times - onset) / (apex - onset))
    fall = 0.5 + 0.5 * np.cos(np.pi * (times - apex) / (offset - apex))
    return np.where((times < onset) | (times > offset), 0.0, np.where(times < apex, rise, fall))


def motion(
    rate: float,
    moves: dict[str, np.ndarray],
    blink: np.ndarray | None = None,
    yaw: np.ndarray | None = None,
    seed: int = 0,
) -> FaceMotion:
    """A face in whose regions all areas move down as told, with a little noise."""
    times = np.arange(round(SECONDS * rate)) / rate
    rng = np.random.default_rng(seed)
    moved = rng.normal(0, 0.02, (len(times), len(CORNERS), 2)).astype(np.float32)
    for region, path in moves.items():
        moved[:, REGION_NAMES.index(region) == OWNERS, 1] += path[:, None].astype(np.float32)
    pose = np.zeros((len(times), 3), np.float32)
    if yaw is not None:
        pose[:, 0] = yaw
    return FaceMotion(
        person=0,
        times=times,
        numbers=np.arange(len(times)),
        moved=moved,
        head=np.zeros((len(times), 2), np.float32),
        pose=pose,
        blink=np.zeros(len(times), np.float32) if blink is None else blink.astype(np.float32),
        places=np.zeros((len(times), 2, 3)),
    )


def at(rate: float) -> np.ndarray:
    return np.arange(round(SECONDS * rate)) / rate


@pytest.mark.parametrize("rate", [25.0, 30.0, 50.0, 100.0])
def test_a_short_movement_is_found_by_time_not_by_frames(rate: float) -> None:
    (one,) = find_micro_expressions(motion(rate, {"brows": 0.6 * bump(at(rate), 3.0, 3.15, 3.4)}))
    assert one.region == "brows"
    assert (one.onset, one.apex, one.offset) == pytest.approx((3.0, 3.15, 3.4), abs=max(0.045, 1 / rate))
    assert 0 < one.confidence < 1


def test_stronger_is_surer() -> None:
    def found(height: float) -> Candidate:
        return find_micro_expressions(motion(50, {"mouth": height * bump(at(50), 3.0, 3.15, 3.4)}))[0]

    assert found(0.9).confidence > found(0.4).confidence
    assert found(0.9).height > 2 * found(0.4).height


def test_two_movements_are_two_and_one_across_regions_is_one() -> None:
    first, second = bump(at(50), 1.5, 1.7, 1.9), bump(at(50), 4.0, 4.2, 4.4)
    found = find_micro_expressions(motion(50, {"brows": 0.6 * first, "mouth": 0.4 * first + 0.6 * second}))
    assert [one.region for one in found] == ["brows", "mouth"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(0.0 * at(50), id="nothing"),
        pytest.param(0.05 * bump(at(50), 3.0, 3.15, 3.4), id="below the noise"),
        pytest.param(2.0 * bump(at(50), 2.0, 3.0, 4.5), id="a slow smile"),
        pytest.param(1.0 * (at(50) > 3.0), id="a change that stays"),
        pytest.param(4.0 * bump(at(50), 3.0, 3.15, 3.4), id="quick but large"),
        pytest.param(0.6 * np.sin(2 * np.pi * 2.5 * at(50)), id="a speaking mouth"),
        pytest.param(0.6 * bump(at(50), 0.05, 0.2, 0.4), id="at the very start"),
        pytest.param(0.6 * bump(at(50), 5.6, 5.75, 5.95), id="at the very end"),
    ],
)
def test_what_is_no_micro_expression(path: np.ndarray) -> None:
    assert find_micro_expressions(motion(50, {"mouth": path})) == []


def test_a_blink_is_none_but_a_mouth_may_move_under_it() -> None:
    shape = bump(at(50), 3.0, 3.1, 3.25)
    assert find_micro_expressions(motion(50, {"eyes": 2.0 * shape, "brows": 0.6 * shape}, blink=0.6 * shape)) == []
    (one,) = find_micro_expressions(motion(50, {"eyes": 2.0 * shape, "mouth": 0.6 * shape}, blink=0.6 * shape))
    assert one.region == "mouth"


def test_a_head_that_turns_quickly_hides_its_face() -> None:
    shape = bump(at(50), 3.0, 3.15, 3.35)
    assert find_micro_expressions(motion(50, {"mouth": 0.6 * shape}, yaw=15 * shape)) == []
    assert len(find_micro_expressions(motion(50, {"mouth": 0.6 * shape}, yaw=3 * shape))) == 1


def test_motion_of_bony_areas_raises_the_bar() -> None:
    """What moves the nose's bridge and the temples too is no expression."""
    shape = bump(at(50), 3.0, 3.15, 3.35)
    both = motion(50, {"mouth": 0.3 * shape})
    assert len(find_micro_expressions(both)) == 1
    both.moved[:, OWNERS == STILL, 0] += (0.3 * shape)[:, None].astype(np.float32)
    assert find_micro_expressions(both) == []


@pytest.mark.parametrize("rate", [5.0, 10.0, 15.0])
def test_too_few_frames_a_second_find_nothing(rate: float) -> None:
    assert find_micro_expressions(motion(rate, {"brows": 2.0 * bump(at(rate), 3.0, 3.2, 3.45)})) == []
