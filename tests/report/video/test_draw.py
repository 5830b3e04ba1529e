"""Drawing on frames."""

from __future__ import annotations

import numpy as np

from mmemo.report.video import draw


def test_text_is_drawn_where_it_belongs() -> None:
    image = np.zeros((60, 200, 3), np.uint8)
    draw.write(image, 20, 40, "Hg", 20)
    rows, columns = np.nonzero(image.max(axis=2) > 100)
    assert 24 <= rows.min() < 30
    assert 40 < rows.max() < 47  # the g's tail is below the baseline
    assert columns.min() >= 20
    outside = image.copy()
    draw.write(outside, 300, 40, "Hg", 20)
    draw.write(outside, -500, 40, "Hg", 20)
    draw.fill(outside, 300, 70, 400, 90, (255, 0, 0))
    np.testing.assert_array_equal(outside, image)
