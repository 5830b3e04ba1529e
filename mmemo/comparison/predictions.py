"""Predictions of several systems on one set of clips, wherever they come from: the input of every comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmemo.errors import ArgumentError, expected_one_of

Modalities = tuple[str, ...]
"""Names of modalities, in alphabetical order."""
WITH_BASELINE = " (baseline)"
"""After the name of a system whose clips are relative to the others of their speaker."""
CALIBRATED = " (calibrated)"
"""After the name of a system that was corrected by other people's clips; see `mmemo.calibrate`."""

DERIVED = " (derived)"
"""After the name of a dimension that follows from class scores by `mmemo.affect.PLACES`."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Class scores of several systems on the same N clips, none of which a system was trained on.

    A row of equal scores is no prediction: the system had no evidence. It counts as wrong.

    Attributes:
        labels: the K classes.
        ids: (N,) names of the clips.
        target: (N,) int64 class indices.
        scores: (N, K) float64 for each system, rows summing to 1.
        ablations: for each system, its scores (N, K) without some modalities, by the modalities that are missing.
        groups: (N,) text for each column such as "speaker", "gender", "language"; "" where it is not known. Intervals
            and tests resample speakers, where all are known and there are several.
        true_values: (N,) float for each dimension such as "valence"; NaN where it is not known.
        values: (N,) float for each system that predicts dimensions, and each dimension such as "valence", or
            "valence (derived)" where it follows from class scores; NaN where there is none.
        notes: what limits the comparison, for its readers.
        unimodal: systems of one modality whose ablations are not known, as those of other tools.

    Raises:
        ArgumentError: if there is no clip or system, shapes don't agree, or rows of scores don't sum to 1.

    >>> scores = {"face": np.array([[0.8, 0.2], [0.3, 0.7]]), "voice": np.array([[0.6, 0.4], [0.5, 0.5]])}
    >>> predictions = Predictions(("calm", "angry"), np.array(["a", "b"]), np.array([0, 1]), scores)
    >>> len(predictions), list(predictions.select(["voice"]).scores)
    (2, ['voice'])
    """

    labels: tuple[str, ...]
    ids: np.ndarray
    target: np.ndarray
    scores: Mapping[str, np.ndarray]
    ablations: Mapping[str, Mapping[Modalities, np.ndarray]] = field(default_factory=dict)
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    true_values: Mapping[str, np.ndarray] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unimodal: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count, classes = len(self.ids), len(self.labels)
        if not count or not self.scores:
            raise ArgumentError(f"A comparison needs clips and systems, got {count} and {list(self.scores)}.")
        if len(np.unique(self.ids)) < count:
            raise ArgumentError("A comparison needs each clip once; some ids repeat.")
        if self.target.shape != (count,) or not ((self.target >= 0) & (self.target < classes)).all():
            raise ArgumentError(f"A comparison needs a target from 0 to {classes - 1} for each of the {count} clips.")
        known = list(self.scores.items())
        known += [(f"{name} without {', '.join(a)}", b) for name, of in self.ablations.items() for a, b in of.items()]
        for name, one in known:
            if one.shape != (count, classes):
                raise ArgumentError(f"Scores of {name!r} must be {(count, classes)}, got {one.shape}.")
            if not (np.isfinite(one).all() and (one >= -1e-6).all() and np.allclose(one.sum(axis=1), 1, atol=1e-3)):
                raise ArgumentError(f"Scores of {name!r} must be shares that sum to 1 in each row, without NaN.")
        columns = [*self.groups.items(), *self.true_values.items()]
        columns += [(name, one) for of in self.values.values() for name, one in of.items()]
        for name, one in columns:
            if one.shape != (count,):
                raise ArgumentError(f"{name!r} must be ({count},), got {one.shape}.")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def speakers(self) -> np.ndarray | None:
        """(N,) speaker of each clip, if all are known and there are several; None otherwise."""
        speakers = self.groups.get("speaker")
        several = speakers is not None and bool((speakers != "").all()) and len(np.unique(speakers)) > 1
        return speakers if several else None

    def rows(self, chosen: np.ndarray) -> Predictions:
        """Some clips, by their indices or by a (N,) bool."""
        return Predictions(
            self.labels,
            self.ids[chosen],
            self.target[chosen],
            {name: one[chosen] for name, one in self.scores.items()},
            {name: {missing: one[chosen] for missing, one in of.items()} for name, of in self.ablations.items()},
            {name: one[chosen] for name, one in self.groups.items()},
            {name: one[chosen] for name, one in self.true_values.items()},
            {name: {dimension: one[chosen] for dimension, one in of.items()} for name, of in self.values.items()},
            self.notes,
            self.unimodal,
        )

    def select(self, systems: Sequence[str]) -> Predictions:
        """Some systems, in the order given.

        Raises:
            ArgumentError: for an unknown system.
        """
        for name in systems:
            if name not in self.scores:
                raise ArgumentError(expected_one_of("System", self.scores, name))
        return self._with_names({name: name for name in systems})

    def rename(self, new_name: Callable[[str], str]) -> Predictions:
        """The same systems by other names."""
        return self._with_names({name: new_name(name) for name in self.scores})

    def _with_names(self, names: Mapping[str, str]) -> Predictions:
        return Predictions(
            self.labels,
            self.ids,
            self.target,
            {new: self.scores[old] for old, new in names.items()},
            {new: self.ablations[old] for old, new in names.items() if old in self.ablations},
            self.groups,
            self.true_values,
            {new: self.values[old] for old, new in names.items() if old in self.values},
            self.notes,
            tuple(new for old, new in names.items() if old in self.unimodal),
        )


