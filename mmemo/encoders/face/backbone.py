"""Face encoder around any image classifier: a Hugging Face checkpoint (ViT, ConvNeXt, ResNet …) or an ONNX file.

The checkpoint brings its own preprocessing and class names; a mapping relates the names to labels. Neither
`transformers` nor `onnxruntime` is imported before a checkpoint of that kind is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.encoders.external import HUB_NAME, fetch, map_classes, map_scores, read_settings, write_settings
from mmemo.encoders.face.backbone_loaders import HuggingFaceClassifier, ImageClassifier, OnnxClassifier
from mmemo.encoders.face.frames import FaceFrameEncoder
from mmemo.encoders.face.preprocessing import Preprocessing
from mmemo.encoders.known_checkpoints import find_checkpoint
from mmemo.errors import ArgumentError, LabelError, UnknownModelError, WeightsError
from mmemo.evidence import FaceEvidence
from mmemo.faces.align import SIZE
from mmemo.files import replacing
from mmemo.labels import EKMAN7, FER7_TO_EKMAN7, FER8_TO_EKMAN7, LabelMapping, LabelSet

KIND = "image-backbone"


class ImageBackboneEncoder(FaceFrameEncoder):
    """Encoder of the modality "face" (see `mmemo.encoders.base.Encoder`) around an image classifier.

    A token is the classifier's pooled last layer of one crop (of an ONNX file: its log scores).

    Args:
        classifier: with its own preprocessing and class names.
        mapping: from the classifier's names to the labels of this encoder.
        frames: highest number of crops of one window that are encoded.
        floor: crops of a lower quality are not encoded.
        mirror: score each crop and its mirror image and take the mean, at twice the work.

    Raises:
        LabelError: if the mapping is not from the classifier's names.

    >>> import numpy as np
    >>> from mmemo.encoders.face.backbone import ImageBackboneEncoder
    >>> from mmemo.labels import EKMAN7, LabelMapping, LabelSet
    >>> class Brightness:  # any class of this shape
    ...     names, dim = ("dark", "bright"), 1
    ...     def prepare(self, crops):
    ...         return crops.mean(axis=(1, 2, 3), dtype=np.float32).reshape(-1, 1, 1, 1) / 255
    ...     def __call__(self, images):
    ...         light = images.reshape(-1, 1)
    ...         return light, np.concatenate([-light, light], axis=1)
    >>> mapping = LabelMapping(LabelSet("light", Brightness.names), EKMAN7, {"dark": "sadness", "bright": "happiness"})
    >>> encoder = ImageBackboneEncoder(Brightness(), mapping)
    >>> encoder.encode([np.ones((3, 2, 1, 1), np.float32)]).tokens.shape
    (1, 3, 1)
    """

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
        shape = classifier.prepare(np.zeros((1, SIZE, SIZE, 3), np.uint8)).shape[1:]
        super().__init__(mapping.target, classifier.dim, shape, frames=frames, floor=floor)
        self.mapping, self.mirror = mapping, mirror
        self._classifier = classifier

    def _inputs(self, face: FaceEvidence, chosen: np.ndarray) -> np.ndarray:
        """(T, C, H, W), by the classifier's preprocessing."""
        return self._classifier.prepare(face.crops[chosen])

    def _score(self, windows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        images = np.concatenate(windows)
        features, logits = self._classifier(images)
        if self.mirror:
            mirrored_features, mirrored_logits = self._classifier(np.ascontiguousarray(images[..., ::-1]))
            features, logits = (features + mirrored_features) / 2, (logits + mirrored_logits) / 2
        return features, map_scores(logits, self.mapping)

    def save(self, folder: str | Path) -> Path:
        """Write the classifier and ``mmemo.json``, with the mapping and settings, into ``folder``."""
        settings = {
            "kind": KIND,
            "classifier": type(self._classifier).__name__,
            "names": list(self._classifier.names),
            "labels": self.labels.to_config(),
            "mapping": dict(self.mapping.pairs),
            "frames": self.frames,
            "floor": self.floor,
            "mirror": self.mirror,
        }
        if isinstance(self._classifier, OnnxClassifier):
            settings["preprocessing"] = asdict(self._classifier.preprocessing)
        with replacing(folder) as partial:
            self._classifier.save(partial)
            write_settings(partial, settings)
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
        settings = read_settings(folder, KIND)
        classifier: ImageClassifier
        try:
            if settings["classifier"] == OnnxClassifier.__name__:
                preprocessing = Preprocessing(**settings["preprocessing"])
                classifier = OnnxClassifier(folder / OnnxClassifier.FILE, settings["names"], preprocessing, device)
            else:
                classifier = HuggingFaceClassifier(folder, device)
            target = LabelSet.from_config(settings["labels"])
            mapping = LabelMapping(LabelSet("checkpoint", classifier.names), target, settings["mapping"])
            own = {name: settings[name] for name in ("frames", "floor", "mirror")}
            return cls(classifier, mapping, **own)
        except (KeyError, TypeError, LabelError) as error:
            raise WeightsError(f"{folder} does not hold an image backbone of this version: {error}") from None


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
        labels: the label of each of the checkpoint's names, None for names that are dropped. It may be left out for
            `mmemo.encoders.known_checkpoints.CHECKPOINTS`, and for the names of FER2013, of FER+ and of ``target``.
        names: of an ONNX file, its classes in the order of its output; they may be left out for a known one.
        preprocessing: of an ONNX file; by default that of a known one, else read from the shape of its input, with
            values from 0 to 1.
        target: the labels of the encoder.
        device: "auto", "cpu", "cuda", "mps"; for an ONNX file those of `mmemo.onnx_network.DEVICES`.
        revision: branch, tag or commit on the Hub; by default that of a known checkpoint, else the newest.
        settings: ``frames``, ``floor`` and ``mirror`` of `ImageBackboneEncoder`.

    Raises:
        UnknownModelError: if there is nothing of that name, here or on the Hub.
        WeightsError: if it is no image classifier, has no safetensors weights, or is known not to be loadable.
        LabelError: if the meaning of the names is not known, or ``labels`` doesn't fit them.
        MissingExtraError: if transformers or onnxruntime is not installed.

    >>> from mmemo.encoders.face.backbone import load_image_backbone
    >>> from mmemo.errors import UnknownModelError
    >>> load_image_backbone("trpakov/vit-face-expression", mirror=True)  # doctest: +SKIP
    >>> try:
    ...     load_image_backbone("./not-there")
    ... except UnknownModelError as error:
    ...     print(error)
    ./not-there is no folder with a Hugging Face checkpoint, no .onnx file, and no name on the Hub.
    """
    path = Path(name_or_path).expanduser()
    known = find_checkpoint(name_or_path)
    classifier: ImageClassifier
    if path.suffix == ".onnx":
        if known is not None and names is None:
            names, preprocessing = tuple(known.classes), preprocessing or known.preprocessing
        classifier = OnnxClassifier(path, names, preprocessing, device)
    elif names is not None or preprocessing is not None:
        raise ArgumentError("names and preprocessing are for ONNX files; a Hugging Face checkpoint brings its own.")
    elif path.is_dir():
        classifier = HuggingFaceClassifier(path, device)
    elif path.exists() or not HUB_NAME.fullmatch(str(name_or_path)):
        raise UnknownModelError(
            f"{name_or_path} is no folder with a Hugging Face checkpoint, no .onnx file, and no name on the Hub."
        )
    else:
        revision = revision or (known.revision if known else None)
        classifier = HuggingFaceClassifier(fetch(str(name_or_path), revision), device)
    if labels is None and known is not None:
        labels = known.labels(classifier.names, target)
    mapping = map_classes(classifier.names, labels, target, (FER7_TO_EKMAN7, FER8_TO_EKMAN7))
    return ImageBackboneEncoder(classifier, mapping, **settings)
