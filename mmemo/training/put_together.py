"""Clips put together from samples of different corpora: what a fusion head is fitted and measured on among strangers.

No corpus has face, voice and words of the same moment for all labels. So one face, one voice and one line with the same
label make a clip, as far as each of them shows it. People do not show an emotion in everything at once: by the voice
alone people recognize acted emotions 64% as often as from all of the clip, by the face alone 92% as often (Cao et al.,
"CREMA-D", IEEE Transactions on Affective Computing 5(4), 2014), and encoders less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax
from mmemo.evaluation.calibration import fit_temperature
from mmemo.fusion.late import NEUTRAL, scores_only
from mmemo.labels import LabelSet


@dataclass(frozen=True, eq=False)
class ExpertSamples:
    """Samples of one modality by its encoder, of people and, if possible, corpora that it was not trained on.

    Attributes:
        logits: (N, K) of the encoder.
        prior: (K,) of the encoder.
        target: (N,) class indices.
        corpus: (N,) names; corpora are drawn equally often.
        coverage: (N,) share of a window with evidence.
    """

    logits: np.ndarray
    prior: np.ndarray
    target: np.ndarray
    corpus: np.ndarray
    coverage: np.ndarray

    def rows(self, chosen: np.ndarray) -> ExpertSamples:
        """Some samples, by a (N,) bool or their indices."""
        parts = (self.target[chosen], self.corpus[chosen], self.coverage[chosen])
        return ExpertSamples(self.logits[chosen], self.prior, *parts)

    def log_scores(self, temperature: float) -> np.ndarray:
        """(N, K), calibrated and without the prior."""
        return np.asarray(log_softmax(self.logits / temperature - np.log(self.prior)))

    def temperature(self) -> float:
        """The best one for windows full of evidence."""
        whole = self.coverage == 1
        share = np.bincount(self.target[whole], minlength=len(self.prior)) / whole.sum()
        return fit_temperature(self.logits[whole], self.target[whole], np.log(share) - np.log(self.prior))

    def coverage_exponent(self, temperature: float) -> float:
        """That with which log scores times ``coverage ** exponent`` have the least log loss; corpora count equally."""
        if (self.coverage == 1).all():
            return 0.0
        corpora, which = np.unique(self.corpus, return_inverse=True)
        weights = 1 / np.bincount(which, minlength=len(corpora))[which]
        place, log_scores = (np.arange(len(self.target)), self.target), self.log_scores(temperature)

        def loss(exponent: float) -> float:
            scores = log_softmax(log_scores * (self.coverage**exponent)[:, None])
            return float(-np.average(scores[place], weights=weights))

        return min((round(step * 0.02, 2) for step in range(51)), key=loss)

    def draw(self, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A sample of each wanted label (M,), of any corpus that has it: (M,) indices."""
        rows = np.zeros(len(wanted), int)
        for label in np.unique(wanted):
            here = np.flatnonzero(wanted == label)
            members = np.flatnonzero(self.target == label)
            corpora = np.unique(self.corpus[members])
            chosen = rng.choice(corpora, len(here))
            for corpus in corpora:
                places = here[chosen == corpus]
                rows[places] = rng.choice(members[self.corpus[members] == corpus], len(places))
        return rows

    def encoding(self, rows: np.ndarray, temperature: float) -> Encoding:
        """Some samples as a fusion head takes them."""
        quality = np.column_stack([self.coverage[rows], np.ones(len(rows))]).astype(np.float32)
        return replace(scores_only(self.log_scores(temperature)[rows].astype(np.float32)), quality=quality)


@dataclass(frozen=True)
class Shown:
    """How often a modality shows what the person feels.

    Attributes:
        silent: share of the clips of an emotion in which it is neutral.
        unrelated: share of all clips in which it has the label of any sample.
    """

    silent: float = 0.0
    unrelated: float = 0.0


def put_together(
    labels: LabelSet, samples: Mapping[str, ExpertSamples], shown: Mapping[str, Shown], target: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Rows (M,) of each modality's samples that make clips with the labels ``target`` (M,)."""
    rng = np.random.default_rng(seed)
    rows = {}
    for name, own in samples.items():
        silent = rng.random(len(target)) < shown[name].silent
        unrelated = rng.random(len(target)) < shown[name].unrelated
        wanted = np.where(silent, labels.index(NEUTRAL), target)
        wanted = np.where(unrelated, rng.choice(own.target, len(target)), wanted)
        rows[name] = own.draw(wanted, rng)
    return rows
