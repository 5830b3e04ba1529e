from __future__ import annotations

import numpy as np

from mmemo.faces.action_units import ACTION_UNITS, action_units
from mmemo.faces.blendshapes import BLENDSHAPES


def test_an_action_unit_is_the_mean_of_its_blendshapes() -> None:
    shapes = np.zeros((2, 52), np.float32)
    shapes[0, BLENDSHAPES.index("mouthSmileLeft")] = 0.6
    shapes[0, BLENDSHAPES.index("mouthSmileRight")] = 0.2
    shapes[1, BLENDSHAPES.index("browInnerUp")] = 0.7
    units = action_units(shapes)
    assert units.dtype == np.float32
    assert units.shape == (2, len(ACTION_UNITS))
    named = [dict(zip(ACTION_UNITS, row.astype(float).round(6).tolist(), strict=True)) for row in units]
    assert {name: value for name, value in named[0].items() if value} == {"AU12": 0.4}
    assert {name: value for name, value in named[1].items() if value} == {"AU01": 0.7}


def test_no_blendshape_shows_two_action_units() -> None:
    names = [name for _, shapes in ACTION_UNITS.values() for name in shapes]
    assert len(names) == len(set(names))
    assert set(names) <= set(BLENDSHAPES)
    assert list(ACTION_UNITS) == sorted(ACTION_UNITS)
