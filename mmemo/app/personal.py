"""What the app knows of people and place: prior, baseline, adaptation, and corrections of its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mmemo.app.sessions import Features
from mmemo.batch.process import Values
from mmemo.document import to_document
from mmemo.errors import ArgumentError
from mmemo.model import EmotionModel, Prior
from mmemo.personal.adaptation import Adaptation
from mmemo.personal.baseline import Baseline
from mmemo.personal.corrections import Corrections
from mmemo.pipeline.analyzer import Analyzer


@dataclass(frozen=True)
class Personal:
    """Prior, baseline and adaptation of all analyses of a server.

    Attributes:
        prior, baseline, adaptation: as those of `mmemo.Analyzer`.
        corrections: from three on, what is learned from them is the adaptation; None if none are kept.

    Raises:
        ArgumentError: if both an adaptation and corrections are given.
    """

    prior: Prior = "balanced"
    baseline: Baseline | Literal["auto"] | None = None
    adaptation: Adaptation | None = None
    corrections: Corrections | None = None

    def __post_init__(self) -> None:
        if self.adaptation is not None and self.corrections is not None:
            raise ArgumentError("Give an adaptation, or corrections, which become one of their own; not both.")

    def request(self, model: EmotionModel, earlier: Sequence[Features] = ()) -> Values:
        """What a worker needs for an analysis now, as plain values.

        Args:
            model: that the worker has, too.
            earlier: features of the same person's clips before this one, which the person's baseline is fitted to.

        Raises:
            ArgumentError: if the corrections can't be read.
        """
        baseline = self._of_person(model, earlier)
        adaptation = self._learned(model)
        return {
            "prior": self.prior if isinstance(self.prior, str) else dict(self.prior),
            "baseline": baseline.to_dict() if isinstance(baseline, Baseline) else baseline,
            "adaptation": None if adaptation is None else to_document(adaptation),
        }

    def analyzer(self, model: EmotionModel) -> Analyzer:
        """An analyzer with the model as it scores now; errors are those of `adjusted`."""
        return Analyzer(model, prior=self.prior, baseline=self.baseline, adaptation=self._learned(model))

    def adjusted(self, model: EmotionModel) -> EmotionModel:
        """The model as it scores now.

        Raises:
            ArgumentError: if baseline or adaptation are of another model, or the corrections can't be read.
        """
        given = (self.baseline, self._learned(model))
        return model.adjusted(
            self.prior, *(one.corrections(model) for one in given if isinstance(one, Baseline | Adaptation))
        )

    def _learned(self, model: EmotionModel) -> Adaptation | None:
        return self.adaptation if self.corrections is None else self.corrections.adaptation(model)

    def _of_person(self, model: EmotionModel, earlier: Sequence[Features]) -> Baseline | Literal["auto"] | None:
        """The baseline of earlier clips, within that of the place if there is one."""
        if not earlier:
            return self.baseline
        names = dict.fromkeys(name for clip in earlier for name in clip)
        scores = {name: np.stack([clip[name].scores for clip in earlier if name in clip]) for name in names}
        fitted = Baseline.of_scores(model, scores)
        place = self.baseline if isinstance(self.baseline, Baseline) else None
        if place is not None and place.of == "person":
            place = place.place
        return replace(fitted, place=place)
