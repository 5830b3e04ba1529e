"""Rows of a batch measured by each other: by the other clips of the same person, or of the same place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmemo.batch.plan import Task
from mmemo.batch.row import Row
from mmemo.batch.sources import By
from mmemo.errors import ArgumentError
from mmemo.model import EmotionModel
from mmemo.personal.left_out import LEAST_PEOPLE, relative_to_others
from mmemo.pipeline.rescore import encoding_of

NOTE = "baseline"
"""Code of the note of a row that is relative to others."""


def people_of(tasks: Sequence[Task], by: By) -> list[str]:
    """Who is in each clip; "" where that is not known.

    Raises:
        ArgumentError: if it is known of no clip, though it must be, or there are too few people for a place.
    """
    if by == "folder":
        people = ["" if task.clip.file is None else str(task.clip.file.parent) for task in tasks]
    else:
        people = [task.clip.speaker or "" for task in tasks]
    count = len(set(people) - {""})
    if by == "speaker" and not count:
        raise ArgumentError(
            'baseline="speaker": no clip has a speaker. Give a manifest with the column speaker, or take '
            '"folder" if there is a folder for each person, or "place".'
        )
    if by == "place" and 0 < count < LEAST_PEOPLE:
        raise ArgumentError(f'baseline="place" needs {LEAST_PEOPLE} people at least, and there are {count} speakers.')
    return people


def relative_rows(rows: Sequence[Row], people: Sequence[str], by: By, model: EmotionModel) -> tuple[Row, ...]:
    """The rows with scores relative to the others, and the note "baseline"; without others a row stays as it is.

    Args:
        people: who is in each; see `people_of`.
        model: that the rows were computed with, under their prior; see `check_rescorable`.
    """
    encodings = {m: encoding_of(model, [row.modalities.get(m) for row in rows]) for m in model.modalities}
    encodings = {m: one for m, one in encodings.items() if one.present.any()}
    corrected, changed = relative_to_others(model, encodings, people, "place" if by == "place" else "person")
    places = np.flatnonzero(changed)
    if not len(places):
        return tuple(rows)
    kept = {m: one.rows(places) for m, one in corrected.items()}
    fused, shares = model.fuse(kept), model.fusion.shares(kept)
    own = {m: model.scores(one) for m, one in kept.items()}
    done = list(rows)
    for number, place in enumerate(places.tolist()):
        row = rows[place]
        modalities = {
            m: replace(one, scores=model.labels.scores(own[m][number]), weight=float(shares[m][number]))
            for m, one in row.modalities.items()
        }
        scores = model.labels.scores(fused[number])
        done[place] = replace(row, scores=scores, modalities=modalities, notes=(*row.notes, NOTE))
    return tuple(done)
