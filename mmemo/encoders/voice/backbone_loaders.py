"""Speech networks of other projects with their preprocessing: transformers' wav2vec2 family, Whisper, torchaudio."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mmemo.encoders.external import HUB_NAME, fetch
from mmemo.errors import MissingExtraError, UnknownModelError, WeightsError, expected_one_of

FAMILIES = ("wav2vec2", "hubert", "wavlm", "wav2vec2-bert", "data2vec-audio", "whisper")
"""Supported values of ``model_type`` in a checkpoint's ``config.json``."""
DIMENSIONS = ("arousal", "dominance", "valence")
DENSE = "ForSpeechClassification"
"""End of the name of a network with a `DenseHead`, which is none of transformers'."""
PREFIX = "torchaudio:"


@dataclass(frozen=True, eq=False)
class BackboneOutput:
    """Output of a backbone for B inputs.

    Attributes:
        layers: 1 + L arrays (B, T, D): the input of the first transformer layer and the output of each.
        mask: (B, T) bool, True = valid.
        head: (B, J), output of the checkpoint's own head: logits, or values of `DIMENSIONS`; None if it has none.
    """

    layers: list[Tensor]
    mask: Tensor
    head: Tensor | None


class SpeechBackbone(Protocol):
    """The network inside a `mmemo.encoders.voice.backbone.SpeechBackboneEncoder`; also a ``torch.nn.Module``.

    Attributes:
        rate: samples a second of its input.
        stride: samples from one frame to the next.
        width: D.
        depth: L, the number of transformer layers.
        names: outputs of its head, empty if it has none.
        exact: whether inputs of different lengths may be padded to one batch: whether the mask reaches every operation
            that mixes frames.
    """

    rate: int
    stride: int
    width: int
    depth: int
    names: tuple[str, ...]
    exact: bool

    def input(self, waveform: np.ndarray) -> Tensor:
        """Network input, (N,) or (T, F), from a leveled waveform (N,) float32 at ``rate``."""
        ...

    def __call__(self, inputs: Sequence[Tensor]) -> BackboneOutput:
        """B inputs, of different lengths only if ``exact``."""
        ...

    def layers_from(self, first: int) -> list[nn.Module]:
        """The transformer layers ``first`` to L - 1, for unfreezing."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything needed to load it again into an existing folder."""
        ...


