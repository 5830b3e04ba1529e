"""Embedded weights, each with its card and checked against its fingerprint, and models by name or folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mmemo.checkpoint import sha256_of
from mmemo.encoders.known_checkpoints import CHECKPOINTS
from mmemo.encoders.registry import ENCODERS
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError, expected_one_of
from mmemo.files import MARK
from mmemo.fusion.registry import HEADS
from mmemo.model import FUSION, EmotionModel, load_settings

WEIGHTS = Path(__file__).parent / "weights"
RUN = "model"
"""Subfolder of a recipe's run in which its model lies."""


@dataclass(frozen=True)
class Weights:
    """An embedded weight.

    Attributes:
        folder: where its files are.
        sha256: the `fingerprint` of the folder.
        card: path of its card in the repository.
    """

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
                "d7f795d2c81acf2dccfce9fca8a395a8810b09e5c31f584f1bb669054b76e25a",
                "docs/models/face.md",
            ),
            "voice": Weights(
                WEIGHTS / "voice",
                "4cba3849761b5684f643b211db225c2992daa8c69b53e33568a8ea8579047e5d",
                "docs/models/voice.md",
            ),
            "text": Weights(
                WEIGHTS / "text",
                "851f29f5317bb6d5fa262cf6a147378c9869677d922b5e40baa3bf3ddc360f8e",
                "docs/models/text.md",
            ),
            FUSION: Weights(
                WEIGHTS / FUSION,
                "0b234f653fb61dcf292a1d6295ae54487e290c3453d2a1b40539d21646ebf7de",
                "docs/models/fusion.md",
            ),
        },
    )
}

MICRO = Weights(
    WEIGHTS / "micro",
    "83f596b4e6379654a878efa30042958b1e3ab3bdba1fc1cc514a1478cec61894",
    "docs/models/micro.md",
)
"""The recognizer of micro-expressions, which is no part of a model."""

LARGE = "large"
"""The model that `mmemo.downloads.download` makes."""
LARGE_CHECKPOINTS = {"face": "trpakov/vit-face-expression", "voice": "superb/hubert-large-superb-er"}
"""Its checkpoints on the Hub: those of `mmemo.encoders.known_checkpoints` under a permissive license whose scores are
documented. Its words are the embedded ones."""


def find_model(
    name: str | Path = "default", modalities: Sequence[str] | None = None, classes: Sequence[type] = ()
) -> tuple[str, ...]:
    """Look a model up without loading it.

    Args:
        name: "default", "large", a folder written by `EmotionModel.save`, or the run folder of a recipe.
        modalities: those that are wanted; None for all that the model has.
        classes: of encoders and fusion heads that are not mmemo's own.

    Returns:
        The modalities that the model will score.

    Raises:
        UnknownModelError: if there is no such name or folder.
        WeightsError: if the folder's settings are damaged, or it needs a class that is not known.
        ArgumentError: for a modality the model does not have.
    """
    known = tuple(load_settings(model_folder(name)).config["encoders"])
    for modality in modalities or ():
        if modality not in known:
            raise ArgumentError(expected_one_of(f"Modality of the model {str(name)!r}", known, modality))
    chosen = tuple(modalities or known)
    foreign_classes(name, chosen, classes)
    return chosen


def foreign_classes(name: str | Path, modalities: Sequence[str], classes: Sequence[type] = ()) -> tuple[type, ...]:
    """The encoder and head classes of a model that are not mmemo's own: given ones, and those of installed packages.

    Args:
        modalities: that the model has.

    Raises:
        UnknownModelError, WeightsError: see `find_model`.
    """
    config = load_settings(model_folder(name)).config
    named = [(ENCODERS, config["encoders"][modality]) for modality in modalities]
    named.append((HEADS, config["fusion"].get("kind")))
    return tuple(registry.find(each, classes) for registry, each in named if not registry.is_builtin(each, classes))