def has_prediction(scores: np.ndarray) -> np.ndarray:
    """(N,) bool: rows of scores (N, K) that are a prediction, as one class is above another.

    >>> has_prediction(np.array([[0.6, 0.4], [0.5, 0.5]]))
    array([ True, False])
    """
    return np.asarray(np.ptp(scores, axis=1) > 1e-9)


def predicted_classes(scores: np.ndarray) -> np.ndarray:
    """(N,) int64: the class of the highest score; K where there is no prediction.

    >>> predicted_classes(np.array([[0.6, 0.4], [0.5, 0.5]]))
    array([0, 2])
    """
    return np.asarray(np.where(has_prediction(scores), scores.argmax(axis=1), scores.shape[1]))


def merge(parts: Sequence[Predictions]) -> Predictions:
    """The systems of several sources, on the clips that all sources have.

    Raises:
        ArgumentError: if labels or targets differ, systems have the same name, or no clip is common.

    >>> one = Predictions(("calm", "angry"), np.array(["a"]), np.array([0]), {"face": np.array([[0.8, 0.2]])})
    >>> list(merge([one, one.rename("other {}".format)]).scores)
    ['face', 'other face']
    """
    first = parts[0]
    common = sorted(set.intersection(*(set(part.ids.tolist()) for part in parts)))
    if not common:
        raise ArgumentError("The sources to compare have no clip in common; their ids must agree.")
    joined = []
    for part in parts:
        if part.labels != first.labels:
            raise ArgumentError(f"Sources of different labels can't be compared: {first.labels} and {part.labels}.")
        place = {name: row for row, name in enumerate(part.ids.tolist())}
        joined.append(part.rows(np.array([place[name] for name in common])))
        if not np.array_equal(joined[-1].target, joined[0].target):
            raise ArgumentError("The sources to compare disagree on the labels of the clips they have in common.")
    names = [name for part in joined for name in part.scores]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ArgumentError(f"Systems to compare must have different names; these occur twice: {twice}.")
    notes = [note for part in joined for note in part.notes]
    if any(len(common) < len(part) for part in parts):
        counts = " and ".join(str(len(part)) for part in parts)
        notes.append(f"The sources have {counts} clips; the {len(common)} that all have are compared.")
    return Predictions(
        first.labels,
        joined[0].ids,
        joined[0].target,
        {name: one for part in joined for name, one in part.scores.items()},
        {name: one for part in joined for name, one in part.ablations.items()},
        {name: one for part in reversed(joined) for name, one in part.groups.items()},
        {name: one for part in reversed(joined) for name, one in part.true_values.items()},
        {name: one for part in joined for name, one in part.values.items()},
        tuple(dict.fromkeys(notes)),
        tuple(name for part in joined for name in part.unimodal),
    )
