"""Image classifiers of other projects, each with its own preprocessing: Hugging Face checkpoints and ONNX files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mmemo.encoders.face.preprocessing import Preprocessing
from mmemo.errors import ArgumentError, MissingExtraError, UnknownModelError, WeightsError
from mmemo.onnx_network import OnnxNetwork

CHUNK = 16
"""Crops that go through a classifier at once."""


class ImageClassifier(Protocol):
    """The classifier inside an `mmemo.encoders.face.backbone.ImageBackboneEncoder`.

    Attributes:
        names: the classes of the logits, as the checkpoint names them.
        dim: D, the width of a feature vector.
    """

    names: tuple[str, ...]
    dim: int

    def prepare(self, crops: np.ndarray) -> np.ndarray:
        """Crops (N, S, S, 3) uint8 RGB to the classifier's input (N, C, H, W) float32."""
        ...

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, D) and logits (N, J), float32, of prepared images."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything needed to load it again into an existing folder."""
        ...


class HuggingFaceClassifier:
    """An image classifier of `transformers` in a local folder, with its image processor. Opens no network.

    Args:
        folder: with ``config.json``, ``preprocessor_config.json`` and safetensors.
        device: of torch.

    Raises:
        MissingExtraError: if transformers is not installed.
        WeightsError: if it is no image classifier, has no trained head, or no safetensors.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        try:
            from transformers import AutoImageProcessor, AutoModelForImageClassification

            from mmemo.encoders.torch_network import torch_device
        except ImportError:
            raise MissingExtraError("A Hugging Face checkpoint", "backbones") from None
        if not (folder / "config.json").is_file():
            raise UnknownModelError(f"No Hugging Face checkpoint in {folder}: expected config.json there.")
        try:
            model, report = AutoModelForImageClassification.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            processors: Any = AutoImageProcessor  # untyped in transformers
            self._processor = processors.from_pretrained(folder, local_files_only=True, backend="pil")
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise WeightsError(f"{folder} can't be used as an image classifier: {error}") from None
        if report["missing_keys"]:
            raise WeightsError(
                f"{folder} has no weights for {sorted(report['missing_keys'])[:3]}: its scores would be random. It is "
                "likely a backbone that was not trained to classify; fine-tune it first."
            )
        self._device = torch_device(device)
        self._model = model.eval().to(self._device)
        config = model.config
        self.names = tuple(str(config.id2label[i]) for i in range(config.num_labels))
        self.dim = self(self.prepare(np.zeros((1, 8, 8, 3), np.uint8)))[0].shape[1]

    def prepare(self, crops: np.ndarray) -> np.ndarray:
        """Model input by the checkpoint's image processor; see `ImageClassifier.prepare`."""
        return np.asarray(self._processor(images=list(crops), return_tensors="np")["pixel_values"], np.float32)

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features and logits; the features are the mean of the last hidden state over positions."""
        import torch

        features, logits = [], []
        with torch.inference_mode():
            for start in range(0, len(images), CHUNK):
                chunk = torch.from_numpy(images[start : start + CHUNK]).to(self._device)
                out = self._model(pixel_values=chunk, output_hidden_states=True)
                hidden = out.hidden_states[-1]
                # Transformers give (N, positions, D), convolutional networks (N, D, H, W).
                features.append((hidden.mean(1) if hidden.ndim == 3 else hidden.mean((2, 3))).float().cpu().numpy())
                logits.append(out.logits.float().cpu().numpy())
        return np.concatenate(features), np.concatenate(logits)

    def save(self, folder: Path) -> None:
        """Write model and image processor, in the format of `transformers`."""
        self._model.save_pretrained(folder)
        self._processor.save_pretrained(folder)


class OnnxClassifier:
    """An ONNX image classifier. Its log scores serve as features, as a file has no other output.

    Args:
        path: of the file.
        names: its classes in the order of its first output.
        preprocessing: by default read from the shape of its input.
        device: see `mmemo.onnx_network.OnnxNetwork`.

    Raises:
        UnknownModelError: if there is no such file.
        WeightsError: if it can't be loaded, or has another number of classes than ``names``.
        ArgumentError: if ``names`` is missing, or the size of the input is not known.
    """

    FILE = "model.onnx"

    def __init__(
        self,
        path: Path,
        names: Sequence[str] | None = None,
        preprocessing: Preprocessing | None = None,
        device: str = "cpu",
    ) -> None:
        if not path.is_file():
            raise UnknownModelError(f"There is no file {path}.")
        if names is None or isinstance(names, str):
            raise ArgumentError(f"{path} doesn't name its classes: give names=[…] in the order of its output.")
        self._network, self._path = OnnxNetwork(path, device), path
        self._input = self._network.inputs[0]
        self.preprocessing = preprocessing or self._from_shape()
        self.names = tuple(names)
        try:
            logits = self(self.prepare(np.zeros((1, 8, 8, 3), np.uint8)))[1]
        except Exception as error:
            raise WeightsError(
                f"{path}, whose input is {list(self._input.shape)}, doesn't take the output of {self.preprocessing}: "
                f"{error}"
            ) from None
        if logits.shape != (1, len(self.names)):
            raise WeightsError(
                f"{path} gives scores of shape {logits.shape[1:]}, but {len(self.names)} names were given."
            )
        self.dim = len(self.names)

    def _from_shape(self) -> Preprocessing:
        shape = list(self._input.shape)
        for layout, channels, height in (("NCHW", 1, 2), ("NHWC", 3, 1)):
            if len(shape) == 4 and shape[channels] in (1, 3) and isinstance(shape[height], int):
                return Preprocessing(shape[height], shape[channels], layout)  # type: ignore[arg-type]
        raise ArgumentError(
            f"{self._path}: its input {shape} doesn't name the size of its images. Give preprocessing=Preprocessing(…)."
        )

    def prepare(self, crops: np.ndarray) -> np.ndarray:
        """Model input by `Preprocessing`."""
        return self.preprocessing(crops)

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log scores, as features and as logits."""
        if self.preprocessing.layout == "NHWC":
            images = images.transpose(0, 2, 3, 1)
        kind = np.float16 if self._input.type == "tensor(float16)" else np.float32
        # A file exported for one image takes no more than one at a time.
        step = self._input.shape[0] if isinstance(self._input.shape[0], int) else CHUNK
        images = np.ascontiguousarray(images, kind)
        parts = [self._network(images[start : start + step])[0] for start in range(0, len(images), step)]
        scores = np.concatenate(parts).astype(np.float32)
        if self.preprocessing.output == "probabilities":
            scores = np.log(np.maximum(scores, 1e-6))
        return scores, scores

    def save(self, folder: Path) -> None:
        """Copy the file; weights that it keeps in other files don't come along.

        Raises:
            ArgumentError: if there are such files.
        """
        beside = [file.name for file in self._path.parent.glob(f"{self._path.name}*data*")]
        if beside:
            raise ArgumentError(f"{self._path} keeps weights in {beside}; store it as one file, then save again.")
        shutil.copyfile(self._path, folder / self.FILE)
