"""Checkpoints of other projects that are known by name: what their classes mean, their licenses, which can't be loaded.

All of it was read on the model cards and in the settings of the checkpoints; the weights themselves were not fetched or
tried. `from_pretrained` looks a name up here, so that it needs no labels; a name that is not here works all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmemo.encoders.face.preprocessing import Preprocessing
from mmemo.errors import WeightsError
from mmemo.labels import EKMAN7, LabelSet

Classes = Mapping[str, str | None]
"""Label in `EKMAN7` of each class, None where it is dropped."""


@dataclass(frozen=True)
class KnownCheckpoint:
    """What is known of a published checkpoint.

    Attributes:
        name: on the Hugging Face Hub; of an ONNX file, the name of the file.
        modality: "face" or "voice".
        classes: the label of each class by its name in lower case; of an ONNX file, in the order of its output. Empty
            for a checkpoint of valence, arousal and dominance.
        license: of the weights, as their authors state it. The corpora they were trained on have terms of their own.
        trained_on: corpora.
        megabytes: to fetch; None where it is not known.
        revision: commit or reference to fetch; None for the newest.
        source: page of a file that is not on the Hub.
        preprocessing: of an ONNX file.
        obstacle: why it can't be loaded; empty if it can.
    """

    name: str
    modality: Literal["face", "voice"]
    classes: Classes
    license: str
    trained_on: str
    megabytes: int | None = None
    revision: str | None = None
    source: str | None = None
    preprocessing: Preprocessing | None = None
    obstacle: str = ""

    @property
    def url(self) -> str:
        """Its page."""
        return self.source or f"https://huggingface.co/{self.name}"

    def labels(self, names: Sequence[str], target: LabelSet) -> dict[str, str | None] | None:
        """The label of each class of a checkpoint that was loaded; None if it has others, or ``target`` has."""
        if target != EKMAN7 or not {name.lower() for name in names} <= set(self.classes):
            return None
        return {name: self.classes[name.lower()] for name in names}


_SEVEN = {
    "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness", "neutral": "neutral",
    "sad": "sadness", "surprise": "surprise",
}  # fmt: skip
_AFFECTNET = {
    "anger": "anger", "contempt": None, "disgust": "disgust", "fear": "fear", "happiness": "happiness",
    "neutral": "neutral", "sadness": "sadness", "surprise": "surprise",
}  # fmt: skip
_FER_PLUS = {label: None if label == "contempt" else label for label in (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
)}  # fmt: skip
_IEMOCAP = {"neu": "neutral", "hap": "happiness", "ang": "anger", "sad": "sadness"}
_RAVDESS = {
    "angry": "anger", "disgust": "disgust", "fearful": "fear", "happy": "happiness", "neutral": "neutral",
    "sad": "sadness", "surprised": "surprise",
}  # fmt: skip
_HSEMOTION = "https://github.com/av-savchenko/hsemotion-onnx"


def _hsemotion(name: str, size: int, classes: Classes, obstacle: str = "") -> KnownCheckpoint:
    """An EfficientNet of HSEmotion (Savchenko 2022) as an ONNX file."""
    preprocessing = Preprocessing(size, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # of ImageNet
    license, data = "Apache-2.0", "VGGFace2, AffectNet"
    return KnownCheckpoint(
        f"{name}.onnx", "face", classes, license, data, source=_HSEMOTION, preprocessing=preprocessing,
        obstacle=obstacle,
    )  # fmt: skip


def _superb(name: str, megabytes: int, revision: str) -> KnownCheckpoint:
    """A checkpoint of the SUPERB benchmark; its safetensors are in a pull request that was never merged."""
    return KnownCheckpoint(f"superb/{name}", "voice", _IEMOCAP, "Apache-2.0", "IEMOCAP", megabytes, revision)


CHECKPOINTS = (
    KnownCheckpoint(
        "trpakov/vit-face-expression", "face", _SEVEN, "Apache-2.0", "FER2013", 343,
        "78ed8d30faed7bd0f75e2357a77681e0365e349f",
    ),
    KnownCheckpoint(
        "dima806/facial_emotions_image_detection", "face", _SEVEN, "Apache-2.0", "not stated", 343,
    ),
    KnownCheckpoint(
        "motheecreator/vit-Facial-Expression-Recognition", "face", _SEVEN | {"anger": "anger"},
        "none stated (an earlier card: Apache-2.0)", "FER2013, MMI, AffectNet", 343,
    ),
    _hsemotion("enet_b0_8_best_vgaf", 224, _AFFECTNET),
    _hsemotion("enet_b0_8_best_afew", 224, _AFFECTNET),
    _hsemotion("enet_b2_8", 260, _AFFECTNET),
    _hsemotion("enet_b2_7", 260, {name: label for name, label in _AFFECTNET.items() if label}),
    _hsemotion("enet_b0_8_va_mtl", 224, {}, "its one output mixes eight classes with valence and arousal"),
    KnownCheckpoint(
        "emotion-ferplus-8.onnx", "face", _FER_PLUS, "MIT", "FER+", 34,
        source="https://github.com/onnx/models", preprocessing=Preprocessing(64, channels=1, scale=255.0),
    ),
    KnownCheckpoint(
        "POSTER", "face", {}, "not stated", "RAF-DB, AffectNet", source="https://github.com/zczcwh/POSTER",
        obstacle="its weights are pickled, and its network is in no library; export it to ONNX",
    ),
    _superb("wav2vec2-base-superb-er", 378, "5342d99fbd92729de036b8680a9d8e8d7ab40eea"),
    _superb("hubert-base-superb-er", 378, "refs/pr/1"),
    _superb("wav2vec2-large-superb-er", 1260, "refs/pr/1"),
    _superb("hubert-large-superb-er", 1260, "refs/pr/1"),
    KnownCheckpoint(
        "firdhokk/speech-emotion-recognition-with-openai-whisper-large-v3", "voice", _RAVDESS, "Apache-2.0",
        "RAVDESS, SAVEE, TESS, URDU", 2550, "ede9acef7d7ddecac806bce677640371b95cb186",
    ),
    KnownCheckpoint(
        "harshit345/xlsr-wav2vec-speech-emotion-recognition", "voice",
        {label: label for label in ("anger", "disgust", "fear", "happiness", "sadness")}, "Apache-2.0",
        "AESDD (Greek, acted)", 1270, "refs/pr/7",
    ),
    KnownCheckpoint(
        "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim", "voice", {}, "CC-BY-NC-SA-4.0", "MSP-Podcast 1.7", 661,
    ),
    KnownCheckpoint(
        "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition", "voice", _RAVDESS | {"calm": "neutral"},
        "Apache-2.0", "RAVDESS", 1270,
        obstacle="its head has names that are not those of transformers, which would set it up at random",
    ),
    KnownCheckpoint(
        "emotion2vec/emotion2vec_plus_large", "voice", {}, "its own (FunASR model license)", "not stated", 1950,
        obstacle="its weights are pickled, and its network is that of FunASR",
    ),
    KnownCheckpoint(
        "3loi/SER-Odyssey-Baseline-WavLM-Categorical", "voice", {}, "MIT", "MSP-Podcast",
        obstacle="its network is code in its repository, which mmemo doesn't run",
    ),
)  # fmt: skip
"""All that are known."""
_BY_NAME = {one.name: one for one in CHECKPOINTS}


def find_checkpoint(name_or_path: str | Path) -> KnownCheckpoint | None:
    """The known checkpoint of a name on the Hub, or of an ONNX file by its file name; None if it is not known.

    Raises:
        WeightsError: if it is known that it can't be loaded.
    """
    path = Path(name_or_path)
    known = _BY_NAME.get(path.name if path.suffix == ".onnx" else str(name_or_path))
    if known is not None and known.obstacle and not path.is_dir():
        raise WeightsError(f"{known.name} can't be loaded: {known.obstacle}.")
    return known
