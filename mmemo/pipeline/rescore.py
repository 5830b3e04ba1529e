"""Scores in a result as encodings again, to be corrected or fused in another way without the media."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError
from mmemo.fusion.late import LateFusion, RuleFusion, scores_only
from mmemo.fusion.stacked import StackingHead
from mmemo.model import EmotionModel
from mmemo.result import ModalityScores

_LEAST = 1e-12
"""Scores below have no logarithm worth the name."""


def check_rescorable(model: EmotionModel) -> None:
    """Refuse a model whose fusion head reads more than log scores, coverage and trust: a result has no more.

    Raises:
        ArgumentError: see above.
    """
    if not isinstance(model.fusion, LateFusion | RuleFusion | StackingHead):
        raise ArgumentError(
            f"{type(model.fusion).__name__}, the fusion head of {model.name!r}, reads more than the scores of each "
            "modality, and a result has no more: only late, rule and stacked fusion can be done again from results."
        )


def encoding_of(model: EmotionModel, scores: Sequence[ModalityScores | None]) -> Encoding:
    """One modality of N results as an encoding without tokens; None where a result lacks it.

    The model's prior is taken out of the scores, as fusing puts it in. It is exact but for rounding.

    Args:
        model: the one that the results came from, under the same prior.
    """
    present = np.array([one is not None for one in scores])
    shares = np.ones((len(scores), len(model.labels)))
    quality = np.ones((len(scores), 2), np.float32)
    for row, one in enumerate(scores):
        if one is not None:
            shares[row] = [one.scores[label] for label in model.labels]
            quality[row] = one.coverage, 1.0 if one.trust is None else one.trust
    logits = np.log(np.maximum(shares, _LEAST)) - np.log(model.prior)
    return replace(scores_only(logits, present), quality=quality)
