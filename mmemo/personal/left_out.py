"""Baselines of many clips at once: each clip is measured by the others of its person, or of its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import softmax
from mmemo.fusion.late import scores_only
from mmemo.model import EmotionModel
from mmemo.personal.baseline import Baseline, Of
from mmemo.personal.statistics import centered

LEAST_PEOPLE = 3
"""With fewer people there is no baseline of the place."""
_FOLDS = 100
"""Of more clips of a person, or more people, hundredths are left out together: work grows no faster than the clips."""


def relative_to_others(
    model: EmotionModel, encodings: Mapping[str, Encoding], people: Sequence[str | None], of: Of = "person"
) -> tuple[dict[str, Encoding], np.ndarray]:
    """Each clip's log scores less the baseline of other clips; no clip is in its own baseline.

    Args:
        encodings: calibrated, of N clips, by modality.
        people: who is in each clip; None or "" where that is not known.
        of: "person": a baseline of the person's other clips, within that of the place, which is that of all clips of
            other people, if there are three people at least. A clip whose person is not known stays as it is.
            "place": a baseline of the place alone; all other clips count where the person is not known.

    Returns:
        The corrected encodings, and (N,) bool: the clips that have a baseline.
    """
    # As a baseline fitted to results: no score counts as less than a millionth.
    scores = {m: centered(np.log(np.maximum(softmax(one.logits.astype(float)), 1e-6))) for m, one in encodings.items()}
    logits = {m: one.logits.copy() for m, one in encodings.items()}
    changed = np.zeros(len(people), bool)
    for rows, baseline in _baselines(model, scores, encodings, np.array([one or "" for one in people], object), of):
        corrections = baseline.corrections(model)
        for m, correct in corrections.items():
            logits[m][rows] = correct(scores_only(encodings[m].logits[rows])).logits
            changed[rows] |= encodings[m].present[rows]
    return {m: replace(one, logits=logits[m]) for m, one in encodings.items()}, changed


def _baselines(
    model: EmotionModel,
    scores: Mapping[str, np.ndarray],
    encodings: Mapping[str, Encoding],
    people: np.ndarray,
    of: Of,
) -> Iterator[tuple[np.ndarray, Baseline]]:
    """Rows, and the baseline of others that they are measured by."""

    def baseline(of: Of, rows: np.ndarray) -> Baseline | None:
        present = {m: rows[encodings[m].present[rows]] for m in scores}
        found = {m: scores[m][own] for m, own in present.items() if len(own)}
        return Baseline.of_scores(model, found, of) if found else None

    unknown = people == ""
    everybody = np.unique(people[~unknown].astype(str)).astype(object)
    for group, others in _folds(everybody):
        place = baseline("place", np.flatnonzero(np.isin(people, others))) if len(everybody) >= LEAST_PEOPLE else None
        for person in group:
            own = np.flatnonzero(people == person)
            if of == "place":
                if place is not None:
                    yield own, place
                continue
            for rows, rest in _folds(own):
                found = baseline("person", rest)
                found = place if found is None else found if place is None else found.within(place)
                if found is not None:
                    yield rows, found
    if of == "place":
        for rows, _ in _folds(np.flatnonzero(unknown)):
            found = baseline("place", np.delete(np.arange(len(people)), rows))
            if found is not None:
                yield rows, found


def _folds(items: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each item, or each hundredth of many, and all the others."""
    for fold in range(min(len(items), _FOLDS)):
        yield items[fold::_FOLDS], np.delete(items, slice(fold, None, _FOLDS))
