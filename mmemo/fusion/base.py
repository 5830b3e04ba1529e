"""The contract of a fusion head: encodings of any subset of modalities in, fused scores out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from mmemo.encoders.base import QUALITIES, Encoding
from mmemo.encoders.modality import modality_named
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.labels import LabelSet


class FusionHead(Protocol):
    """Fuses calibrated encodings. Any row of any modality may be absent; a row with nothing at all is an error.

    A head that reads tokens also has ``dims``, the token width of each modality, which a model checks against its
    encoders. A head that a saved model can be loaded with is a `SavableHead`; one that learns, a `FittableHead`.
    `mmemo.testing.check_fusion` checks a class of your own.

    Attributes:
        kind: names the class in a saved model.
        labels: the classes of the fused scores.

    >>> import numpy as np
    >>> from mmemo.fusion.base import FusionHead
    >>> from mmemo.fusion.late import LateFusion, scores_only
    >>> from mmemo.labels import LabelSet
    >>> head: FusionHead = LateFusion(LabelSet("two", ("calm", "tense")), {"face": 1.0, "voice": 1.0})
    >>> face = scores_only(np.log([[0.9, 0.1]]))
    >>> head.fuse({"face": face}).round(2)
    array([[0.9, 0.1]])
    """

    kind: str
    labels: LabelSet

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64, each row summing to 1."""
        ...

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """How much each modality counts in each row: (B,) float64, summing to 1 over those present, 0 where absent."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings (JSON, the ``kind`` among them) and arrays: all but the labels, which the model saves itself."""
        ...


