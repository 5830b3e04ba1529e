from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmemo.errors import ArgumentError
from mmemo.faces import FaceFinder
from mmemo.faces.align import align
from mmemo.micro.optical_flow import SIZE, dense_flow, magnify, strain, without_head_motion
from mmemo.samples import portrait
from mmemo.testing import brow_raise, smile_corner


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    picture = portrait()
    (face,) = FaceFinder(max_faces=1).find(picture)
    return cv2.cvtColor(align(picture, face.landmarks, SIZE), cv2.COLOR_RGB2GRAY)


def moved(crop: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The crop with its pixels moved along a flow."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    x, y = (x - flow[..., 0]).astype(np.float32), (y - flow[..., 1]).astype(np.float32)
    return cv2.remap(crop, x, y, cv2.INTER_CUBIC, None, cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("method", ["farneback", "dis"])
def test_flow_is_measured(crop: np.ndarray, method: str) -> None:
    true = brow_raise(1.0)
    flow = dense_flow(crop, moved(crop, true), method)
    brow = np.hypot(*true.transpose(2, 0, 1)) > 0.7
    assert flow[brow][:, 1].mean() == pytest.approx(true[brow][:, 1].mean(), rel=0.25)
    assert np.abs(flow[100:]).mean() < 0.15


def test_flow_says_what_is_wrong(crop: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match="expected one of"):
        dense_flow(crop, crop, "magic")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="two gray crops"):
        dense_flow(crop, crop[:-1])
    if not hasattr(cv2, "optflow"):
        with pytest.raises(ArgumentError, match="opencv-contrib"):
            dense_flow(crop, crop, "tvl1")


def test_the_heads_own_motion_is_taken_out(crop: np.ndarray) -> None:
    """A shift, a turn and a growing head leave the expression as it was."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE - 0.5
    head = np.dstack([2.0 + 1.5 * x - 3.0 * y, -1.0 + 3.0 * x + 1.5 * y]).astype(np.float32)
    own = smile_corner(1.0)
    left, motion = without_head_motion(head + own)
    assert np.abs(left - own).max() < 0.02
    assert motion == pytest.approx([2.0, -1.0], abs=0.02)


def test_strain_of_known_flows() -> None:
    y, x = np.mgrid[:16, :16].astype(np.float32)
    assert strain(np.dstack([x * 0 + 3, y * 0 - 2])) == pytest.approx(0.0)  # shifted
    assert strain(np.dstack([-0.1 * y, 0.1 * x])) == pytest.approx(0.0, abs=1e-6)  # turned
    assert strain(np.dstack([0.1 * x, 0 * y])) == pytest.approx(0.1, abs=1e-6)  # stretched
    assert strain(np.dstack([0.1 * y, 0 * x])) == pytest.approx(0.1 / np.sqrt(2), abs=1e-6)  # sheared


def test_magnification_enlarges_motion_of_its_band(crop: np.ndarray) -> None:
    rate, count = 50.0, 50
    shares = np.exp(-(((np.arange(count) - 25) / 6) ** 2))
    crops = np.stack([moved(crop, share * brow_raise(0.2)) for share in shares])
    plain, enlarged = (
        dense_flow(taken[0], taken[25])[28:34, 34:44, 1].mean() for taken in (crops, magnify(crops, rate, 4.0))
    )
    assert enlarged < 2 * plain < 0
    assert np.array_equal(magnify(crops, rate, 0.0), crops)
    with pytest.raises(ArgumentError, match="low < high"):
        magnify(crops, 1.0, 4.0)