def load_model(
    name: str | Path = "default",
    *,
    modalities: Sequence[str] | None = None,
    device: str = "auto",
    classes: Sequence[type] = (),
) -> EmotionModel:
    """Load a model by name, or a saved one by its folder. Nothing is downloaded: that takes `mmemo.download`.

    Args:
        name: "default", "large", a folder written by `EmotionModel.save`, or the run folder of a recipe.
        modalities: load these encoders only; all of them otherwise.
        device: "auto" (a GPU where an encoder's runtime, ONNX Runtime or torch, has one), "cpu", "cuda", "mps",
            "directml", "openvino".
        classes: of encoders and fusion heads that are not mmemo's own: ``[MyEncoder, MyHead]``. A file never brings a
            class in; those of installed packages are found by the entry points ``mmemo.encoders`` and ``mmemo.fusion``.

    Raises:
        UnknownModelError: if there is no such name or folder, or the model was not downloaded.
        WeightsError: if a file is damaged, or not the one this version was released with, or a class is not known.
        ArgumentError: for a modality the model does not have, or a device that is not there.
        MissingExtraError: if an encoder runs in torch, and torch is not installed.

    >>> import mmemo
    >>> model = mmemo.load_model(modalities=("text",), device="cpu")
    >>> model.name, model.modalities
    ('default', ('text',))
    >>> folder = model.save("saved")
    >>> mmemo.load_model(folder).labels == model.labels
    True
    """
    chosen = find_model(name, modalities, classes)
    if str(name) in MODELS:
        for part in (*chosen, FUSION):
            verify(MODELS[str(name)].parts[part])
    return EmotionModel.load(model_folder(name), modalities=chosen, device=device, name=str(name), classes=classes)


def model_folder(name: str | Path) -> Path:
    """Where a model's files are.

    Raises:
        UnknownModelError: if there is no such name or folder, or the model was not downloaded.
    """
    if str(name) in MODELS:
        return MODELS[str(name)].folder
    if str(name) == LARGE:
        if not is_downloaded():
            raise UnknownModelError(
                f"{describe_download()} Call mmemo.download({LARGE!r}), or mmemo analyze --model {LARGE}, which asks."
            )
        return large_folder()
    if (Path(name) / RUN / FUSION).is_dir():
        return Path(name) / RUN
    if not (Path(name) / FUSION).is_dir():
        raise UnknownModelError(
            expected_one_of("Model", (*MODELS, LARGE), str(name))
            + " A folder that a recipe saved works too; this is none."
        )
    return Path(name)


def large_folder() -> Path:
    """Where the model "large" is, once it was downloaded: in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mmemo" / LARGE


def is_downloaded() -> bool:
    """Whether the model "large" was downloaded."""
    return (large_folder() / FUSION).is_dir()


def describe_download() -> str:
    """What a download of the model "large" would fetch, a checkpoint a line, with sizes, licenses and places."""
    chosen = [one for one in CHECKPOINTS if one.name in LARGE_CHECKPOINTS.values()]
    lines = [f"  {one.url}, {one.megabytes} MB, {one.license}, trained on {one.trained_on}" for one in chosen]
    total = sum(one.megabytes or 0 for one in chosen)
    return "\n".join(
        [
            f"The model {LARGE!r} is not on this machine. It takes:",
            *lines,
            f"That is {total} MB into the cache of Hugging Face, and as much again into {large_folder()}. "
            "What it scores was not measured.",
        ]
    )


def verify(weights: Weights) -> None:
    """Check an embedded weight against its fingerprint.

    Raises:
        WeightsError: if a file is damaged, or not the one this version was released with.
    """
    if fingerprint(weights.folder) != weights.sha256:
        raise WeightsError(
            f"{weights.folder} is missing or not what this version of mmemo was released with. "
            "Reinstall with: pip install --force-reinstall mmemo"
        )


def fingerprint(folder: Path) -> str:
    """SHA-256 over the names and hashes of the files of a folder of weights, settings included."""
    digest = sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != MARK:  # the mark says who wrote the files, and may be missing
            digest.update(f"{file.relative_to(folder).as_posix()} {sha256_of(file)}\n".encode())
    return digest.hexdigest()
