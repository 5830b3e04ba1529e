"""Predictions of every modality subset of a model on one set of clips."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations

import numpy as np

from mmemo.affect import places_of
from mmemo.comparison.predictions import DERIVED, WITH_BASELINE, Modalities, Predictions
from mmemo.data.encoding import EncodedClips
from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError, ManifestError
from mmemo.model import EmotionModel
from mmemo.personal.left_out import relative_to_others

GROUPS = ("gender", "language", "corpus", "speaker")
"""Columns of a manifest by which metrics are split."""
DIMENSIONS = ("valence", "arousal", "dominance")


def predict(model: EmotionModel, clips: EncodedClips, baseline: bool = False) -> Predictions:
    """Predictions of a model on encoded clips by each modality alone, every pair, and all.

    One modality alone is its own classifier, calibrated; several are fused by the model's head.

    Args:
        model: the model.
        clips: of the model's encoders, not calibrated. Those without a label are left out.
        baseline: add a twin of each system whose clips are relative to the others of their speaker.

    Raises:
        ManifestError: if no clip has a label, or none has any of the modalities.
    """
    labeled = np.flatnonzero(clips.target >= 0)
    if not len(labeled):
        raise ManifestError(clips.manifest, ["no clip has a label to compare with"])
    encodings = calibrate(model, clips, labeled)
    notes = list(clips.faults)
    for modality, encoding in list(encodings.items()):
        if not encoding.present.any():
            notes.append(f"No clip has any {modality}, so it is left out.")
            del encodings[modality]
    if not encodings:
        raise ManifestError(clips.manifest, ["no clip has any of the modalities to compare"])
    missing = int((~np.any([encoding.present for encoding in encodings.values()], axis=0)).sum())
    if missing:
        notes.append(f"{missing} clips have no modality at all: no prediction, which counts as wrong.")
    scores, ablations = predict_subsets(model, encodings)
    groups = group_columns(clips, labeled)
    if baseline:
        corrected, changed = relative_to_others(model, encodings, groups["speaker"].tolist())
        twin_scores, twin_ablations = predict_subsets(model, corrected)
        scores |= {name + WITH_BASELINE: one for name, one in twin_scores.items()}
        ablations |= {name + WITH_BASELINE: one for name, one in twin_ablations.items()}
        notes.append(
            f'"{WITH_BASELINE.strip()}": each clip\'s scores are relative to the other compared clips of its speaker, '
            "whose labels are not used."
        )
        if alone := int((~changed).sum()):
            notes.append(f"{alone} clips have no baseline: nothing else of their speaker, or of others, is compared.")
    true_values, scale_notes = dimension_values(clips, labeled)
    return Predictions(
        tuple(model.labels),
        np.array([clips.manifest[int(row)].id for row in labeled]),
        clips.target[labeled],
        scores,
        ablations,
        groups,
        true_values,
        predict_dimensions(model, clips, labeled, encodings, true_values),
        (*notes, *scale_notes),
    )


def calibrate(model: EmotionModel, clips: EncodedClips, rows: np.ndarray) -> dict[str, Encoding]:
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
    return {modality: model.calibrate(modality, one) for modality, one in clips.batch(rows).items()}


def predict_subsets(
    model: EmotionModel, encodings: Mapping[str, Encoding]
) -> tuple[dict[str, np.ndarray], dict[str, dict[Modalities, np.ndarray]]]:
    """Scores (N, K) of every subset of calibrated encodings, and of each subset with some modalities missing."""
    names = [modality for modality in model.modalities if modality in encodings]
    subsets = [some for size in range(1, len(names) + 1) for some in combinations(names, size)]
    fused = {some: _fuse(model, {m: encodings[m] for m in some}) for some in subsets}
    scores, ablations = {}, {}
    for some in subsets:
        uniform = np.full(fused[some].shape, 1 / len(model.labels))
        name = " + ".join(some)
        scores[name] = fused[some]
        if len(some) == 1:
            encoding = encodings[some[0]]
            scores[name] = np.where(encoding.present[:, None], model.scores(encoding), uniform)
        ablations[name] = {
            tuple(sorted(missing)): fused.get(tuple(m for m in some if m not in missing), uniform)
            for size in range(1, len(some) + 1)
            for missing in combinations(some, size)
        }
    return scores, ablations


def predict_dimensions(
    model: EmotionModel,
    clips: EncodedClips,
    rows: np.ndarray,
    encodings: Mapping[str, Encoding],
    names: Collection[str],
) -> dict[str, dict[str, np.ndarray]]:
    """The dimensions of some clips by each modality: predicted, or derived from its scores and named so."""
    places, values = places_of(model.labels), {}
    for modality, encoding in encodings.items():
        predicted = clips.affect[modality][rows].astype(float) if modality in clips.affect else None
        columns: dict[str, np.ndarray] = {}
        for place, name in enumerate(DIMENSIONS):
            if predicted is not None and not np.isnan(predicted[encoding.present, place]).all():
                columns[name] = predicted[:, place]
            elif places is not None:
                columns[name + DERIVED] = np.where(encoding.present, model.scores(encoding) @ places[:, place], np.nan)
        values[modality] = {name: column for name, column in columns.items() if name.removesuffix(DERIVED) in names}
    return {modality: of for modality, of in values.items() if of}


def group_columns(clips: EncodedClips, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Speaker, gender, language and corpus of some clips: the columns in which the manifest has a value for any."""
    columns = {name: [getattr(clips.manifest[int(row)], name) or "" for row in rows] for name in GROUPS}
    return {name: np.array(column) for name, column in columns.items() if any(column)}


def dimension_values(clips: EncodedClips, rows: np.ndarray) -> tuple[dict[str, np.ndarray], list[str]]:
    """Annotated valence, arousal and dominance, where the manifest has any, and a note on those of another scale.

    Encoders predict them from -1 to 1, and concordance needs the same scale.
    """
    kept, notes = {}, []
    for name in DIMENSIONS:
        column = [getattr(clips.manifest[int(row)], name) for row in rows]
        values = np.array([np.nan if value is None else value for value in column], float)
        known = values[np.isfinite(values)]
        if len(known) and np.abs(known).max() > 1:
            notes.append(
                f"The manifest's {name} goes from {known.min():g} to {known.max():g}; encoders predict it from -1 to "
                "1. Bring it to that scale (Manifest.update) to compare."
            )
        elif len(known):
            kept[name] = values
    return kept, notes


def _fuse(model: EmotionModel, encodings: Mapping[str, Encoding]) -> np.ndarray:
    """Fused scores (N, K); uniform in rows with none of these modalities."""
    present = np.any([encoding.present for encoding in encodings.values()], axis=0)
    scores = np.full((len(present), len(model.labels)), 1 / len(model.labels))
    if present.any():
        scores[present] = model.fuse({modality: one.rows(present) for modality, one in encodings.items()})
    return scores
