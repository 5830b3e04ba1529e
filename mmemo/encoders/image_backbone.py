"""Any image classifier as the face encoder: a Hugging Face checkpoint (ViT, ConvNeXt, ResNet …) or an ONNX file.

The checkpoint brings its own preprocessing and its own class names; a mapping says what the names mean. Neither
`transformers` nor `onnxruntime` is imported before a checkpoint of that kind is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.foreign import HUB_NAME, fetch, map_scores, mapping_of
from mmemo.encoders.frames import choose_frames, pool_frames
from mmemo.encoders.image_classifier import (
    HuggingFaceClassifier,
    ImageClassifier,
    OnnxClassifier,
    Preprocessing,
    read_settings,
)
from mmemo.errors import ArgumentError, LabelError, UnknownModelError
from mmemo.evidence import Evidence
from mmemo.files import replacing
from mmemo.labels import EKMAN7, FER7_TO_EKMAN7, FER8_TO_EKMAN7, LABEL_SETS, LabelMapping, LabelSet

KIND = "image-backbone"
SETTINGS = "mmemo.json"


class ImageBackboneEncoder:
    """Encoder of the modality "face" (see `mmemo.encoders.base.Encoder`) around an image classifier.

    Args:
        classifier: with its own preprocessing and class names.
        mapping: from the classifier's names to the labels of this encoder.
        frames: the most crops of one window that are looked at.
        floor: crops of a lower quality are not looked at.
        mirror: score each crop and its mirror image and take the mean, at twice the work.

    Raises:
        LabelError: if the mapping is not from the classifier's names.
    """

    modality = "face"

    def __init__(
        self,
        classifier: ImageClassifier,
        mapping: LabelMapping,
        *,
        frames: int = 8,
        floor: float = 0.05,
        mirror: bool = False,
    ) -> None:
        if mapping.source.labels != classifier.names:
            raise LabelError(
                f"ImageBackboneEncoder: the classifier's classes are {list(classifier.names)}, "
                f"the mapping is from {list(mapping.source)}."
            )
        self.labels = mapping.target
        self.dim = classifier.dim
        self.mapping, self.frames, self.floor, self.mirror = mapping, frames, floor, mirror
        self._classifier = classifier

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """The crops of one window as the classifier takes them.

        Returns:
            (T, C + 1, H, W) float32 with T at most ``frames``: the classifier's own input of each crop, and in the
            last plane its quality. None if the window has no face, or none of at least the quality ``floor``.
        """
        face = evidence.face
        if face is None:
            return None
        chosen = choose_frames(face.times, face.quality, self.frames, self.floor)
        if not len(chosen):
            return None
        images = self._classifier.prepare(face.crops[chosen])
        quality = np.broadcast_to(face.quality[chosen, None, None, None], (len(images), 1, *images.shape[2:]))
        return np.concatenate([images, quality], axis=1, dtype=np.float32)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows.

        A token is the classifier's pooled last layer of one crop (for ONNX: its log scores). The logits of a window
        are the mean of its crops' log scores after the mapping, weighted by quality.

        Raises:
            ArgumentError: if the batch is empty, or a window is not of the shape that `prepare` gives.
        """
        if not len(batch):
            raise ArgumentError("ImageBackboneEncoder.encode: expected at least one window, got an empty batch.")
        for window in batch:
            if window.ndim != 4 or not len(window) or window.shape[1:] != batch[0].shape[1:]:
                raise ArgumentError(
                    f"ImageBackboneEncoder.encode: expected windows (T, C + 1, H, W), got {window.shape}."
                )
        features, scores = self._run(np.concatenate([window[:, :-1] for window in batch]))
        return pool_frames(features, scores, [window[:, -1, 0, 0] for window in batch])

    def _run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, D) and mapped log scores (N, K)."""
        features, logits = self._classifier(images)
        if self.mirror:
            other_features, other_logits = self._classifier(np.ascontiguousarray(images[..., ::-1]))
            features, logits = (features + other_features) / 2, (logits + other_logits) / 2
        return features, map_scores(logits, self.mapping)

    def save(self, folder: str | Path) -> Path:
        """Write the classifier and ``mmemo.json``, with the mapping and settings, into ``folder``."""
        settings = {
            "kind": KIND,
            "classifier": type(self._classifier).__name__,
            "names": list(self._classifier.names),
            "labels": self.labels.name,
            "mapping": dict(self.mapping.pairs),
            "frames": self.frames,
            "floor": self.floor,
            "mirror": self.mirror,
        }
        if isinstance(self._classifier, OnnxClassifier):
            settings["preprocessing"] = asdict(self._classifier.preprocessing)
        with replacing(folder) as partial:
            self._classifier.save(partial)
            (partial / SETTINGS).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> ImageBackboneEncoder:
        """Read what `save` wrote.

        Raises:
            UnknownModelError: if there is no such encoder.
            WeightsError: if it is damaged.
            MissingExtraError: if it needs packages that are not installed.
        """
        folder = Path(folder)
        settings = read_settings(folder / SETTINGS, KIND)
        classifier: ImageClassifier
        if settings["classifier"] == OnnxClassifier.__name__:
            preprocessing = Preprocessing(**settings["preprocessing"])
            classifier = OnnxClassifier(folder / OnnxClassifier.FILE, settings["names"], preprocessing)
        else:
            classifier = HuggingFaceClassifier(folder, device)
        target = LABEL_SETS[settings["labels"]]
        mapping = LabelMapping(LabelSet("checkpoint", classifier.names), target, settings["mapping"])
        return cls(classifier, mapping, frames=settings["frames"], floor=settings["floor"], mirror=settings["mirror"])


def load_image_backbone(
    name_or_path: str | Path,
    *,
    labels: Mapping[str, str | None] | None = None,
    names: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    target: LabelSet = EKMAN7,
    device: str = "cpu",
    revision: str | None = None,
    **settings: Any,
) -> ImageBackboneEncoder:
    """A face encoder from a checkpoint of another project.

    Args:
        name_or_path: a folder with a Hugging Face checkpoint, an ``.onnx`` file, or, if there is no such path, the name
            of a checkpoint on the Hugging Face Hub, which is then fetched (safetensors and JSON only) unless it is in
            the local cache.
        labels: what each of the checkpoint's names means, None for names that are dropped. It may be left out for the
            names of FER2013, of FER+ and of ``target`` itself.
        names: of an ONNX file, its classes in the order of its output.
        preprocessing: of an ONNX file; by default what its input's shape says, and values from 0 to 1.
        target: the labels of the encoder.
        device: of torch; ONNX runs on the CPU.
        revision: branch, tag or commit on the Hub.
        settings: ``frames``, ``floor`` and ``mirror`` of `ImageBackboneEncoder`.

    Raises:
        UnknownModelError: if nothing of that name is found, here or on the Hub.
        WeightsError: if it is no image classifier, or has no safetensors weights.
        LabelError: if the names' meaning is not known, or ``labels`` doesn't fit them.
        MissingExtraError: if transformers or onnxruntime is not installed.
    """
    path = Path(name_or_path).expanduser()
    classifier: ImageClassifier
    if path.suffix == ".onnx":
        classifier = OnnxClassifier(path, names, preprocessing)
    elif names is not None or preprocessing is not None:
        raise ArgumentError("names and preprocessing are for ONNX files; a Hugging Face checkpoint brings its own.")
    elif path.is_dir():
        classifier = HuggingFaceClassifier(path, device)
    elif path.exists() or not HUB_NAME.fullmatch(str(name_or_path)):
        raise UnknownModelError(
            f"{name_or_path} is no folder with a Hugging Face checkpoint, no .onnx file, and no name on the Hub."
        )
    else:
        classifier = HuggingFaceClassifier(fetch(str(name_or_path), revision), device)
    mapping = mapping_of(classifier.names, labels, target, (FER7_TO_EKMAN7, FER8_TO_EKMAN7))
    return ImageBackboneEncoder(classifier, mapping, **settings)
