"""Shortcuts: facts that have nothing to do with emotion and yet predict the label or the corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mmemo.clip import Clip
from mmemo.data.checks.scan import MediaScan
from mmemo.evaluation.metrics import uar

BINS = 8
LEAST_GAIN = 0.15
"""Over chance, in UAR, from which a fact is reported."""
LEAST_CLIPS = 40
_SENTENCES = 0.5
"""Sentences are looked at as a cue if this share of the clips says a sentence that others say too."""


def find(clips: Sequence[Clip], scans: Sequence[MediaScan]) -> Iterator[tuple[str, str]]:
    """Codes and messages: which of length, level and sentence predict label or corpus, by a table look-up.

    The look-up learns on one half of the speakers (of the clips where they have none) and is tried on the other half.
    """
    seconds = np.array([np.nan if one.seconds is None else one.seconds for one in scans])
    level = np.array([np.nan if one.level is None else one.level for one in scans])
    facts = {"length": _binned(seconds), "level": _binned(level), "sentence": _sentences(clips)}
    half = _halves(clips)
    for what in ("label", "corpus"):
        names = np.array([getattr(clip, what) or "" for clip in clips])
        for fact, values in facts.items():
            if what == "corpus" and fact == "sentence":
                continue  # corpora have sentences of their own, and that harms nobody
            rows = (names != "") & (values >= 0)
            _, target = np.unique(names[rows], return_inverse=True)
            if rows.sum() < LEAST_CLIPS or target.max(initial=0) == 0:
                continue
            score = (_look_up(values[rows], target, half[rows]) + _look_up(values[rows], target, ~half[rows])) / 2
            chance = 1 / (target.max() + 1)
            if score >= chance + LEAST_GAIN:
                yield (
                    f"{fact}-predicts-{what}",
                    f"The {fact} alone predicts the {what} with a UAR of {score:.2f} (chance {chance:.2f}, on speakers "
                    "it was not learned from): a model can score without looking at emotion.",
                )


def _look_up(values: np.ndarray, target: np.ndarray, learn: np.ndarray) -> float:
    """UAR on the rest of a table learned on ``learn``: each value's most typical class, classes weighted equally."""
    if not learn.any() or learn.all() or len(set(target[~learn])) < 2:
        return 0.0
    table = np.zeros((values.max() + 1, target.max() + 1))
    np.add.at(table, (values[learn], target[learn]), 1)
    table /= np.maximum(table.sum(axis=0), 1)
    return uar(target[~learn], table.argmax(axis=1)[values[~learn]], target.max() + 1)


def _binned(values: np.ndarray) -> np.ndarray:
    """Number of each value's quantile; -1 where it is not known."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), -1)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.where(known, np.searchsorted(edges, np.where(known, values, 0)), -1)


def _sentences(clips: Sequence[Clip]) -> np.ndarray:
    texts = np.array([" ".join((clip.text or "").casefold().split()) for clip in clips], object)
    _, number, counts = np.unique(texts.astype(str), return_inverse=True, return_counts=True)
    repeated = (counts[number] > 1) & (texts != "")
    return np.where(repeated, number, -1) if repeated.mean() >= _SENTENCES else np.full(len(clips), -1)


def _halves(clips: Sequence[Clip]) -> np.ndarray:
    """(N,) bool: every other speaker, or every other clip where speakers are not known."""
    speakers = [clip.speaker or clip.id for clip in clips]
    order = {name: place for place, name in enumerate(dict.fromkeys(speakers))}
    return np.array([order[name] % 2 == 0 for name in speakers])
