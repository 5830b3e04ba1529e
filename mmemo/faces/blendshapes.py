"""Blendshapes: the 52 movements of a face, from its landmarks."""

from __future__ import annotations

import numpy as np

from mmemo.faces.model import BLENDSHAPES as MODEL
from mmemo.faces.model import network

BLENDSHAPES = (
    "_neutral",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
)
"""Names of the 52 blendshapes in the model's order. Left and right are the person's own; ``_neutral`` is unused."""

# The landmarks that the blendshape model reads: contours of face, brows, eyes and lips, the nose, and the irises.
_SUBSET = np.fromstring(
    """0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87 88 91 93 95 103
    105 107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 159 160 161 162 163 168 172 173 176
    178 181 185 191 195 197 234 246 249 251 263 267 269 270 276 282 283 284 285 288 291 293 295 296 297 300 308 310
    311 312 314 317 318 321 323 324 332 334 336 338 356 361 362 365 373 374 375 377 378 379 380 381 382 384 385 386
    387 388 389 390 397 398 400 402 405 409 415 454 466 468 469 470 471 472 473 474 475 476 477""",
    dtype=np.intp,
    sep=" ",
)
_BATCH = 16  # faces of one run: more are no faster, and take more memory


def blendshapes(landmarks: np.ndarray) -> np.ndarray:
    """The blendshapes of landmarks (N, 478, 3), (N, 52) float32 in [0, 1], in the order of `BLENDSHAPES`.

    Raises:
        WeightsError: if the model is missing or damaged.
    """
    model, values = network(MODEL), np.empty((len(landmarks), len(BLENDSHAPES)), np.float32)
    points = landmarks[:, _SUBSET, :2].astype(np.float32)
    for start in range(0, len(points), _BATCH):
        (values[start : start + _BATCH],) = model(points[start : start + _BATCH])
    return np.clip(values, 0.0, 1.0)
