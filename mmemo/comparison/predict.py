"""Every subset of a model's modalities, asked about the same clips."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from mmemo.comparison.predictions import Answers, Removed
from mmemo.data.encoding import EncodedClips
from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError, ManifestError
from mmemo.model import EmotionModel

GROUPS = ("gender", "language", "corpus", "speaker")
"""Columns of a manifest that figures are told apart by."""
DIMENSIONS = ("valence", "arousal", "dominance")


def ask(model: EmotionModel, clips: EncodedClips) -> Answers:
    """What a model says of encoded clips by each modality alone, by every pair, and by all.

    One modality alone is its expert with its calibration; several are fused by the model's head.

    Args:
        clips: of the model's encoders, not calibrated. Those without a label are left out.

    Raises:
        ManifestError: if no clip has a label, or nothing was found in any.
    """
    labelled = np.flatnonzero(clips.target >= 0)
    if not len(labelled):
        raise ManifestError(clips.manifest, ["no clip has a label to compare with"])
    encodings = calibrated(model, clips, labelled)
    notes = list(clips.faults)
    for modality, encoding in list(encodings.items()):
        if not encoding.present.any():
            notes.append(f"No clip has any {modality}, so it is left out.")
            del encodings[modality]
    if not encodings:
        raise ManifestError(clips.manifest, ["no clip has any of the modalities asked for"])
    missing = int((~np.any([encoding.present for encoding in encodings.values()], axis=0)).sum())
    if missing:
        notes.append(f"{missing} clips have no modality at all: no answer, which counts as wrong.")
    scores, removed = subsets(model, encodings)
    true, strange = values_of(clips, labelled)
    told = {
        modality: dict(zip(DIMENSIONS, clips.affect[modality][labelled].T.astype(float), strict=True))
        for modality in encodings
        if modality in clips.affect and true
    }
    return Answers(
        tuple(model.labels),
        np.array([clips.manifest[int(row)].id for row in labelled]),
        clips.target[labelled],
        scores,
        removed,
        groups_of(clips, labelled),
        true,
        {modality: {what: one for what, one in of.items() if what in true} for modality, of in told.items()},
        (*notes, *strange),
    )


def calibrated(model: EmotionModel, clips: EncodedClips, rows: np.ndarray) -> dict[str, Encoding]:
    """Calibrated encodings of some clips, by modality.

    Raises:
        ArgumentError: if a value is not finite, or tokens are of another width than the head was trained on.
    """
    dims: Mapping[str, int] = getattr(model.fusion, "dims", {})
    for modality, dim in clips.dims.items():
        if dims.get(modality, dim) != dim:
            raise ArgumentError(
                f"The fusion head was trained on {modality} tokens of width {dims[modality]}, these clips were encoded "
                f"with {dim}. Encode them with the model's own encoders."
            )
    return {modality: one.calibrate(model.temperatures[modality]) for modality, one in clips.batch(rows).items()}


def subsets(
    model: EmotionModel, encodings: Mapping[str, Encoding]
) -> tuple[dict[str, np.ndarray], dict[str, dict[Removed, np.ndarray]]]:
    """Scores (N, K) of every subset of calibrated encodings, and of each subset with some of it taken away."""
    names = [modality for modality in model.modalities if modality in encodings]
    chosen = [some for size in range(1, len(names) + 1) for some in combinations(names, size)]
    fused = {some: _fused(model, {m: encodings[m] for m in some}) for some in chosen}
    scores, removed = {}, {}
    for some in chosen:
        nothing = np.full(fused[some].shape, 1 / len(model.labels))
        name = " + ".join(some)
        scores[name] = fused[some]
        if len(some) == 1:
            encoding = encodings[some[0]]
            scores[name] = np.where(encoding.present[:, None], model.scores(encoding), nothing)
        removed[name] = {
            tuple(sorted(gone)): fused.get(tuple(m for m in some if m not in gone), nothing)
            for size in range(1, len(some) + 1)
            for gone in combinations(some, size)
        }
    return scores, removed


def groups_of(clips: EncodedClips, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Who speaks, of which gender, in which language and corpus, where the manifest says it of any clip."""
    found = {name: [getattr(clips.manifest[int(row)], name) or "" for row in rows] for name in GROUPS}
    return {name: np.array(column) for name, column in found.items() if any(column)}


def values_of(clips: EncodedClips, rows: np.ndarray) -> tuple[dict[str, np.ndarray], list[str]]:
    """Annotated valence, arousal and dominance, where the manifest has any, and a note on those of another scale.

    Encoders tell them from -1 to 1, and concordance asks for the same scale.
    """
    kept, notes = {}, []
    for name in DIMENSIONS:
        column = [getattr(clips.manifest[int(row)], name) for row in rows]
        values = np.array([np.nan if value is None else value for value in column], float)
        known = values[np.isfinite(values)]
        if len(known) and np.abs(known).max() > 1:
            notes.append(
                f"The manifest's {name} goes from {known.min():g} to {known.max():g}; encoders tell it from -1 to 1. "
                "Bring it to that scale (Manifest.update) to compare."
            )
        elif len(known):
            kept[name] = values
    return kept, notes


def _fused(model: EmotionModel, encodings: Mapping[str, Encoding]) -> np.ndarray:
    """Fused scores; a row with none of these modalities has all classes alike."""
    some = np.any([encoding.present for encoding in encodings.values()], axis=0)
    scores = np.full((len(some), len(model.labels)), 1 / len(model.labels))
    if some.any():
        scores[some] = model.fuse({modality: one.rows(some) for modality, one in encodings.items()})
    return scores