@runtime_checkable
class SavableHead(FusionHead, Protocol):
    """A head that a saved model can be loaded with.

    A saved model names it by its ``kind``, an attribute of the class. A class that is not mmemo's own is given when the
    model is loaded (``load_model(…, classes=[MyHead])``), or offered by an installed package as the entry point of that
    name in the group ``mmemo.fusion``.

    >>> from mmemo.fusion import RuleFusion, SavableHead
    >>> from mmemo.labels import EKMAN7
    >>> isinstance(RuleFusion(EKMAN7, ["face", "voice"]), SavableHead)
    True
    """

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild the head from what `FusionHead.state` gave."""
        ...


@runtime_checkable
class ExportedHead(FusionHead, Protocol):
    """A head whose network may be exported."""

    def graphs(self) -> dict[str, bytes]:
        """Files of exported networks, by name, which are saved beside the arrays; nothing where there is none."""
        ...


class FittableHead(SavableHead, Protocol):
    """A head that is learned from samples, as every head of mmemo is.

    >>> import numpy as np
    >>> from mmemo.fusion.base import FittableHead
    >>> from mmemo.fusion.late import LateFusion, scores_only
    >>> from mmemo.labels import LabelSet
    >>> head: type[FittableHead] = LateFusion
    >>> target = np.array([0, 1, 0, 1])
    >>> encodings = {name: scores_only(np.eye(2)[target]) for name in ("face", "voice")}
    >>> head.fit(LabelSet("two", ("calm", "tense")), encodings, target).fuse(encodings).argmax(axis=1)
    array([0, 1, 0, 1])
    """

    @classmethod
    def fit(
        cls,
        labels: LabelSet,
        encodings: Mapping[str, Encoding],
        target: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        seed: int = 0,
    ) -> Self:
        """Learn from N samples.

        Args:
            encodings: calibrated. Their logits must come from encoders that were not trained on these samples: an
                expert is far too sure of samples it was trained on, and the head would trust it for that.
            target: (N,) int class indices.
            groups: (N,) the speaker of each sample. A head that holds samples out, to stop early or to choose a
                setting, never parts a group; without groups every sample counts as one of its own.
            seed: of everything random.
        """
        ...


def present(head: FusionHead, known: Mapping[str, Any], encodings: Mapping[str, Encoding]) -> np.ndarray:
    """(B, M) bool: the presence of each of the head's ``known`` modalities in each row; False where it is not given.

    Raises:
        ArgumentError: for a modality the head does not know, encodings of different length or number of classes, tokens
            of another width than the head's ``dims`` say, or a row in which nothing is present.
    """
    name = type(head).__name__
    for modality, encoding in encodings.items():
        if modality not in known:
            raise ArgumentError(expected_one_of("Modality of this fusion head", known, modality))
        if encoding.logits.shape[1] != len(head.labels):
            raise ArgumentError(
                f"{name}: the {modality} encoding has {encoding.logits.shape[1]} classes, "
                f"the head has {len(head.labels)}: {list(head.labels)}."
            )
        dim = getattr(head, "dims", {}).get(modality)
        if dim is not None and encoding.tokens.shape[2] != dim:
            raise ArgumentError(
                f"{name} was trained on {modality} tokens of width {dim}, got {encoding.tokens.shape[2]}. "
                "Use the encoder it was trained with, or train the head again."
            )
    lengths = {modality: len(encoding) for modality, encoding in encodings.items()}
    if len(set(lengths.values())) > 1:
        raise ArgumentError(f"{name}: encodings must have the same number of rows, got {lengths}.")
    rows = next(iter(lengths.values()), 0)
    presence = np.zeros((rows, len(known)), bool)
    for column, modality in enumerate(known):
        if modality in encodings:
            presence[:, column] = encodings[modality].present
    if not encodings or not presence.any(axis=1).all():
        raise ArgumentError(f"{name}: a row has no modality at all; leave such rows out before fusing.")
    return presence


MIN_TRUST = 0.05


def word_trust(known: Mapping[str, Any], encodings: Mapping[str, Encoding]) -> np.ndarray:
    """Confidence of the recognized words, (B, M) float64, at least 0.05; 1 for every other modality.

    A head multiplies its weights by it, so that words a recognizer is unsure of count less beside a face and a voice.
    Given words have the confidence 1. Only a trust that is a probability counts (`mmemo.encoders.modality`).
    """
    rows = len(next(iter(encodings.values())))
    trust = np.ones((rows, len(known)))
    for column, modality in enumerate(known):
        quality = encodings[modality].quality if modality in encodings else None
        if quality is not None and modality_named(modality).trust_is_probability:
            trust[:, column] = np.clip(quality[:, QUALITIES.index("trust")], MIN_TRUST, 1.0)
    return trust


def check_training(
    head: str, labels: LabelSet, encodings: Mapping[str, Encoding], target: np.ndarray, groups: np.ndarray | None
) -> tuple[dict[str, Encoding], np.ndarray, np.ndarray]:
    """Check training data, and leave out samples without any modality: encodings, targets and groups of the rest.

    Raises:
        ArgumentError: if lengths differ, targets lie outside the labels, or all are of one class.
    """
    groups = np.arange(len(target)) if groups is None else np.asarray(groups)
    for modality, encoding in encodings.items():
        if len(encoding) != len(target) or len(groups) != len(target):
            raise ArgumentError(
                f"{head}.fit: {len(target)} targets, {len(groups)} groups, {len(encoding)} rows of {modality}; "
                "there must be as many of each."
            )
        if encoding.logits.shape[1] != len(labels):
            raise ArgumentError(
                f"{head}.fit: the {modality} encoding has {encoding.logits.shape[1]} classes, labels has {len(labels)}."
            )
    kept = np.flatnonzero(np.any([e.present for e in encodings.values()], axis=0)) if encodings else np.zeros(0, int)
    if not len(kept):
        raise ArgumentError(f"{head}.fit: no sample has any modality.")
    target = np.asarray(target)[kept]
    if not ((target >= 0) & (target < len(labels))).all():
        raise ArgumentError(f"{head}.fit: targets must be from 0 to {len(labels) - 1}; leave unlabeled samples out.")
    if len(np.unique(target)) < 2:
        raise ArgumentError(f"{head}.fit: all samples are {labels[int(target[0])]!r}; at least two classes are needed.")
    return {modality: encoding.rows(kept) for modality, encoding in encodings.items()}, target, groups[kept]


def hold_out(groups: np.ndarray, target: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(N,) bool: about ``share`` of the groups, at least one, whose samples are held out; none if there is one only."""
    names = np.unique(groups)
    if len(names) < 2:
        return np.zeros(len(groups), bool)
    order = np.random.default_rng(seed).permutation(names)
    held_out = np.isin(groups, order[: max(1, round(share * len(names)))])
    # A class that only held-out groups have could not be learned: its samples go back to the training part.
    lost = np.setdiff1d(target[held_out], target[~held_out])
    return np.asarray(held_out & ~np.isin(target, lost))
