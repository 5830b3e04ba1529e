"""Held-out predictions in the run folder of a recipe: written and read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mmemo.comparison.predictions import Modalities, Predictions
from mmemo.errors import ArgumentError, MmemoError, UnknownModelError, WeightsError
from mmemo.files import check_file, check_folder, replacing_file
from mmemo.pretrained import RUN
from mmemo.reading import parse_json, read_bytes

SCORES, RESULTS = "scores.npz", "results.json"
RUN_FILES = (SCORES, RESULTS, "features.sqlite", RUN)
"""What the recipes leave in a run folder; no comparison is written over it."""
FORMAT = 1
_WITHOUT, _AND, _OF = " without ", " and ", " of "
_FITTED = "fitted on"


def is_run(folder: str | Path) -> bool:
    """Whether a folder holds held-out scores."""
    return (Path(folder) / SCORES).is_file()


def check_run(folder: str | Path, inputs: Iterable[str | Path | None] = ()) -> None:
    """Refuse a run folder that may not be written, before any work is done.

    Args:
        inputs: files and folders that are read, which are never written over.

    Raises:
        ArgumentError: if a file of the user's own has the name of a run's, or see `mmemo.files.check_folder`.
    """
    folder, inputs = Path(folder), list(inputs)
    check_folder(folder / RUN, inputs)
    if not folder.is_dir():
        return
    for name in (SCORES, RESULTS):
        check_file(folder / name, inputs)
    results = folder / RESULTS
    if results.exists() and not _is_ours(results):
        raise ArgumentError(f"{results} was not written by mmemo, so it is not replaced: name another run folder.")
    if is_run(folder):
        try:
            read_run(folder)
        except MmemoError as error:
            raise ArgumentError(f"{error} It is not replaced: name another run folder.") from None


def _is_ours(results: Path) -> bool:
    try:
        return "mmemo" in parse_json(read_bytes(results))
    except (OSError, TypeError, ValueError):
        return False


def write_run(folder: str | Path, predictions: Predictions, *, fitted_on: Iterable[str] = ()) -> Path:
    """Write held-out predictions into a run folder.

    Args:
        folder: of the run.
        predictions: of its systems.
        fitted_on: ids of the clips that anything was fitted on; `mmemo.compare` refuses to run the run's model on them.
    """
    arrays: dict[str, np.ndarray] = {
        "format": np.array(FORMAT),
        "labels": np.array(predictions.labels),
        "ids": predictions.ids.astype(str),
        "target": predictions.target,
        _FITTED: np.array(sorted(fitted_on), str),
    }
    arrays |= {f"group {name}": one.astype(str) for name, one in predictions.groups.items()}
    arrays |= {f"scores {name}": one for name, one in predictions.scores.items()}
    for name, of in predictions.ablations.items():
        arrays |= {f"scores {name}{_WITHOUT}{_AND.join(missing)}": one for missing, one in of.items()}
    arrays |= {f"true {name}": one for name, one in predictions.true_values.items()}
    for name, values in predictions.values.items():
        arrays |= {f"value {dimension}{_OF}{name}": one for dimension, one in values.items()}
    with replacing_file(Path(folder) / SCORES) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return Path(folder) / SCORES


def read_run(folder: str | Path) -> tuple[Predictions, frozenset[str]]:
    """The held-out predictions of a run, and the ids of the clips it was fitted on.

    Raises:
        UnknownModelError: if the folder holds none.
        WeightsError: if they are damaged, or of a newer version of mmemo.
        ArgumentError: if their scores are not valid.
    """
    path = Path(folder) / SCORES
    if not path.is_file():
        raise UnknownModelError(f"No {SCORES} in {folder}: expected the run folder of a recipe.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        form = int(arrays.get("format", 1))
        labels = tuple(arrays["labels"].tolist())
        target = arrays["target"].astype(np.int64)
        ids = arrays["ids"].astype(str) if "ids" in arrays else np.arange(len(target)).astype(str)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} is damaged or not written by mmemo ({error}). Run the recipe again.") from None
    if form > FORMAT:
        raise WeightsError(
            f"{path} was written by a newer mmemo (format {form}, this one reads up to {FORMAT}). "
            "Upgrade with: pip install -U mmemo"
        )
    scores, ablations = _systems(_named(arrays, "scores "))
    groups = _named(arrays, "group ") | {name: arrays[name] for name in ("speaker",) if name in arrays}
    values: dict[str, dict[str, np.ndarray]] = {}
    for name, one in _named(arrays, "value ").items():
        dimension, _, system = name.partition(_OF)
        values.setdefault(system, {})[dimension] = one
    predictions = Predictions(
        labels,
        ids,
        target,
        scores,
        ablations,
        {name: one.astype(str) for name, one in groups.items()},
        _named(arrays, "true "),
        values,
    )
    return predictions, frozenset(arrays[_FITTED].tolist()) if _FITTED in arrays else frozenset()


def _named(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): one for name, one in arrays.items() if name.startswith(prefix)}


def _systems(
    arrays: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, dict[Modalities, np.ndarray]]]:
    """Scores by system, and their ablations. A modality without itself has no prediction: uniform scores."""
    scores: dict[str, np.ndarray] = {}
    ablations: dict[str, dict[Modalities, np.ndarray]] = {}
    for name, one in arrays.items():
        system, without, missing = name.rpartition(_WITHOUT)
        if without and system in arrays:
            ablations.setdefault(system, {})[tuple(sorted(missing.split(_AND)))] = one
        else:
            scores[name] = one
    modalities = sorted({modality for of in ablations.values() for missing in of for modality in missing})
    for name, one in scores.items():
        uniform = np.full(one.shape, 1 / one.shape[1])
        if name in modalities:
            ablations.setdefault(name, {})[name,] = uniform
        elif name in ablations:
            own = sorted({modality for missing in ablations[name] for modality in missing})
            ablations[name].setdefault(tuple(own), uniform)
    return scores, ablations
