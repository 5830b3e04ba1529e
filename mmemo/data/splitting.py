"""Splits and folds in which no speaker (or session, dialogue …) is in two parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmemo.clip import Clip
from mmemo.errors import ArgumentError, ManifestError


def values(clips: Sequence[Clip], by: str) -> list[str]:
    """The value of one attribute of every clip.

    Raises:
        ArgumentError: if clips have no such attribute.
        ManifestError: if some have no value.
    """
    if by not in Clip.__dataclass_fields__:
        raise ArgumentError(f"Clips have no {by!r}; expected one of their attributes, such as 'speaker' or 'dialogue'.")
    attributes = [getattr(clip, by) for clip in clips]
    missing = [clip.id for clip, value in zip(clips, attributes, strict=True) if value in (None, "")]
    if missing:
        raise ManifestError(
            "The manifest", [f"{len(missing)} of {len(clips)} clips have no {by}: {', '.join(missing[:5])} …"]
        )
    return [str(value) for value in attributes]


def assign(
    clips: Sequence[Clip], by: str, shares: Mapping[str, float], *, stratify: bool = True, seed: int = 0
) -> list[str]:
    """A part for every clip, so that no group is in two parts and the parts are as large as wanted.

    Groups are placed one after the other, largest first, each where the squared error of the parts' sizes (or of their
    counts of each label) then is least: the greedy rule of scikit-learn's ``StratifiedGroupKFold``, for parts that may
    differ in size.

    Args:
        by: attribute whose values are the groups.
        shares: of the clips, by part; they need not sum to 1.
        stratify: whether every label shall be shared out so, not the number of clips only.
        seed: order of groups of equal size.

    Raises:
        ManifestError: if clips have no group, or there are fewer groups than parts.
        ArgumentError: if a share is not positive.
    """
    if not shares or not all(0 < share < np.inf for share in shares.values()):
        raise ArgumentError(f"Shares must be positive numbers, got {dict(shares)}.")
    groups, member = np.unique(values(clips, by), return_inverse=True)
    if len(groups) < len(shares):
        raise ManifestError(
            "The manifest",
            [f"{len(groups)} different values of {by} ({', '.join(groups)}) can't fill {len(shares)} parts"],
        )
    _, label = np.unique([clip.label or "" if stratify else "" for clip in clips], return_inverse=True)
    counts = np.zeros((len(groups), label.max() + 1))
    np.add.at(counts, (member, label), 1)
    wanted = np.array(list(shares.values()))[:, None] / sum(shares.values()) * counts.sum(axis=0)
    scale = np.maximum(counts.sum(axis=0), 1)  # a rare label counts as much as a common one
    held = np.zeros_like(wanted)
    chosen = np.full(len(groups), -1)
    order = np.random.default_rng(seed).permutation(len(groups))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    for place, group in enumerate(order):
        left, empty = len(order) - place, np.flatnonzero(held.sum(axis=1) == 0)
        parts = empty if left <= len(empty) else np.arange(len(wanted))
        before = (((held - wanted) / scale) ** 2).sum(axis=1)
        after = (((held + counts[group] - wanted) / scale) ** 2).sum(axis=1)
        chosen[group] = parts[np.argmin((after - before)[parts])]
        held[chosen[group]] += counts[group]
    names = list(shares)
    return [names[chosen[group]] for group in member]


def assign_published(clips: Sequence[Clip], by: str, folds: Mapping[str, Sequence[str]]) -> list[str]:
    """The fold of every clip, from lists of the groups that each fold tests.

    Raises:
        ManifestError: if a group is in no fold, or in two.
    """
    fold_of: dict[str, str] = {}
    faults = []
    for name, groups in folds.items():
        for group in groups:
            if group in fold_of:
                faults.append(f"{by} {group!r} is in fold {fold_of[group]!r} and in {name!r}")
            fold_of[group] = name
    members = values(clips, by)
    faults += [f"{by} {group!r} is in no fold" for group in sorted(set(members) - set(fold_of))]
    if faults:
        raise ManifestError("The folds", faults)
    return [fold_of[value] for value in members]
