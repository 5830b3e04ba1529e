"""Late fusion: a weighted product of calibrated experts, one a modality; and the rules that learn nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any, Self

import numpy as np

from mmemo.encoders.base import QUALITIES, Encoding
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.errors import ArgumentError, expected_one_of, require_extra
from mmemo.fusion.base import check_training, present, word_trust
from mmemo.labels import LabelSet

_WIDEST = 6.0
"""The largest logarithm of a ratio of two weights that `LateFusion.fit` tries: 400 to 1."""
_SHRINKAGE = 0.003
"""How strongly the weights of classes are drawn towards the weight of their modality."""
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.9
"""Where `LateFusion.fit` begins with the shares of `Trust`, and how far it goes."""
_LEAST_RELIABILITY = 0.05
NEUTRAL = "neutral"
"""The label of a modality that shows nothing."""


@dataclass(frozen=True)
class Trust:
    """How far one modality can be believed beside others.

    A person in an emotion does not show it in every modality at every moment: a face may stay neutral while the voice
    is angry, and most words say nothing of how they are meant. Neutral scores are weak evidence for neutral then. A
    modality may also be about something else altogether: a quotation, a face that is not the speaker's.

    Attributes:
        silent: share of the moments of an emotion in which the modality is neutral, 0 to 1.
        unrelated: share of all moments in which it has nothing to do with the person's emotion, 0 to 1.
        coverage: exponent, at least 0, of the share of the window with evidence, as a factor of the weight: with 1 half
            a window has half the weight, with 0 all of it.

    Raises:
        ArgumentError: if a number is outside its range.

    >>> from mmemo.fusion.late import Trust
    >>> Trust(silent=0.3, coverage=0.5).unrelated
    0.0
    """

    silent: float = 0.0
    unrelated: float = 0.0
    coverage: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("silent", 1.0), ("unrelated", 1.0), ("coverage", np.inf)):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value <= most and value < np.inf):
                raise ArgumentError(f"Trust.{name} goes from 0 to {most:g}, got {value!r}.")

    def log_scores(self, log_scores: np.ndarray, neutral: int | None) -> np.ndarray:
        """Log scores (B, K) of what the person expresses, given those (B, K) of what the modality shows.

        Both are under equal priors. The labels keep their order: what is weak evidence is drawn nearer to the others.

        Args:
            neutral: index of the neutral label, if there is one.
        """
        scores = np.exp(log_scores)
        if self.silent and neutral is not None:
            shown = (1 - self.silent) * scores + self.silent * scores[:, [neutral]]
            shown[:, neutral] = scores[:, neutral]
            scores = shown / shown.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):  # an expert may rule a label out
            return np.asarray(np.log((1 - self.unrelated) * scores + self.unrelated / scores.shape[1]))

    def reliability(self, quality: np.ndarray | None, rows: int) -> np.ndarray:
        """(B,) float64: the factor of the weight, of `Encoding.quality` (B, 2); at least 0.05."""
        if quality is None:
            return np.ones(rows)
        coverage = quality[:, QUALITIES.index("coverage")].astype(float)
        return np.asarray(np.maximum(coverage**self.coverage, _LEAST_RELIABILITY))


class LateFusion:
    """Weighted product of experts: ``log p = n ** agreement * sum(share_m * log q_m) + constant``.

    The sum goes over the n modalities present. ``q_m`` are the modality's scores, taken as far as it can be believed
    beside others (`Trust`). ``share_m`` is the modality's weight, as far as its evidence covers the window, divided by
    the weights of all that are present; one modality alone gives just its own scores. Recognized words weigh less where
    the recognizer is unsure of them (`mmemo.fusion.base.word_trust`). A modality may have a weight for each class: the
    face may be trusted with happiness, the voice with anger. ``agreement`` is how far experts that agree strengthen
    each other: 0 is their geometric mean, 1 the product of independent experts (Hinton, "Products of experts", ICANN
    1999).

    Args:
        labels: classes of every expert, and of the fused scores.
        weights: a positive weight for each modality the head can take, or K of them, one a class.
        agreement: from 0 to 1.
        trust: of modalities; by default each is believed as it is.

    Raises:
        ArgumentError: if a weight is not positive, ``agreement`` lies outside 0 to 1, or ``trust`` has a modality
            without a weight.

    >>> import numpy as np
    >>> from mmemo.fusion.late import LateFusion, scores_only
    >>> from mmemo.labels import LabelSet
    >>> head = LateFusion(LabelSet("two", ("calm", "tense")), {"face": 3.0, "voice": 1.0}, agreement=0.0)
    >>> face, voice = (scores_only(np.log([scores])) for scores in ([0.9, 0.1], [0.5, 0.5]))
    >>> head.fuse({"face": face, "voice": voice}).round(2)
    array([[0.84, 0.16]])
    >>> head.shares({"face": face, "voice": voice})["face"]
    array([0.75])
    """

    kind = "late"

    def __init__(
        self,
        labels: LabelSet,
        weights: Mapping[str, float | Sequence[float]],
        agreement: float = 0.5,
        trust: Mapping[str, Trust] | None = None,
    ) -> None:
        arrays = {modality: _numbers(weight) for modality, weight in weights.items()}
        bad = {
            modality: weights[modality]
            for modality, weight in arrays.items()
            if not ((weight > 0) & (weight < np.inf)).all() or weight.shape not in ((), (len(labels),))
        }
        if bad or not weights:
            raise ArgumentError(
                f"LateFusion needs positive weights, one a modality or one a class, got {bad or dict(weights)}."
            )
        if not 0 <= agreement <= 1:
            raise ArgumentError(f"LateFusion: agreement goes from 0 to 1, got {agreement}.")
        self.labels = labels
        self.weights = dict(weights)
        for modality in trust or {}:
            if modality not in weights:
                raise ArgumentError(expected_one_of("Modality of the trust of LateFusion", weights, modality))
        self.agreement = agreement
        self.trust = {modality: (trust or {}).get(modality, Trust()) for modality in weights}
        self._neutral = labels.index(NEUTRAL) if NEUTRAL in labels else None
        self._table = np.stack([np.broadcast_to(weight, len(labels)) for weight in arrays.values()])

    def _reliability(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """(B, M): how far the evidence of each modality counts, 0 to 1; 0 where it is absent."""
        reliability = present(self, self.weights, encodings) * word_trust(self.weights, encodings)
        for column, modality in enumerate(self.weights):
            if modality in encodings:
                quality = encodings[modality].quality
                reliability[:, column] *= self.trust[modality].reliability(quality, len(reliability))
        return np.asarray(reliability)

    def _class_shares(self, reliability: np.ndarray) -> np.ndarray:
        """(B, M, K): share of each modality in each class; 0 where it is absent."""
        weights = reliability[:, :, None] * self._table
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Share of each modality in each row, (B,) float64: the mean over the classes."""
        mean = self._class_shares(self._reliability(encodings)).mean(axis=2)
        return {m: mean[:, column] for column, m in enumerate(self.weights) if m in encodings}

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64 of calibrated encodings; see `mmemo.fusion.base.FusionHead`."""
        reliability = self._reliability(encodings)
        experts = np.zeros((*reliability.shape, len(self.labels)))
        several = (reliability > 0).sum(axis=1) > 1
        for column, modality in enumerate(self.weights):
            if modality in encodings:
                rows = reliability[:, column] > 0
                own = log_softmax(encodings[modality].logits[rows].astype(float))
                believed = self.trust[modality].log_scores(own, self._neutral)
                experts[rows, column] = np.where(several[rows, None], believed, own)
        return _product(experts, self._class_shares(reliability), reliability.sum(axis=1), self.agreement)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings and (no) arrays."""
        trust = {modality: asdict(one) for modality, one in self.trust.items() if one != Trust()}
        return {"kind": self.kind, "weights": self.weights, "agreement": self.agreement, "trust": trust}, {}

    @classmethod
    def from_state(
        cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> Self:
        """Rebuild from what `state` gave."""
        del arrays
        trust = {modality: Trust(**one) for modality, one in settings["trust"].items()}
        return cls(labels, settings["weights"], settings["agreement"], trust)

    @classmethod
    def fit(
        cls,
        labels: LabelSet,
        encodings: Mapping[str, Encoding],
        target: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        seed: int = 0,
        per_class: bool = False,
        trust: Mapping[str, Trust] | None = None,
    ) -> Self:
        """Learn weights, agreement and the shares of `Trust` by the log loss over every subset of modalities.

        Args:
            encodings: calibrated, of N samples; a sample counts for each subset of two or more modalities it has.
            target: (N,) int class indices.
            groups: not needed, as nothing is held out.
            seed: not needed, as nothing is random.
            per_class: whether to learn a weight for each class too, drawn towards the modality's own.
            trust: the exponents of modalities, which are not learned here; none by default.

        Raises:
            ArgumentError: if there is one modality only, or no sample has two; see also `check_training`.
        """
        require_extra("Fitting a fusion head", "fit", "scipy")
        from scipy.optimize import minimize  # takes longer to import than fusing does

        del seed
        encodings, target, _ = check_training(cls.__name__, labels, encodings, target, groups)
        modalities = sorted(encodings)
        count, exponents = len(modalities), dict(trust or {})
        subsets = [
            (target[rows], {modality: _without_tokens(encodings[modality].rows(rows)) for modality in chosen})
            for size in range(2, count + 1)
            for chosen in combinations(modalities, size)
            if len(rows := np.flatnonzero(np.all([encodings[modality].present for modality in chosen], axis=0)))
        ]
        if not subsets:
            raise ArgumentError(f"LateFusion.fit needs samples with two modalities at least, got {modalities} apart.")

        def build(parameters: np.ndarray) -> LateFusion:
            agreement, ratios, shares, by_class = np.split(parameters, [1, count, 3 * count])
            weights = np.exp(np.append(ratios, 0.0))
            weights = weights / weights.sum()
            table: dict[str, float | Sequence[float]] = dict(zip(modalities, weights.tolist(), strict=True))
            if len(by_class):
                factors = np.exp(by_class.reshape(count, -1))
                table = {
                    m: (weight * row).tolist() for m, weight, row in zip(modalities, weights, factors, strict=True)
                }
            believed = {
                modality: replace(exponents.get(modality, Trust()), silent=float(silent), unrelated=float(unrelated))
                for modality, silent, unrelated in zip(modalities, shares[:count], shares[count:], strict=True)
            }
            return cls(labels, table, float(agreement[0]), believed)

        def loss(parameters: np.ndarray) -> float:
            head = build(parameters)
            total = 0.0
            for label, chosen in subsets:
                total -= float(np.mean(np.log(head.fuse(chosen)[np.arange(len(label)), label] + 1e-12)))
            return total / len(subsets) + _SHRINKAGE * float(np.sum(parameters[3 * count :] ** 2))

        silent = np.full(count, float(NEUTRAL in labels))  # without a neutral label nothing is silent
        shares = np.append(silent, np.ones(count))
        start = np.concatenate([[0.5], np.zeros(count - 1), shares * _LEAST_SHARE])
        bounds = [(0.0, 1.0)] + [(-_WIDEST, _WIDEST)] * (count - 1) + [(0.0, one * _MOST_SHARE) for one in shares]
        best = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
        if per_class:
            start = np.append(best, np.zeros(count * len(labels)))
            bounds += [(-_WIDEST, _WIDEST)] * (len(start) - len(bounds))
            best = minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40}).x
        head = build(best)
        return cls(labels, head.weights, head.agreement, head.trust)


