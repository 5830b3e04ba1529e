"""What several systems say of the same clips: the one thing that is measured, wherever it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmemo.errors import ArgumentError, expected_one_of

Removed = tuple[str, ...]
"""Names of modalities that were taken away, in alphabetical order."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Scores of several systems on the same N clips, none of which a system was trained on.

    A row of scores that are all alike is no answer: the system had nothing to look at. It counts as wrong.

    Attributes:
        labels: the K classes.
        ids: (N,) names of the clips.
        target: (N,) int64 class indices.
        scores: (N, K) float64 for each system, rows summing to 1.
        removed: for each system that fuses, its scores (N, K) with some modalities taken away.
        groups: (N,) text for each column such as "speaker", "gender", "language"; "" where it is not known. Intervals
            and tests resample speakers, where all are known and there are several.
        true_values: (N,) float for each dimension such as "valence"; NaN where it is not known.
        values: (N,) float for each system that tells dimensions, and each dimension.
        notes: what a reader must know.

    Raises:
        ArgumentError: if there is no clip or system, shapes don't agree, or scores are no shares that sum to 1.
    """

    labels: tuple[str, ...]
    ids: np.ndarray
    target: np.ndarray
    scores: Mapping[str, np.ndarray]
    removed: Mapping[str, Mapping[Removed, np.ndarray]] = field(default_factory=dict)
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    true_values: Mapping[str, np.ndarray] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count, classes = len(self.ids), len(self.labels)
        if not count or not self.scores:
            raise ArgumentError(f"A comparison needs clips and systems, got {count} and {list(self.scores)}.")
        if len(np.unique(self.ids)) < count:
            raise ArgumentError("A comparison needs each clip once; some ids repeat.")
        if self.target.shape != (count,) or not ((self.target >= 0) & (self.target < classes)).all():
            raise ArgumentError(f"A comparison needs a target from 0 to {classes - 1} for each of the {count} clips.")
        known = [(name, one) for name, one in self.scores.items()]
        known += [(f"{name} without {', '.join(a)}", b) for name, of in self.removed.items() for a, b in of.items()]
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
    def clusters(self) -> np.ndarray | None:
        """(N,) who speaks, if that is known of all clips and there are several; None otherwise."""
        speakers = self.groups.get("speaker")
        several = speakers is not None and bool((speakers != "").all()) and len(np.unique(speakers)) > 1
        return speakers if several else None

    def rows(self, chosen: np.ndarray) -> Answers:
        """Some clips, by their indices or by a (N,) bool."""
        return Answers(
            self.labels,
            self.ids[chosen],
            self.target[chosen],
            {name: one[chosen] for name, one in self.scores.items()},
            {name: {gone: one[chosen] for gone, one in of.items()} for name, of in self.removed.items()},
            {name: one[chosen] for name, one in self.groups.items()},
            {name: one[chosen] for name, one in self.true_values.items()},
            {name: {what: one[chosen] for what, one in of.items()} for name, of in self.values.items()},
            self.notes,
        )

    def only(self, systems: Sequence[str]) -> Answers:
        """Some systems, in the order given.

        Raises:
            ArgumentError: for a system that is not there.
        """
        for name in systems:
            if name not in self.scores:
                raise ArgumentError(expected_one_of("System", self.scores, name))
        return self._renamed({name: name for name in systems})

    def called(self, name: Callable[[str], str]) -> Answers:
        """The same systems by other names."""
        return self._renamed({one: name(one) for one in self.scores})

    def _renamed(self, names: Mapping[str, str]) -> Answers:
        return Answers(
            self.labels,
            self.ids,
            self.target,
            {new: self.scores[old] for old, new in names.items()},
            {new: self.removed[old] for old, new in names.items() if old in self.removed},
            self.groups,
            self.true_values,
            {new: self.values[old] for old, new in names.items() if old in self.values},
            self.notes,
        )


def answered(scores: np.ndarray) -> np.ndarray:
    """(N,) bool: rows of scores (N, K) that are an answer, as one class is above another."""
    return np.asarray(np.ptp(scores, axis=1) > 1e-9)


def together(parts: Sequence[Answers]) -> Answers:
    """All systems of several sources, on the clips that all have.

    Raises:
        ArgumentError: if labels or targets differ, systems have the same name, or no clip is common.
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
        raise ArgumentError(f"Systems to compare must have different names; these are there twice: {twice}.")
    notes = [note for part in joined for note in part.notes]
    if any(len(common) < len(part) for part in parts):
        counts = " and ".join(str(len(part)) for part in parts)
        notes.append(f"The sources have {counts} clips; compared are the {len(common)} that all have.")
    return Answers(
        first.labels,
        joined[0].ids,
        joined[0].target,
        {name: one for part in joined for name, one in part.scores.items()},
        {name: one for part in joined for name, one in part.removed.items()},
        {name: one for part in reversed(joined) for name, one in part.groups.items()},
        {name: one for part in reversed(joined) for name, one in part.true_values.items()},
        {name: one for part in joined for name, one in part.values.items()},
        tuple(dict.fromkeys(notes)),
    )
