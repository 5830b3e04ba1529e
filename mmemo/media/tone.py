"""High dynamic range (PQ, HLG) to the standard range that screens, and the weights, know.

White paper is 203 cd/m² (ITU-R BT.2408): it becomes white, what is darker keeps its luminance, and highlights are
compressed by an exponential knee. Sources: ITU-R BT.2100-2, tables 4 and 5, for PQ and HLG; BT.2087 for the matrix;
IEC 61966-2-1 for sRGB. HLG's system gamma of 1.2 is applied to each channel, not to luminance, which makes colors a
little stronger.
"""

from __future__ import annotations

from functools import cache

import numpy as np

PQ, HLG = 16, 18
"""Transfer characteristics in ITU-T H.273, as FFmpeg numbers them."""
_WHITE = 203.0
_BRIGHTEST = 10_000 / _WHITE
_KNEE = 0.8
_STEPS = 4096
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)


def standard_range(image: np.ndarray, transfer: int) -> np.ndarray:
    """A picture (H, W, 3) uint16, RGB of BT.2020 coded in `PQ` or `HLG`, as uint8 sRGB."""
    light = np.take(_light(transfer), image).reshape(-1, 3) @ _TO_709.T
    np.sqrt(np.clip(light, 0.0, _BRIGHTEST, out=light), out=light)  # finer steps of the table where it is dark
    light *= (_STEPS - 1) / np.sqrt(_BRIGHTEST)
    coded: np.ndarray = np.take(_coded(), light.astype(np.uint16)).reshape(image.shape)
    return coded


@cache
def _light(transfer: int) -> np.ndarray:
    """Linear light for each code of 16 bits; 1 is white."""
    code = np.linspace(0, 1, 1 << 16)
    if transfer == PQ:
        root = code ** (1 / 78.84375)
        light = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        light = 1_000 * scene**1.2
    return (light / _WHITE).astype(np.float32)


@cache
def _coded() -> np.ndarray:
    """Code of sRGB in 8 bits for each step of the square root of linear light, highlights compressed."""
    light = np.linspace(0, np.sqrt(_BRIGHTEST), _STEPS) ** 2
    light = np.where(light < _KNEE, light, 1 - (1 - _KNEE) * np.exp(-(light - _KNEE) / (1 - _KNEE)))
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    codes: np.ndarray = np.rint(255 * code).astype(np.uint8)
    return codes
