"""Predictions of every modality subset of a model on one set of clips."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations

import numpy as np

from mmemo.affect import places_of
from mmemo.comparison.predictions import DERIVED, WITH_BASELINE, Modalities, Predictions
from mmemo.data.encoding import EncodedClips
from mmemo.encoders.base import QUALITIES, Encoding
from mmemo.encoders.softmax import log_softmax
from mmemo.errors import ArgumentError, ManifestError
from mmemo.fusion.over_time import average, evidence_of
from mmemo.model import EmotionModel
from mmemo.personal.left_out import relative_to_others

GROUPS = ("gender", "language", "corpus", "speaker")
"""Columns of a manifest by which metrics are split."""
DIMENSIONS = ("valence", "arousal", "dominance")
_LEAST = 1e-3
"""Coverage of a window that has next to none: such windows count equally if there are no others."""


def predict(model: EmotionModel, clips: EncodedClips, baseline: bool = False) -> Predictions:
    """Predictions of a model on encoded clips by each modality alone, every pair, and all.

    One modality alone is its own classifier, calibrated; several are fused by the model's head.

    A clip of several windows has the mean of its windows' log scores, weighted by evidence, as in `mmemo.analyze`.

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
    windows = np.flatnonzero(np.isin(clips.clip_of, labeled))
    clip_of = np.searchsorted(labeled, clips.clip_of[windows])
    encodings = calibrate(model, clips, windows)
    notes = list(clips.faults)
    for modality, encoding in list(encodings.items()):
        if not encoding.present.any():
            notes.append(f"No clip has any {modality}, so it is left out.")
            del encodings[modality]
    if not encodings:
        raise ManifestError(clips.manifest, ["no clip has any of the modalities to compare"])
    present = np.any([encoding.present for encoding in encodings.values()], axis=0)
    missing = len(labeled) - len(np.unique(clip_of[present]))
    if missing:
        notes.append(f"{missing} clips have no modality at all: no prediction, which counts as wrong.")
    scores, ablations = predict_subsets(model, encodings, clip_of)
    groups = group_columns(clips, labeled)
    if baseline:
        whole = {m: _whole_clips(one, clip_of, len(labeled)) for m, one in encodings.items()}
        corrected, changed = relative_to_others(model, whole, groups["speaker"].tolist())
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
        predict_dimensions(model, clips, windows, encodings, true_values, clip_of),
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
    model: EmotionModel, encodings: Mapping[str, Encoding], clip_of: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], dict[str, dict[Modalities, np.ndarray]]]:
    """Scores (N, K) of every subset of calibrated encodings, and of each subset with some modalities missing.

    Args:
        clip_of: the clip, 0 to N - 1, of each row; None where each row is a clip.
    """
    names = [modality for modality in model.modalities if modality in encodings]
    rows = len(next(iter(encodings.values())))
    clip_of = np.arange(rows) if clip_of is None else clip_of
    subsets = [some for size in range(1, len(names) + 1) for some in combinations(names, size)]
    fused = {some: _fuse(model, {m: encodings[m] for m in some}, clip_of) for some in subsets}
    scores, ablations = {}, {}
    for some in subsets:
        uniform = np.full(fused[some].shape, 1 / len(model.labels))
        name = " + ".join(some)
        scores[name] = fused[some]
        if len(some) == 1:
            scores[name] = _own(model, encodings[some[0]], clip_of)
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
    clip_of: np.ndarray,
) -> dict[str, dict[str, np.ndarray]]:
    """The dimensions of clips by each modality: predicted, or derived from its scores and named so.

    Args:
        rows: of the encodings among those of ``clips``.
        clip_of: the clip of each row; those of several windows have the mean, weighted by coverage.
    """
    places, values = places_of(model.labels), {}
    for modality, encoding in encodings.items():
        predicted = _affect(clips.affect[modality][rows], encoding, clip_of) if modality in clips.affect else None
        shares = _own(model, encoding, clip_of)
        known = np.isin(np.arange(len(shares)), clip_of[encoding.present])
        columns: dict[str, np.ndarray] = {}
        for place, name in enumerate(DIMENSIONS):
            if predicted is not None and not np.isnan(predicted[known, place]).all():
                columns[name] = predicted[:, place]
            elif places is not None:
                columns[name + DERIVED] = np.where(known, shares @ places[:, place], np.nan)
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


