"""The model "large": checkpoints of other projects, which are downloaded when the user calls for it and never else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmemo.encoders.face.encoder import FaceEncoder
from mmemo.encoders.voice.encoder import VoiceEncoder
from mmemo.errors import UnknownModelError, expected_one_of, require_extra
from mmemo.files import check_folder
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7
from mmemo.model import EmotionModel
from mmemo.pretrained import LARGE, LARGE_CHECKPOINTS, is_downloaded, large_folder, load_model

_WEIGHTS: dict[str, float | Sequence[float]] = {
    "face": 0.4,
    "voice": [0.02 if label in ("fear", "disgust", "surprise") else 0.45 for label in EKMAN7],
    "text": 0.15,
}
"""Near those of the default model. The voice has no class of three labels, so it has next to no say in them."""
_TEMPERATURE = 1.5
"""Of face and voice: a guess, as classifiers that were trained to the end are too sure of themselves (Guo et al., "On
calibration of modern neural networks", ICML 2017)."""
_FER2013_SHARES = {
    "neutral": 0.173, "happiness": 0.2513, "sadness": 0.1682, "anger": 0.1392, "fear": 0.1427, "disgust": 0.0152,
    "surprise": 0.1104,
}  # fmt: skip
"""Of its 28,709 Training images."""


def download(name: str = LARGE) -> Path:
    """Download the checkpoints of a model that mmemo doesn't carry, and write the model; nothing, if it is there.

    "large" is a ViT for the face and a HuBERT for the voice, beside the embedded text encoder, in late fusion. Neither
    its temperatures nor its weights were fitted, and what it scores was not measured: it may be worse than the default.

    Returns:
        The folder of the model, which `mmemo.load_model` then finds by its name.

    Raises:
        UnknownModelError: if there is no such model, or a checkpoint can't be fetched, as without a network.
        MissingExtraError: if transformers or torch is not installed.
        WeightsError: if a checkpoint is damaged.
        ArgumentError: if the folder can't be written.

    >>> import mmemo
    >>> from mmemo.errors import UnknownModelError
    >>> mmemo.download("large")  # doctest: +SKIP
    >>> try:
    ...     mmemo.download("huge")
    ... except UnknownModelError as error:
    ...     print(error)
    Model to download: expected one of ['large'], got 'huge'.
    """
    if name != LARGE:
        raise UnknownModelError(expected_one_of("Model to download", (LARGE,), name))
    if is_downloaded():
        return large_folder()
    require_extra(f"The model {LARGE!r}", "backbones", "transformers", "torch", "torchaudio")
    check_folder(large_folder())
    words = load_model(modalities=("text",), device="cpu")
    face = FaceEncoder.from_pretrained(LARGE_CHECKPOINTS["face"])
    voice = VoiceEncoder.from_pretrained(LARGE_CHECKPOINTS["voice"])
    temperatures = {"face": _TEMPERATURE, "voice": _TEMPERATURE} | words.temperatures
    model = EmotionModel(
        [face, voice, words.encoders["text"]],
        LateFusion(EKMAN7, _WEIGHTS),
        temperatures,
        LARGE,
        {"face": _FER2013_SHARES} | {modality: EKMAN7.scores(one) for modality, one in words.priors.items()},
    )
    return model.save(large_folder(), card={"checkpoints": LARGE_CHECKPOINTS, "measured": False})
