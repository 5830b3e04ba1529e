"""Label colors are distinct for everybody."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from mmemo.labels import EKMAN7, GOEMOTIONS28, RAVDESS8
from mmemo.report.style.colors import COLORS, colors, ink, rgb

# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", 2009,
# at severity 1; they act on linear RGB.
SIGHT = {
    "all cones": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no blue cones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def seen(matrix: np.ndarray) -> np.ndarray:
    """The palette in CIELAB, as seen by an eye."""
    values = np.array([rgb(color) for color in COLORS.values()]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(matrix).T, 0, 1)
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    lab: np.ndarray = rgb2lab(back[None])[0]
    return lab


@pytest.mark.parametrize("eye", SIGHT)
def test_any_two_colors_differ_for_every_eye(eye: str) -> None:
    lab = seen(SIGHT[eye])
    first, second = np.triu_indices(len(lab), 1)
    assert deltaE_ciede2000(lab[first], lab[second]).min() > 18


def test_in_gray_the_colors_have_an_order() -> None:
    lightness = np.sort(seen(np.eye(3))[:, 0])
    assert np.diff(lightness).min() > 4.5


def test_every_label_set_gets_a_color_each() -> None:
    assert colors(EKMAN7) == COLORS
    assert len(set(colors(RAVDESS8).values())) == 8
    assert colors(RAVDESS8)["happy"] == COLORS["happiness"]
    many = colors(GOEMOTIONS28)
    assert list(many) == list(GOEMOTIONS28)
    assert many["joy"] == COLORS["happiness"]


def test_ink_can_be_read() -> None:
    assert ink("#ffffff") == ink(COLORS["happiness"]) == "#000000"
    assert ink("#000000") == ink(COLORS["sadness"]) == "#ffffff"
