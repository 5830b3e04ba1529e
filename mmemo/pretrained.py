"""The table of weights: what is inside the package, each with its card, checked against its fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from mmemo.checkpoint import load_checkpoint
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError, expected_one_of
from mmemo.files import MARK
from mmemo.model import FUSION, KIND, EmotionModel

if TYPE_CHECKING:
    from mmemo.micro.recognition import MicroRecogniser

WEIGHTS = Path(__file__).parent / "weights"
RUN = "model"
"""Subfolder of a recipe's run in which its model lies."""


@dataclass(frozen=True)
class Weights:
    """One embedded weight: its folder, what `fingerprint` must say of it, and where its card is."""

    folder: Path
    sha256: str
    card: str


@dataclass(frozen=True)
class PretrainedModel:
    """An embedded model: its folder, and the weights of its parts."""

    folder: Path
    parts: dict[str, Weights]


MODELS = {
    "default": PretrainedModel(
        WEIGHTS,
        {
            "face": Weights(
                WEIGHTS / "face",
                "dcf4889707c8198dbfb6e85fa36c6ec274adc91daf96b4ae618ab147b817ab65",
                "docs/models/face.md",
            ),
            "voice": Weights(
                WEIGHTS / "voice",
                "5f1606c2e31d31868cefc567f04c7d9a17375622bc34efc34bdbd706f7feb46d",
                "docs/models/voice.md",
            ),
            "text": Weights(
                WEIGHTS / "text",
                "d498f98c5350ba613d83aafdd9bca415a18d4fe4fd49d22d38bdda012a9afef6",
                "docs/models/text.md",
            ),
            FUSION: Weights(
                WEIGHTS / FUSION,
                "078ca1748e139b6e314c6d7fdc5b91bff60154b2ea3180357cb6702dfbb6567f",
                "docs/models/fusion.md",
            ),
        },
    )
}

MICRO = Weights(
    WEIGHTS / "micro",
    "91646d7373175ba4ffe9f84035ec5b22545b8fbd3798c34621f6d28443cef3d8",
    "docs/models/micro.md",
)
"""The recogniser of micro-expressions, which is no part of a model."""


def load_micro() -> MicroRecogniser:
    """The embedded recogniser of micro-expressions.

    Raises:
        WeightsError: if a file is damaged, or not the one this version was released with.
    """
    from mmemo.micro.recognition import MicroRecogniser

    _verify(MICRO)
    return MicroRecogniser.load(MICRO.folder)


def find_model(name: str | Path = "default", modalities: Sequence[str] | None = None) -> tuple[str, ...]:
    """Look a model up without loading it.

    Args:
        name: "default", a folder written by `EmotionModel.save`, or the run folder of a recipe.
        modalities: those that are wanted; None for all that the model has.

    Returns:
        The modalities that will be looked at.

    Raises:
        UnknownModelError: if there is no such name or folder.
        WeightsError: if the folder's settings are damaged.
        ArgumentError: for a modality the model does not have.
    """
    known = tuple(load_checkpoint(model_folder(name) / FUSION, KIND).config["encoders"])
    for modality in modalities or ():
        if modality not in known:
            raise ArgumentError(expected_one_of(f"Modality of the model {str(name)!r}", known, modality))
    return tuple(modalities or known)


def load_model(
    name: str | Path = "default", *, modalities: Sequence[str] | None = None, device: str = "auto"
) -> EmotionModel:
    """Load an embedded model by name, or what a recipe saved by its folder. Nothing is ever downloaded.

    Args:
        name: "default", a folder written by `EmotionModel.save`, or the run folder of a recipe.
        modalities: load these encoders only; all of them otherwise.
        device: "auto" (CUDA or MPS if there is one), "cpu", "cuda", "mps".

    Raises:
        UnknownModelError: if there is no such name or folder.
        WeightsError: if a file is damaged, or not the one this version was released with.
        ArgumentError: for a modality the model does not have.
    """
    chosen = find_model(name, modalities)
    if str(name) in MODELS:
        for part in (*chosen, FUSION):
            _verify(MODELS[str(name)].parts[part])
    return EmotionModel.load(model_folder(name), modalities=chosen, device=_device(device), name=str(name))


def model_folder(name: str | Path) -> Path:
    """Where a model's files are.

    Raises:
        UnknownModelError: if there is no such name or folder.
    """
    if str(name) in MODELS:
        return MODELS[str(name)].folder
    if (Path(name) / RUN / FUSION).is_dir():
        return Path(name) / RUN
    if not (Path(name) / FUSION).is_dir():
        raise UnknownModelError(
            expected_one_of("Model", MODELS, str(name)) + " A folder that a recipe saved works too; this is none."
        )
    return Path(name)


def _verify(weights: Weights) -> None:
    if fingerprint(weights.folder) != weights.sha256:
        raise WeightsError(
            f"{weights.folder} is missing or not what this version of mmemo was released with. "
            "Reinstall with: pip install --force-reinstall mmemo"
        )


def fingerprint(folder: Path) -> str:
    """SHA-256 over the files of a folder of weights, settings included, in the order of their names."""
    digest = sha256()
    for file in sorted(folder.glob("*")):
        if file.name != MARK:  # it tells who wrote the files, and is missing where they were copied
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _device(device: str) -> str:
    if device != "auto":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
