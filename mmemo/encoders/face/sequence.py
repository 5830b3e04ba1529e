"""A face encoder that sees movement: the crops of one window as a sequence in, tokens and class scores out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoding
from mmemo.encoders.face.encoder import FaceEncoder, gray_crops
from mmemo.encoders.face.frames import Doubt, choose_frames, pool_frames
from mmemo.encoders.face.sequence_network import SequenceArchitecture, SequenceNetwork
from mmemo.errors import ArgumentError, WeightsError
from mmemo.evidence import Evidence
from mmemo.labels import LABEL_SETS, LabelSet

KIND = "face-sequence-encoder"
_NO_DOUBT = Doubt()


class FaceSequenceEncoder:
    """Encoder of the modality "face" (see `mmemo.encoders.base.Encoder`) around a sequence network.

    It looks at the same frames as `FaceEncoder`: the best of equal slots of time, in order.

    Args:
        network: trained on inputs made by `mmemo.encoders.face.encoder.gray_crops`.
        labels: its classes, in the order of its logits.
        frames: the most crops of one window that are looked at.
        floor: crops of a lower quality are not looked at.
        mirror: score each window and its mirror image and take the mean.
        doubt: how far scores are flattened where the quality is low.
        device: of torch.
        card: what else its weights' ``config.json`` says.

    Raises:
        ArgumentError: if labels and network don't agree on the number of classes.
    """

    modality = "face"

    def __init__(
        self,
        network: SequenceNetwork,
        labels: LabelSet,
        *,
        frames: int = 8,
        floor: float = 0.05,
        mirror: bool = True,
        doubt: Doubt = _NO_DOUBT,
        device: str = "cpu",
        card: dict[str, Any] | None = None,
    ) -> None:
        image = network.architecture.image
        if image.classes != len(labels):
            raise ArgumentError(
                f"FaceSequenceEncoder: the network has {image.classes} classes, {labels.name} has {len(labels)} labels."
            )
        self.labels, self.dim, self.size = labels, network.dim, image.size
        self.frames, self.floor, self.mirror, self.device = frames, floor, mirror, device
        self.doubt, self.card = doubt, dict(card or {})
        self.network = network.eval().to(device)

    @classmethod
    def inflate(cls, encoder: FaceEncoder, architecture: SequenceArchitecture) -> FaceSequenceEncoder:
        """Around a copy of an image encoder's network; until it is trained it says what that one says.

        Args:
            encoder: whose weights, frames, floor and labels are taken.
            architecture: kind, kernel and hidden size; the shape of the image network is the encoder's.
        """
        own = SequenceArchitecture(
            encoder.network.architecture, architecture.kind, architecture.kernel, architecture.hidden
        )
        network = own.build()
        network.image.load_state_dict(encoder.network.state_dict())
        settings: dict[str, Any] = {name: getattr(encoder, name) for name in ("frames", "floor", "mirror", "doubt")}
        return cls(network, encoder.labels, **settings)

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """(T, 2, S, S) float32 as `FaceEncoder.prepare` gives it, frames in order of time."""
        face = evidence.face
        if face is None:
            return None
        chosen = choose_frames(face.times, face.quality, self.frames, self.floor)
        if not len(chosen):
            return None
        quality = np.broadcast_to(face.quality[chosen, None, None], (len(chosen), self.size, self.size))
        return np.stack([gray_crops(face.crops[chosen], self.size), quality], axis=1, dtype=np.float32)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Tokens (B, T, D), one a frame; logits the mean of the frames' log scores, weighted by quality.

        Windows of the same length go through the network together, as padding would be a frame like any other to it.

        Raises:
            ArgumentError: if the batch is empty, or a window is not of the shape that `prepare` gives.
        """
        if not len(batch):
            raise ArgumentError("FaceSequenceEncoder.encode: expected at least one window, got an empty batch.")
        for window in batch:
            if window.ndim != 4 or not len(window) or window.shape[1:] != (2, self.size, self.size):
                raise ArgumentError(
                    f"FaceSequenceEncoder.encode: expected windows (T, 2, {self.size}, {self.size}), "
                    f"got {window.shape}."
                )
        said: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for length in {len(window) for window in batch}:
            rows = [row for row, window in enumerate(batch) if len(window) == length]
            said |= dict(
                zip(rows, zip(*self._run(np.stack([batch[row][:, :1] for row in rows])), strict=True), strict=True)
            )
        features, scores = (np.concatenate([said[row][part] for row in range(len(batch))]) for part in (0, 1))
        return pool_frames(features, scores, [window[:, 1, 0, 0] for window in batch], self.doubt)

    def _run(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (B, T, D) and log scores (B, T, K) of clips (B, T, 1, S, S)."""
        with torch.inference_mode():
            inputs = torch.from_numpy(clips).to(self.device)
            tokens, logits = self.network(inputs)
            if self.mirror:
                other_tokens, other_logits = self.network(inputs.flip(4))
                tokens, logits = (tokens + other_tokens) / 2, (logits + other_logits) / 2
            return tokens.float().cpu().numpy(), torch.log_softmax(logits.float(), dim=2).cpu().numpy()

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors`` (matrices in float16) into ``folder``."""
        settings = {
            **self.card,
            "kind": KIND,
            "labels": self.labels.name,
            "architecture": self.network.architecture.to_dict(),
            "frames": self.frames,
            "floor": self.floor,
            "mirror": self.mirror,
            "doubt": asdict(self.doubt),
        }
        tensors = {}
        for name, tensor in self.network.state_dict().items():
            array = tensor.detach().float().cpu().numpy()
            tensors[name] = array.astype(np.float16) if array.ndim > 1 else array
        return save_checkpoint(folder, settings, tensors)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> FaceSequenceEncoder:
        """Read what `save` wrote.

        Raises:
            UnknownModelError: if there is no checkpoint.
            WeightsError: if it is damaged, or not one of a sequence encoder.
        """
        checkpoint = load_checkpoint(folder, KIND)
        config = checkpoint.config
        try:
            network = SequenceArchitecture.from_dict(config["architecture"]).build()
            network.load_state_dict({n: torch.from_numpy(a).float() for n, a in checkpoint.tensors.items()})
            settings = {name: config[name] for name in ("frames", "floor", "mirror")}
            settings["doubt"] = Doubt(**config.get("doubt", {}))
            labels = LABEL_SETS[config["labels"]]
        except (KeyError, TypeError, RuntimeError) as error:
            raise WeightsError(f"{folder} does not hold a sequence encoder of this version: {error}") from None
        return cls(network, labels, **settings, device=device, card=config)
