"""Checkpoints of other projects: where they are found, and what their class names mean in ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmemo.errors import LabelError, MissingExtraError, UnknownModelError
from mmemo.labels import LabelMapping, LabelSet
from mmemo.softmax import log_softmax

UNSAID = 1e-3
"""Share of a class that no name of the checkpoint means: small, yet not zero, so that it can't veto other experts."""
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
"""What may be the name of a checkpoint on the Hugging Face Hub."""


def fetch(name: str, revision: str | None = None, patterns: Sequence[str] = ("*.json", "*.safetensors")) -> Path:
    """The local folder of a checkpoint on the Hugging Face Hub: from the cache, or fetched. Never pickled weights.

    Args:
        name: of the checkpoint; ``revision``: branch, tag or commit.
        patterns: of the files that are wanted.

    Raises:
        MissingExtraError: if huggingface_hub is not installed.
        UnknownModelError: if it can't be had.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingExtraError("A Hugging Face checkpoint", "backbones") from None
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:  # no network, no such name, no permission: each has its own exception
        raise UnknownModelError(
            f"{name!r} is no folder here and can't be fetched from the Hugging Face Hub: {error}"
        ) from None


def mapping_of(
    names: Sequence[str],
    labels: Mapping[str, str | None] | None,
    target: LabelSet,
    published: Sequence[LabelMapping] = (),
) -> LabelMapping:
    """The mapping from a checkpoint's names: as given, or by the label set they are.

    Args:
        names: as the checkpoint calls its classes, in the order of its logits.
        labels: what each means, None for one that is dropped; found among ``published`` if None.
        target: labels to map to, whose own names are known too.
        published: mappings of label sets whose names a checkpoint may have.

    Raises:
        LabelError: if the names' meaning is not known, or ``labels`` doesn't fit them.
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
                f"The checkpoint's classes are {list(names)}; what {unknown} mean is not known. Say it with "
                f"labels={{{example}}}: each one of {list(target)}, or None to drop it."
            )
        labels = {name: known[name.lower()] for name in names}
    mapping = LabelMapping(source, target, labels)
    if len({to for to in mapping.pairs.values() if to is not None}) < 2:
        raise LabelError(f"At least two of {list(names)} must mean one of {list(target)}.")
    return mapping


def map_scores(logits: np.ndarray, mapping: LabelMapping) -> np.ndarray:
    """Log scores (N, K) of the target's classes from logits (N, J) of the source's.

    Shares of names with the same meaning add up; those that are dropped are divided among the others in proportion; a
    class that nothing means gets the share `UNSAID`.
    """
    matrix = mapping.matrix()
    shares = np.exp(log_softmax(logits.astype(np.float64))) @ matrix
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    shares[:, ~matrix.any(axis=0)] = UNSAID
    return np.asarray(np.log(np.maximum(shares, 1e-6)), np.float32)
