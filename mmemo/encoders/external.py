"""Checkpoints of other projects: fetching them, and mapping their class names to the labels of an encoder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.encoders.softmax import log_softmax
from mmemo.errors import LabelError, MissingExtraError, UnknownModelError, WeightsError
from mmemo.labels import LabelMapping, LabelSet
from mmemo.reading import parse_json, read_bytes

SETTINGS = "mmemo.json"
"""Name of the file beside a saved checkpoint that holds the settings of its encoder."""
UNMAPPED_SHARE = 1e-3
"""Score of a label without a class in the checkpoint: small, yet not zero, so that it can't veto other experts."""
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
"""Pattern of the names of checkpoints on the Hugging Face Hub."""
_FORMER_KINDS = {"speech-checkpoint": "speech-backbone"}
"""Kinds in files of the first version, and their name today."""


def fetch(name: str, revision: str | None = None, patterns: Sequence[str] = ("*.json", "*.safetensors")) -> Path:
    """The local folder of a checkpoint on the Hugging Face Hub: from the cache, or fetched. Never pickled weights.

    Args:
        name: of the checkpoint.
        revision: branch, tag or commit.
        patterns: of the files that are wanted. Those in subfolders, such as every epoch of a training, never are.

    Raises:
        MissingExtraError: if huggingface_hub is not installed.
        UnknownModelError: if the checkpoint can't be fetched.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingExtraError("A Hugging Face checkpoint", "backbones") from None
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns), ignore_patterns=["*/*"]))
    except Exception as error:  # no network, no such name, no permission: each has its own exception
        raise UnknownModelError(
            f"{name!r} is no folder here and can't be fetched from the Hugging Face Hub: {error}"
        ) from None


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of an encoder beside its checkpoint."""
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_settings(folder: Path, kind: str) -> dict[str, Any]:
    """The settings that `write_settings` wrote for an encoder of this kind.

    Raises:
        UnknownModelError: if there are none.
        WeightsError: if they are damaged or of another kind.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise UnknownModelError(f"No encoder in {folder}: expected {SETTINGS} there.")
    try:
        settings = parse_json(read_bytes(path))
    except ValueError as error:
        raise WeightsError(f"{path} is not valid JSON ({error}).") from None
    written = settings.get("kind") if isinstance(settings, dict) else None
    if _FORMER_KINDS.get(str(written), written) != kind:
        raise WeightsError(f"{path} is not of the kind {kind!r}.")
    return dict(settings)


def map_classes(
    names: Sequence[str],
    labels: Mapping[str, str | None] | None,
    target: LabelSet,
    published: Sequence[LabelMapping] = (),
) -> LabelMapping:
    """The mapping from a checkpoint's class names to labels: as given, or recognized by the names.

    Args:
        names: the classes as the checkpoint names them, in the order of its logits.
        labels: the label that each name stands for, None for one that is dropped; if None it is looked up in
            ``published``.
        target: labels to map to; their own names are recognized too.
        published: mappings of label sets whose names a checkpoint may have.

    Raises:
        LabelError: if the meaning of the names is not known, or ``labels`` doesn't fit them.
    """
    source = LabelSet("checkpoint", tuple(names))
    if labels is None:
        known: dict[str, str | None] = {label: label for label in target}
        for mapping in published:
            if target == mapping.target and {name.lower() for name in names} == set(mapping.source):
                known = {name: mapping(name) for name in mapping.source}
        unknown = [name for name in names if name.lower() not in known]
        if unknown:
            example = ", ".join(f"{name!r}: …" for name in names)
            raise LabelError(
                f"The checkpoint's classes are {list(names)}; the meaning of {unknown} is not known. Give it as "
                f"labels={{{example}}}: each one of {list(target)}, or None to drop it."
            )
        labels = {name: known[name.lower()] for name in names}
    mapping = LabelMapping(source, target, labels)
    if len({to for to in mapping.pairs.values() if to is not None}) < 2:
        raise LabelError(f"At least two of {list(names)} must map to one of {list(target)}.")
    return mapping


def map_scores(logits: np.ndarray, mapping: LabelMapping) -> np.ndarray:
    """Log scores (N, K) of the target's labels from logits (N, J) of the source's classes, float32.

    Probabilities of classes with the same label add up; those of dropped classes are divided among the others in
    proportion; a label without a class gets `UNMAPPED_SHARE`.
    """
    matrix = mapping.matrix()
    shares = np.exp(log_softmax(logits.astype(np.float64))) @ matrix
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    shares[:, ~matrix.any(axis=0)] = UNMAPPED_SHARE
    return np.asarray(np.log(np.maximum(shares, 1e-6)), np.float32)