def _fuse(model: EmotionModel, encodings: Mapping[str, Encoding], clip_of: np.ndarray) -> np.ndarray:
    """Fused scores (N, K) of clips from those of their windows; uniform for clips with none of these modalities."""
    present = np.any([encoding.present for encoding in encodings.values()], axis=0)
    scores = np.full((int(clip_of.max(initial=-1)) + 1, len(model.labels)), 1 / len(model.labels))
    if not present.any():
        return scores
    kept = {modality: one.rows(present) for modality, one in encodings.items()}
    coverage = {modality: _coverage(one) for modality, one in kept.items()}
    evidence = evidence_of(model.fusion.shares(kept), coverage)
    return _average(model.fuse(kept), evidence, clip_of[present], scores)


def _own(model: EmotionModel, encoding: Encoding, clip_of: np.ndarray) -> np.ndarray:
    """Scores (N, K) of clips by one modality's own classifier; uniform for those that lack it."""
    present = encoding.present
    scores = np.full((int(clip_of.max(initial=-1)) + 1, len(model.labels)), 1 / len(model.labels))
    kept = encoding.rows(present)
    return _average(model.scores(kept), _coverage(kept), clip_of[present], scores)


def _average(scores: np.ndarray, evidence: np.ndarray, clip_of: np.ndarray, into: np.ndarray) -> np.ndarray:
    """The scores of windows brought together by clip."""
    for clip, rows in _rows_by_clip(clip_of):
        into[clip] = scores[rows[0]] if len(rows) == 1 else average(scores[rows], evidence[rows])
    return into


def _affect(affect: np.ndarray, encoding: Encoding, clip_of: np.ndarray) -> np.ndarray:
    """Affect (N, 3) of clips from that (R, 3) of their windows, weighted by coverage; NaN where it is absent."""
    values, windows = np.full((int(clip_of.max()) + 1, 3), np.nan), np.flatnonzero(encoding.present)
    weights = np.maximum(_coverage(encoding), _LEAST)
    for clip, places in _rows_by_clip(clip_of[windows]):
        own = windows[places]
        values[clip] = np.average(affect[own].astype(float), axis=0, weights=weights[own])
    return values


def _whole_clips(encoding: Encoding, clip_of: np.ndarray, clips: int) -> Encoding:
    """Each clip as one row: the mean of its windows' tokens, and of their log scores, weighted by coverage."""
    tokens = np.zeros((clips, 1, encoding.tokens.shape[2]), np.float32)
    mask, logits = np.zeros((clips, 1), bool), np.zeros((clips, encoding.logits.shape[1]), np.float32)
    quality = np.ones((clips, len(QUALITIES)), np.float32)
    windows = np.flatnonzero(encoding.present)
    for clip, places in _rows_by_clip(clip_of[windows]):
        own = encoding.rows(windows[places])
        weights = np.maximum(_coverage(own), _LEAST)
        tokens[clip, 0] = np.mean([row[valid].mean(axis=0) for row, valid in zip(own.tokens, own.mask, strict=True)], 0)
        logits[clip] = np.average(log_softmax(own.logits.astype(float)), axis=0, weights=weights)
        mask[clip] = True
        if own.quality is not None:
            quality[clip] = own.quality.mean(axis=0)
    return Encoding(tokens, mask, logits, quality)


def _coverage(encoding: Encoding) -> np.ndarray:
    """(R,) coverage of each row; 0 where the modality is absent."""
    covered = 1.0 if encoding.quality is None else encoding.quality[:, QUALITIES.index("coverage")].astype(float)
    return np.asarray(np.where(encoding.present, covered, 0.0))


def _rows_by_clip(clip_of: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each clip and its rows, which need not be neighbors."""
    order = np.argsort(clip_of, kind="stable")
    clips, starts = np.unique(clip_of[order], return_index=True)
    yield from zip(clips.tolist(), np.split(order, starts[1:]), strict=True)