def _numbers(weight: float | Sequence[float]) -> np.ndarray:
    """A weight as float64; NaN for what is no number, or larger than any."""
    try:
        return np.asarray(weight, float)
    except (OverflowError, TypeError, ValueError):
        return np.array(np.nan)


class RuleFusion:
    """Mean or maximum of the scores of the modalities present, without learning: the baselines of a learned head.

    They are the sum and the max rule of Kittler et al., "On combining classifiers", IEEE TPAMI 20(3), 1998.

    Args:
        labels: classes of every expert, and of the fused scores.
        modalities: all that the head can take.
        rule: "mean" or "max"; it is the head's ``kind`` too.

    Raises:
        ArgumentError: for another rule.

    >>> import numpy as np
    >>> from mmemo.fusion.late import RuleFusion, scores_only
    >>> from mmemo.labels import LabelSet
    >>> head = RuleFusion(LabelSet("two", ("calm", "tense")), ("face", "voice"))
    >>> face, voice = (scores_only(np.log([scores])) for scores in ([0.9, 0.1], [0.5, 0.5]))
    >>> head.fuse({"face": face, "voice": voice}).round(2)
    array([[0.7, 0.3]])
    """

    def __init__(self, labels: LabelSet, modalities: Iterable[str], rule: str = "mean") -> None:
        if rule not in ("mean", "max"):
            raise ArgumentError(expected_one_of("Rule of RuleFusion", ("mean", "max"), rule))
        self.labels = labels
        self.modalities = dict.fromkeys(modalities, 1.0)
        self.kind = rule

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Equal shares of the modalities present, (B,) float64."""
        presence = present(self, self.modalities, encodings)
        equal = presence / presence.sum(axis=1, keepdims=True)
        return {m: equal[:, column] for column, m in enumerate(self.modalities) if m in encodings}

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64."""
        presence = present(self, self.modalities, encodings)
        scores = np.zeros((*presence.shape, len(self.labels)))
        for column, modality in enumerate(self.modalities):
            if modality in encodings:
                rows = presence[:, column]
                scores[rows, column] = softmax(encodings[modality].logits[rows].astype(float))
        pooled = scores.sum(axis=1) if self.kind == "mean" else scores.max(axis=1)
        return np.asarray(pooled / pooled.sum(axis=1, keepdims=True))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings and (no) arrays."""
        return {"kind": self.kind, "modalities": list(self.modalities)}, {}

    @classmethod
    def from_state(
        cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> Self:
        """Rebuild from what `state` gave."""
        del arrays
        return cls(labels, settings["modalities"], settings["kind"])

    @classmethod
    def fit(
        cls,
        labels: LabelSet,
        encodings: Mapping[str, Encoding],
        target: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        seed: int = 0,
        rule: str = "mean",
    ) -> Self:
        """A head for the modalities of the encodings: there is nothing to learn.

        Args:
            rule: "mean" or "max". The others: `mmemo.fusion.base.FittableHead`.
        """
        del seed
        check_training(cls.__name__, labels, encodings, target, groups)
        return cls(labels, sorted(encodings), rule)


def _without_tokens(encoding: Encoding) -> Encoding:
    """Late fusion reads log scores and quality only."""
    return replace(scores_only(encoding.logits, encoding.present), quality=encoding.quality)


def scores_only(logits: np.ndarray, present: np.ndarray | None = None) -> Encoding:
    """Logits (N, K) as an encoding with one empty token of width 1.

    Args:
        present: (N,) bool; all by default.
    """
    mask = np.ones(len(logits), bool) if present is None else present
    return Encoding(np.zeros((len(logits), 1, 1), np.float32), mask[:, None], logits)


def weighted_product(
    labels: LabelSet,
    shares: np.ndarray,
    modalities: Iterable[str],
    encodings: Mapping[str, Encoding],
    agreement: float,
) -> np.ndarray:
    """Scores (B, K) float64 of a product of experts.

    Recognized words count in ``n ** agreement`` only as far as they are trusted.

    Args:
        shares: (B, M, K), or (B, M, 1) where they are the same in all classes.
        modalities: M of them, in the order of ``shares``.
    """
    modalities = tuple(modalities)
    experts, count = np.zeros((len(shares), len(modalities), len(labels))), np.zeros(len(shares))
    trust = word_trust(dict.fromkeys(modalities), encodings)
    for column, modality in enumerate(modalities):
        if modality in encodings:
            rows = encodings[modality].present
            count += rows * trust[:, column]
            experts[rows, column] = log_softmax(encodings[modality].logits[rows].astype(float))
    return _product(experts, shares, count, agreement)


def _product(experts: np.ndarray, shares: np.ndarray, count: np.ndarray, agreement: float) -> np.ndarray:
    """(B, K): log scores (B, M, K) by their shares, which agree the more, the more of them count (B,)."""
    return softmax((shares * experts).sum(axis=1) * (np.maximum(count, 1) ** agreement)[:, None])
