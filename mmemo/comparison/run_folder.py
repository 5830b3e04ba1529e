"""The scores of held-out clips that a recipe leaves in its run folder: written here, read here."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mmemo.comparison.answers import Answers, Removed
from mmemo.errors import UnknownModelError, WeightsError
from mmemo.files import replacing_file
from mmemo.pretrained import RUN

SCORES = "scores.npz"
OF_RUN = (SCORES, "results.json", "features.sqlite", RUN)
"""What the recipes leave in a run folder; no comparison is written over it."""
FORMAT = 1
_WITHOUT, _AND, _OF = " without ", " and ", " of "
_FITTED = "fitted on"


def is_run(folder: str | Path) -> bool:
    """Whether a folder holds held-out scores."""
    return (Path(folder) / SCORES).is_file()


def write_run(folder: str | Path, answers: Answers, *, fitted_on: Iterable[str] = ()) -> Path:
    """Write held-out scores into a run folder.

    Args:
        fitted_on: ids of the clips that anything was fitted on; `mmemo.compare` never asks the run's model about them.
    """
    arrays: dict[str, np.ndarray] = {
        "format": np.array(FORMAT),
        "labels": np.array(answers.labels),
        "ids": answers.ids.astype(str),
        "target": answers.target,
        _FITTED: np.array(sorted(fitted_on), str),
    }
    arrays |= {f"group {name}": one.astype(str) for name, one in answers.groups.items()}
    arrays |= {f"scores {name}": one for name, one in answers.scores.items()}
    for name, of in answers.removed.items():
        arrays |= {f"scores {name}{_WITHOUT}{_AND.join(gone)}": one for gone, one in of.items()}
    arrays |= {f"true {name}": one for name, one in answers.true_values.items()}
    for name, said in answers.values.items():
        arrays |= {f"value {what}{_OF}{name}": one for what, one in said.items()}
    with replacing_file(Path(folder) / SCORES) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return Path(folder) / SCORES


def read_run(folder: str | Path) -> tuple[Answers, frozenset[str]]:
    """The held-out scores of a run, and the ids of the clips it was fitted on.

    Raises:
        UnknownModelError: if the folder holds none.
        WeightsError: if they are damaged, or of a newer version of mmemo.
        ArgumentError: if they are no scores.
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
        raise WeightsError(f"{path} is damaged or none of ours ({error}). Run the recipe again.") from None
    if form > FORMAT:
        raise WeightsError(
            f"{path} was written by a newer mmemo (format {form}, this one reads up to {FORMAT}). "
            "Upgrade with: pip install -U mmemo"
        )
    scores, removed = _systems(_named(arrays, "scores "))
    groups = _named(arrays, "group ") | {name: arrays[name] for name in ("speaker",) if name in arrays}
    values: dict[str, dict[str, np.ndarray]] = {}
    for name, one in _named(arrays, "value ").items():
        what, _, system = name.partition(_OF)
        values.setdefault(system, {})[what] = one
    answers = Answers(
        labels,
        ids,
        target,
        scores,
        removed,
        {name: one.astype(str) for name, one in groups.items()},
        _named(arrays, "true "),
        values,
    )
    return answers, frozenset(arrays[_FITTED].tolist()) if _FITTED in arrays else frozenset()


def _named(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): one for name, one in arrays.items() if name.startswith(prefix)}


def _systems(
    arrays: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, dict[Removed, np.ndarray]]]:
    """Scores by system; those with something taken away apart. A modality without itself has nothing to say."""
    scores: dict[str, np.ndarray] = {}
    removed: dict[str, dict[Removed, np.ndarray]] = {}
    for name, one in arrays.items():
        system, without, gone = name.rpartition(_WITHOUT)
        if without and system in arrays:
            removed.setdefault(system, {})[tuple(sorted(gone.split(_AND)))] = one
        else:
            scores[name] = one
    modalities = sorted({modality for of in removed.values() for gone in of for modality in gone})
    for name, one in scores.items():
        nothing = np.full(one.shape, 1 / one.shape[1])
        if name in modalities:
            removed.setdefault(name, {})[name,] = nothing
        elif name in removed:
            removed[name].setdefault(tuple(modalities), nothing)
    return scores, removed
