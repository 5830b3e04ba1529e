"""Action units of the Facial Action Coding System, derived from blendshapes.

Numbers and names: Ekman, Friesen and Hager, "Facial Action Coding System: The Manual", 2002. Which blendshape shows
which unit: Ozel, "ARKit to FACS: Blendshape Cheat Sheet" (https://melindaozel.com/arkit-to-facs-cheat-sheet), after the
definitions that Apple gives of the blendshapes (https://developer.apple.com/documentation/arkit/arfaceanchor).
"""

from __future__ import annotations

import numpy as np

from mmemo.faces.blendshapes import BLENDSHAPES


def _both(name: str) -> tuple[str, str]:
    return f"{name}Left", f"{name}Right"


ACTION_UNITS: dict[str, tuple[str, tuple[str, ...]]] = {
    "AU01": ("inner brow raiser", ("browInnerUp",)),
    "AU02": ("outer brow raiser", _both("browOuterUp")),
    "AU04": ("brow lowerer", _both("browDown")),
    "AU05": ("upper lid raiser", _both("eyeWide")),
    "AU07": ("lid tightener", _both("eyeSquint")),
    "AU10": ("upper lip raiser", _both("mouthUpperUp")),
    "AU12": ("lip corner puller", _both("mouthSmile")),
    "AU14": ("dimpler", _both("mouthDimple")),
    "AU15": ("lip corner depressor", _both("mouthFrown")),
    "AU16": ("lower lip depressor", _both("mouthLowerDown")),
    "AU17": ("chin raiser", ("mouthShrugLower",)),
    "AU18": ("lip pucker", ("mouthPucker",)),
    "AU20": ("lip stretcher", _both("mouthStretch")),
    "AU22": ("lip funneler", ("mouthFunnel",)),
    "AU24": ("lip pressor", _both("mouthPress")),
    "AU26": ("jaw drop", ("jawOpen",)),
    "AU28": ("lip suck", ("mouthRollLower", "mouthRollUpper")),
    "AU45": ("blink", _both("eyeBlink")),
}
"""Name of each derived action unit, and the blendshapes whose mean it is.

AU06 (cheek raiser) and AU09 (nose wrinkler) are left out: the blendshapes that show them, ``cheekSquint`` and
``noseSneer``, stay below 0.001 in this blendshape model whatever a face does. AU25 (lips part) has no blendshape.
"""
_MEANS = np.array(
    [[(name in names) / len(names) for _, names in ACTION_UNITS.values()] for name in BLENDSHAPES], np.float32
)


def action_units(blendshapes: np.ndarray) -> np.ndarray:
    """Intensities (N, 18) float32 in [0, 1], in the order of `ACTION_UNITS`, of blendshapes (N, 52).

    They are no coder's intensities A to E: 0 is a face at rest, 1 the full movement of the blendshape.
    """
    intensities: np.ndarray = blendshapes @ _MEANS
    return intensities
