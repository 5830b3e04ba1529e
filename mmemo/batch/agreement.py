"""Agreement of predicted labels with the annotations of a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmemo.evaluation.bootstrap import Interval, bootstrap
from mmemo.evaluation.metrics import confusion, uar

if TYPE_CHECKING:
    from mmemo.batch.result import Batch


@dataclass(frozen=True, eq=False)
class Comparison:
    """Of the N clips that were analyzed and have a label of the model's set.

    Attributes:
        labels: K names; ``table`` (K, K) int64 counts clips: row = annotated, column = predicted.
        uar: mean recall of the labels that occur, with its 95% interval.
        by: what the interval resamples: "speaker" where every clip has one and there are several, else "clip".
        others: clips whose label is of another set; they are not compared.
    """

    labels: tuple[str, ...]
    table: np.ndarray
    uar: Interval
    by: str
    others: int


def compare(batch: Batch) -> Comparison | None:
    """Compare; None if no clip has both a label of the manifest, of the model's set, and scores."""
    labels = batch.labels
    annotated = [row for row in batch.rows if row.annotated is not None and row.scores]
    rows = [row for row in annotated if row.annotated in labels]
    if not rows:
        return None
    place = {label: number for number, label in enumerate(labels)}
    target = np.array([place[str(row.annotated)] for row in rows])
    predicted = np.array([place[str(row.label)] for row in rows])
    speakers = np.array([row.speaker or "" for row in rows])
    grouped = bool((speakers != "").all()) and len(set(speakers)) > 1
    return Comparison(
        labels,
        confusion(target, predicted, len(labels)),
        bootstrap(
            lambda chosen: uar(target[chosen], predicted[chosen], len(labels)),
            len(rows),
            groups=speakers if grouped else None,
        ),
        "speaker" if grouped else "clip",
        len(annotated) - len(rows),
    )