class TransformersBackbone(nn.Module):
    """A checkpoint of one of `FAMILIES` in a local folder, with its feature extractor. Opens no network.

    Args:
        folder: with ``config.json``, ``preprocessor_config.json`` and safetensors.

    Raises:
        MissingExtraError: if transformers is not installed.
        UnknownModelError: if there is no checkpoint.
        WeightsError: if it is of another family, or lacks weights, safetensors or a feature extractor.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        try:
            from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification
        except ImportError:
            raise MissingExtraError("A Hugging Face checkpoint", "backbones") from None
        if not (folder / "config.json").is_file():
            raise UnknownModelError(f"No Hugging Face checkpoint in {folder}: expected config.json there.")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.family = str(config.get("model_type"))
        if self.family not in FAMILIES:
            raise WeightsError(
                f"{folder}: " + expected_one_of("model_type of a speech checkpoint", FAMILIES, self.family)
            )
        if not (folder / "preprocessor_config.json").is_file():
            raise WeightsError(
                f"{folder} has no preprocessor_config.json, so its sample rate and normalization are not known. Save "
                "the feature extractor of the model it was trained from beside it."
            )
        kinds = [str(name) for name in config.get("architectures") or []]
        has_head = any(name.endswith(("ForSequenceClassification", "ForAudioClassification")) for name in kinds)
        auto: Any = AutoModelForAudioClassification if has_head else AutoModel
        if kinds == ["WhisperEncoder"]:  # as `save` leaves one without a head
            from transformers.models.whisper.modeling_whisper import WhisperEncoder

            auto = WhisperEncoder
        extractors: Any = AutoFeatureExtractor  # untyped in transformers
        try:
            model, report = auto.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            self._extractor = extractors.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise WeightsError(f"{folder} can't be used as a speech checkpoint: {error}") from None
        # A vector that only pre-training uses; checkpoints fine-tuned elsewhere leave it out.
        missing = [key for key in report["missing_keys"] if not key.endswith("masked_spec_embed")]
        if missing:
            raise WeightsError(f"{folder} has no weights for {sorted(missing)[:3]}: its scores would be random.")
        with_decoder = self.family == "whisper" and not has_head and kinds != ["WhisperEncoder"]
        self.model: Any = (model.get_encoder() if with_decoder else model).eval()
        self.rate = int(self._extractor.sampling_rate)
        settings = model.config
        named = getattr(settings, "id2label", {})
        # Layers that are left out at random in training would be missing in the mixture.
        settings.layerdrop = settings.encoder_layerdrop = 0.0
        for part in self.model.modules():
            if hasattr(part, "layerdrop"):
                part.layerdrop = 0.0
        self.dense_head: DenseHead | None = None
        if any(name.endswith(DENSE) for name in kinds) or set(map(str, named.values())) == set(DIMENSIONS):
            self.dense_head = DenseHead.read(folder, len(named), config.get("pooling_mode", "mean"))
        scores = has_head or self.dense_head is not None
        self.names: tuple[str, ...] = tuple(str(named[i]) for i in range(len(named))) if scores else ()
        self.width = int(settings.hidden_size)
        self.depth = int(settings.encoder_layers if self.family == "whisper" else settings.num_hidden_layers)
        self._convolutions: list[tuple[int, int]] = []
        self.stride = self.rate // 50
        if self.family not in ("whisper", "wav2vec2-bert"):  # those begin with a spectrum
            self._convolutions = list(zip(settings.conv_kernel, settings.conv_stride, strict=True))
            self.stride = int(np.prod(settings.conv_stride))
        # A group norm over time sees the padding; so do the stacked convolutions in front of data2vec's layers.
        grouped = getattr(settings, "feat_extract_norm", "layer") == "group"
        self.exact = self.family != "data2vec-audio" and not grouped

    def input(self, waveform: np.ndarray) -> Tensor:
        """Network input by the checkpoint's feature extractor; see `SpeechBackbone.input`."""
        made = self._extractor(waveform, sampling_rate=self.rate, return_tensors="np")
        if self.family == "whisper":
            # This part holds all of the sound; the silence up to 30 s is added again in `forward`.
            frames = -(-len(waveform) // self.stride)
            return torch.from_numpy(np.asarray(made["input_features"][0], np.float32)).T[: 2 * frames + 2]
        if self.family == "wav2vec2-bert":
            kept = np.asarray(made["attention_mask"][0], bool)
            return torch.from_numpy(np.asarray(made["input_features"][0], np.float32)[kept])
        return torch.from_numpy(np.asarray(made["input_values"][0], np.float32))

    def forward(self, inputs: Sequence[Tensor]) -> BackboneOutput:
        """See `SpeechBackbone`."""
        device = next(self.parameters()).device
        lengths = torch.tensor([len(one) for one in inputs], device=device)
        if self.family == "whisper":
            size = self.model.config.max_source_positions * 2
            mel = torch.stack([one.new_full((size, one.shape[1]), float(one.max()) - 2) for one in inputs])
            for row, one in zip(mel, inputs, strict=True):
                row[: len(one)] = one
            out = self.model(input_features=mel.transpose(1, 2).to(device), output_hidden_states=True)
            frames = lengths // 2 - 1
        else:
            padded = pad_sequence(list(inputs), batch_first=True).to(device)
            attention = (torch.arange(padded.shape[1], device=device) < lengths[:, None]).long()
            name = "input_features" if self.family == "wav2vec2-bert" else "input_values"
            attention_mask = attention if self.exact else None
            out = self.model(**{name: padded}, attention_mask=attention_mask, output_hidden_states=True)
            frames = lengths
            if self.family != "wav2vec2-bert":
                for kernel, stride in self._convolutions:
                    frames = torch.div(frames - kernel, stride, rounding_mode="floor") + 1
        layers = list(out.encoder_hidden_states if "encoder_hidden_states" in out else out.hidden_states)
        mask = torch.arange(layers[0].shape[1], device=device) < frames[:, None]
        head = getattr(out, "logits", None)
        if self.dense_head is not None:
            valid = mask[..., None].float()
            head = self.dense_head((layers[-1] * valid).sum(1) / valid.sum(1))
        return BackboneOutput(layers, mask, head)

    def layers_from(self, first: int) -> list[nn.Module]:
        """See `SpeechBackbone`."""
        lists = [part for part in self.model.modules() if isinstance(part, nn.ModuleList) and len(part) == self.depth]
        return list(lists[-1])[first:]

    def save(self, folder: Path) -> None:
        """Write model and feature extractor, in the format of `transformers`."""
        self.model.save_pretrained(folder)
        self._extractor.save_pretrained(folder)
        if self.dense_head is not None:
            self.dense_head.save(folder, self.family)


class TorchaudioBackbone(nn.Module):
    """A bundle of ``torchaudio.pipelines``: wav2vec 2.0, HuBERT, WavLM, XLS-R without a head.

    Args:
        name: of the bundle, such as "WAV2VEC2_BASE". Its weights are fetched unless torch's cache has them.

    Raises:
        UnknownModelError: if there is no such bundle, or it can't be fetched.
    """

    names: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        super().__init__()
        bundle = bundles().get(name)
        if bundle is None:
            raise UnknownModelError(expected_one_of("Bundle of torchaudio", bundles(), name))
        try:
            model = bundle.get_model()
        except Exception as error:  # no network, no disk: each has its own exception
            raise UnknownModelError(f"The torchaudio bundle {name} can't be fetched: {error}") from None
        self.bundle = name
        self.normalize = bool(bundle._normalize_waveform)  # torchaudio's own models wrap themselves in it
        # That wrapper takes the mean over padding, too; we take it over the sound.
        self.model: Any = getattr(model, "model", model) if self.normalize else model
        self.model.eval()
        self.rate = int(bundle.sample_rate)
        layers = self.model.encoder.transformer.layers
        self.depth, self.width = len(layers), int(self.model.encoder.feature_projection.projection.out_features)
        convolutions = self.model.feature_extractor.conv_layers
        self.stride = int(np.prod([layer.stride for layer in convolutions]))
        # See `TransformersBackbone`: a group norm over time sees the padding.
        self.exact = not any(isinstance(part, nn.GroupNorm) for part in convolutions.modules())

    def input(self, waveform: np.ndarray) -> Tensor:
        """Network input: the waveform at mean 0 and standard deviation 1 if the bundle was trained so."""
        sound = torch.from_numpy(waveform)
        return nn.functional.layer_norm(sound, sound.shape) if self.normalize else sound

    def forward(self, inputs: Sequence[Tensor]) -> BackboneOutput:
        """See `SpeechBackbone`."""
        device = next(self.parameters()).device
        lengths = torch.tensor([len(one) for one in inputs], device=device)
        padded = pad_sequence(list(inputs), batch_first=True).to(device)
        features, frames = self.model.feature_extractor(padded, lengths)
        entering, attention = self.model.encoder._preprocess(features, frames)
        transformer = self.model.encoder.transformer
        leaving = transformer.get_intermediate_outputs(entering, attention_mask=attention)
        layers = [transformer._preprocess(entering), *leaving]
        return BackboneOutput(layers, torch.arange(entering.shape[1], device=device) < frames[:, None], None)

    def layers_from(self, first: int) -> list[nn.Module]:
        """See `SpeechBackbone`."""
        return list(self.model.encoder.transformer.layers)[first:]

    def save(self, folder: Path) -> None:
        """Write the bundle's name, for its shape, and the weights, as they may have been trained further."""
        (folder / "bundle.json").write_text(json.dumps({"torchaudio": self.bundle}) + "\n", encoding="utf-8")
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        save_file(state, folder / "bundle.safetensors")


class DenseHead(nn.Module):
    """The head of audEERING's model, and of classifiers of that shape: dense layer, hyperbolic tangent, linear layer.

    Source: Wagner et al., "Dawn of the transformer era in speech emotion recognition", IEEE TPAMI 2023.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.dense, self.out_proj = nn.Linear(width, width), nn.Linear(width, outputs)

    def forward(self, pooled: Tensor) -> Tensor:
        """Outputs (B, J) from the mean (B, D) of the last layer: logits, or values from about 0 to 1."""
        out: Tensor = self.out_proj(self.dense(pooled).tanh())
        return out

    @classmethod
    def read(cls, folder: Path, outputs: int, pooling: str) -> DenseHead:
        """The head in a checkpoint's safetensors.

        Raises:
            WeightsError: if they are not there, or it pools otherwise than by the mean.
        """
        if pooling != "mean":
            raise WeightsError(f"{folder}: expected a head on the mean over time, got {pooling!r}.")
        weights: dict[str, Tensor] = {}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as tensors:
                own = ("classifier.dense.", "classifier.out_proj.")  # mmemo's own head is a "classifier" too
                names = [name for name in tensors.keys() if name.startswith(own)]  # noqa: SIM118
                weights |= {name.removeprefix("classifier."): tensors.get_tensor(name).float() for name in names}
        try:
            head = cls(weights["dense.weight"].shape[0], outputs)
            head.load_state_dict(weights)
        except (KeyError, RuntimeError) as error:
            raise WeightsError(f"{folder} is to have a head of {outputs} outputs, and has none ({error}).") from None
        return head.eval()

    def save(self, folder: Path, family: str) -> None:
        """Add the head to a checkpoint that was written without it."""
        weights = {f"classifier.{name}": tensor.cpu() for name, tensor in self.state_dict().items()}
        save_file(weights, folder / "head.safetensors", {"format": "pt"})
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["architectures"] = [f"{family}{DENSE}"]
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_bundle(folder: Path) -> TorchaudioBackbone:
    """The backbone that `TorchaudioBackbone.save` wrote; its bundle must be in torch's cache, or is fetched.

    Raises:
        UnknownModelError: if it can't be fetched.
        WeightsError: if the weights are damaged.
    """
    backbone = TorchaudioBackbone(json.loads((folder / "bundle.json").read_text(encoding="utf-8"))["torchaudio"])
    try:
        backbone.model.load_state_dict(load_file(folder / "bundle.safetensors"))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise WeightsError(f"{folder} holds no weights of {backbone.bundle}: {error}") from None
    return backbone


def bundles() -> dict[str, Any]:
    """The self-supervised speech models of ``torchaudio.pipelines`` by name."""
    from torchaudio import pipelines

    kind = type(pipelines.WAV2VEC2_BASE)
    return {name: value for name in dir(pipelines) if type(value := getattr(pipelines, name)) is kind}


def load_backbone(name_or_path: str | Path, revision: str | None = None) -> TransformersBackbone | TorchaudioBackbone:
    """A backbone from a folder, "torchaudio:" and the name of a bundle, or a name on the Hugging Face Hub.

    Raises:
        UnknownModelError: if there is nothing of that name.
        WeightsError: if it is no supported speech checkpoint.
        MissingExtraError: if transformers is needed and not installed.
    """
    if str(name_or_path).startswith(PREFIX):
        return TorchaudioBackbone(str(name_or_path).removeprefix(PREFIX))
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return TransformersBackbone(path)
    if path.exists() or not HUB_NAME.fullmatch(str(name_or_path)):
        raise UnknownModelError(
            f"{name_or_path} is no folder with a Hugging Face checkpoint, no name on the Hub, and no {PREFIX}BUNDLE."
        )
    return TransformersBackbone(fetch(str(name_or_path), revision))
