"""Voice encoder around any speech checkpoint: wav2vec 2.0, HuBERT, WavLM, Wav2Vec2-BERT, data2vec, Whisper …

The checkpoint brings its own sample rate and normalization. The scores of one with an emotion head go through a mapping
from its classes to labels; any other gives tokens, and scores once a head was trained
(`mmemo.training.finetune_speech.fine_tune`). `transformers` is not imported before a checkpoint of it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import resample

from mmemo.encoders.base import Encoding, pad_tokens
from mmemo.encoders.external import map_classes, map_scores, read_settings, write_settings
from mmemo.encoders.known_checkpoints import find_checkpoint
from mmemo.encoders.torch_network import torch_device
from mmemo.encoders.voice.backbone_loaders import (
    DIMENSIONS,
    TorchaudioBackbone,
    TransformersBackbone,
    load_backbone,
    load_bundle,
)
from mmemo.encoders.voice.waveform import prepare
from mmemo.errors import ArgumentError, LabelError, WeightsError, expected_one_of
from mmemo.evidence import SAMPLE_RATE, Evidence, Seconds
from mmemo.files import replacing
from mmemo.labels import EKMAN7, LabelMapping, LabelSet

KIND = "speech-backbone"
HEAD = "mmemo.safetensors"
Pooling = Literal["mean", "mean+std", "attentive"]
LONGEST: Seconds = 20.0
OVERLAP: Seconds = 2.0
"""Sound beyond `LONGEST` is split into pieces that overlap by this; half of it is dropped on each side of a seam."""
TOKENS_PER_SECOND = 10
_SHORT_NAMES = {
    "neu": "neutral", "hap": "happiness", "sad": "sadness", "ang": "anger", "fea": "fear", "dis": "disgust",
    "sur": "surprise",
}  # fmt: skip
"""The names of IEMOCAP's classes, which ``superb/wav2vec2-base-superb-er`` has."""


@dataclass(frozen=True)
class Head:
    """Settings of the head on top of a backbone.

    Attributes:
        layers: that are used: 0 is the input of the first transformer layer, L the output of the last; None for all.
            Several are normalized and mixed by learned weights.
        pooling: over time: the mean; mean and standard deviation; or both, weighted by learned attention.

    >>> from mmemo.encoders.voice.backbone import Head
    >>> Head(layers=(1, 2), pooling="attentive")
    Head(layers=(1, 2), pooling='attentive')
    """

    layers: tuple[int, ...] | None = None
    pooling: Pooling = "mean+std"


class SpeechNetwork(nn.Module):
    """A backbone, a learned mixture of its layers, pooling over time, and one linear layer that is initialized at zero.

    Raises:
        ArgumentError: for a layer that the backbone does not have, or an unknown pooling.
    """

    def __init__(self, backbone: TransformersBackbone | TorchaudioBackbone, head: Head, classes: int) -> None:
        super().__init__()
        chosen = head.layers or tuple(range(backbone.depth + 1))
        if min(chosen) < 0 or max(chosen) > backbone.depth:
            raise ArgumentError(f"Layers: expected some of 0 to {backbone.depth}, got {list(chosen)}.")
        if head.pooling not in get_args(Pooling):
            raise ArgumentError(expected_one_of("Pooling", get_args(Pooling), head.pooling))
        self.backbone, self.chosen, self.pooling = backbone, chosen, head.pooling
        self.mixture = nn.Parameter(torch.zeros(len(chosen)))
        self.attention = nn.Linear(backbone.width, 1) if head.pooling == "attentive" else None
        self.classifier = nn.Linear(backbone.width * (1 if head.pooling == "mean" else 2), classes)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def head_state(self) -> dict[str, Tensor]:
        """The parameters of the head, by name."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("backbone.")}

    def unfreeze(self, layers: int) -> None:
        """Make the uppermost ``layers`` transformer layers trainable, and nothing else of the backbone."""
        self.backbone.requires_grad_(False)
        for layer in self.backbone.layers_from(max(0, self.backbone.depth - layers)) if layers else []:
            layer.requires_grad_(True)

    def train(self, mode: bool = True) -> SpeechNetwork:
        """Switch training mode; a frozen backbone stays in evaluation mode, without dropout."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.backbone.parameters()):
            self.backbone.eval()
        return self

    def tokens(self, layers: Sequence[Tensor]) -> Tensor:
        """Tokens (B, T, D) from all layers, each (B, T, D)."""
        if len(self.chosen) == 1:
            return layers[self.chosen[0]].float()
        weights = functional.softmax(self.mixture.float(), dim=0)
        scaled = [functional.layer_norm(layers[i].float(), layers[i].shape[-1:]) for i in self.chosen]
        return torch.stack(scaled, dim=-1) @ weights

    def pool(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Features (B, D) or (B, 2 D) from tokens (B, T, D) and their mask (B, T)."""
        share = mask.float() / mask.sum(1, keepdim=True).clamp(min=1)
        if self.attention is not None:
            share = self.attention(tokens)[..., 0].masked_fill(~mask, -torch.inf).softmax(1)
        mean = (tokens * share[..., None]).sum(1)
        if self.pooling == "mean":
            return mean
        variance = ((tokens - mean[:, None]).square() * share[..., None]).sum(1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (B, K) of the head, for training."""
        output = self.backbone(inputs)
        logits: Tensor = self.classifier(self.pool(self.tokens(output.layers), output.mask))
        return logits


class SpeechBackboneEncoder:
    """Encoder of the modality "voice" (see `mmemo.encoders.base.Encoder`) around a speech checkpoint.

    Args:
        backbone: with its own preprocessing.
        labels: the classes of the logits.
        mapping: from the classes of the checkpoint's own head to ``labels``; None if it has none, or it is not used.
        head: layers and pooling, for the tokens and for a head trained on them.
        device: "auto", "cpu", "cuda", "mps".

    Raises:
        LabelError: if the mapping is not from the checkpoint's names to ``labels``.

    >>> import numpy as np
    >>> import torch
    >>> from mmemo.encoders.voice.backbone import SpeechBackboneEncoder
    >>> from mmemo.encoders.voice.backbone_loaders import BackboneOutput
    >>> class Power(torch.nn.Module):  # any module of the shape of SpeechBackbone
    ...     rate, stride, width, depth, names, exact = 16_000, 320, 1, 0, (), False
    ...     def input(self, waveform):
    ...         return torch.from_numpy(waveform)
    ...     def forward(self, inputs):
    ...         frames = torch.stack(list(inputs)).unfold(1, 320, 320).square().mean(-1, keepdim=True)
    ...         return BackboneOutput([frames], torch.ones(frames.shape[:2], dtype=torch.bool), None)
    ...     def layers_from(self, first):
    ...         return []
    >>> SpeechBackboneEncoder(Power()).encode([np.zeros(16_000, np.float32)]).tokens.shape  # 1 s
    (1, 10, 1)
    """

    modality = "voice"

    def __init__(
        self,
        backbone: TransformersBackbone | TorchaudioBackbone,
        labels: LabelSet = EKMAN7,
        *,
        mapping: LabelMapping | None = None,
        head: Head | None = None,
        device: str = "cpu",
    ) -> None:
        if mapping is not None and (mapping.source.labels != backbone.names or mapping.target != labels):
            raise LabelError(
                f"SpeechBackboneEncoder: expected a mapping from {list(backbone.names)} to {list(labels)}, got one "
                f"from {list(mapping.source)} to {list(mapping.target)}."
            )
        self.labels, self.mapping, self.head = labels, mapping, head or Head()
        self.dim = backbone.width
        self.device = torch_device(device)
        self.network = SpeechNetwork(backbone, self.head, len(labels)).to(self.device).eval()
        self.network.unfreeze(0)

    @property
    def has_head(self) -> bool:
        """Whether it scores: the checkpoint has an emotion head, or one was trained."""
        return self.mapping is not None or bool(self.network.classifier.weight.any())

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """(N,) float32 mono at the checkpoint's sample rate, else as by `mmemo.encoders.voice.waveform.prepare`.

        None with less than 0.3 s of speech.
        """
        sound = None if evidence.voice is None else prepare(evidence.voice)
        rate = self.network.backbone.rate
        if sound is None or rate == SAMPLE_RATE:
            return sound
        return np.asarray(resample(torch.from_numpy(sound), SAMPLE_RATE, rate).numpy())

    @torch.inference_mode()
    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows of any lengths; the result of each does not depend on the others.

        There are 10 tokens a second. The logits are those of the trained head, else the checkpoint's own through the
        mapping, else all zero. A checkpoint of `DIMENSIONS` gives `Encoding.affect` too.

        Raises:
            ArgumentError: if a window is not a waveform of at least 0.1 s.
        """
        if not batch:
            return Encoding(*pad_tokens([], self.dim), np.zeros((0, len(self.labels)), np.float32))
        outputs = self._run(batch)
        frames = max(1, round(self.network.backbone.rate / self.network.backbone.stride / TOKENS_PER_SECOND))
        tokens = [self.network.tokens([layer[None] for layer in layers])[0] for layers, _ in outputs]
        logits = np.stack([self._logits(one, own) for one, (_, own) in zip(tokens, outputs, strict=True)])
        thinned = [torch.stack([part.mean(0) for part in torch.split(one, frames)]).cpu().numpy() for one in tokens]
        return Encoding(*pad_tokens(thinned, self.dim), logits, affect=self._affect([own for _, own in outputs]))

    def _affect(self, outputs: Sequence[Tensor | None]) -> np.ndarray | None:
        """Valence, arousal and dominance (B, 3) from -1 to 1, from the outputs of a head of `DIMENSIONS`."""
        if not self._has_dimensions:
            return None
        order = [self.network.backbone.names.index(name) for name in ("valence", "arousal", "dominance")]
        values = np.stack([own.float().cpu().numpy()[order] for own in outputs if own is not None])
        return np.asarray((2 * values - 1).clip(-1, 1), np.float32)

    @property
    def _has_dimensions(self) -> bool:
        return set(self.network.backbone.names) == set(DIMENSIONS)

    @torch.inference_mode()
    def dimensions(self, batch: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Arousal, dominance and valence, (B,) each, about 0 to 1, from a checkpoint that was trained for them.

        Raises:
            ArgumentError: for a checkpoint that was not.
        """
        names = self.network.backbone.names
        if not self._has_dimensions:
            raise ArgumentError(f"This checkpoint gives no {', '.join(DIMENSIONS)}; its classes are {list(names)}.")
        values = [own for _, own in self._run(batch)]
        return {name: np.array([float(one[i]) for one in values], np.float32) for i, name in enumerate(names)}  # type: ignore[index]

    def features(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Pooled tokens (B, D) or (B, 2 D) float32 of prepared windows, for probes of your own."""
        with torch.inference_mode():
            tokens = [self.network.tokens([layer[None] for layer in layers]) for layers, _ in self._run(batch)]
            pooled = [self.network.pool(one, one.new_ones(one.shape[:2], dtype=torch.bool))[0] for one in tokens]
        stacked: np.ndarray = torch.stack(pooled).cpu().numpy()
        return stacked

    def _logits(self, tokens: Tensor, own: Tensor | None) -> np.ndarray:
        """Logits (K,) of one window, from its frames (T, D) and the output (J,) of the checkpoint's own head."""
        network = self.network
        if self.mapping is not None and own is not None and not network.classifier.weight.any():
            mapped: np.ndarray = map_scores(own[None].float().cpu().numpy(), self.mapping)[0]
            return mapped
        mask = torch.ones(1, len(tokens), dtype=torch.bool, device=tokens.device)
        return np.asarray(network.classifier(network.pool(tokens[None], mask))[0].cpu().numpy(), np.float32)

    def _run(self, batch: Sequence[np.ndarray]) -> list[tuple[list[Tensor], Tensor | None]]:
        """All layers (T, D) of each window, and the output (J,) of the checkpoint's own head."""
        backbone = self.network.backbone
        shortest = backbone.rate // 10
        for window in batch:
            if window.ndim != 1 or len(window) < shortest:
                raise ArgumentError(
                    f"SpeechBackboneEncoder: expected waveforms (N,) with N >= {shortest}, got {window.shape}."
                )
        pieces = [split_pieces(window, backbone.rate, backbone.stride) for window in batch]
        inputs = [backbone.input(window[piece]) for window, own in zip(batch, pieces, strict=True) for piece in own]
        outputs: list[Any] = [None] * len(inputs)
        for rows in group_by_length([len(one) for one in inputs], backbone.exact):
            output = backbone([inputs[row] for row in rows])
            for place, row in enumerate(rows):
                head = None if output.head is None else output.head[place]
                outputs[row] = ([layer[place][output.mask[place]] for layer in output.layers], head)
        joined, first = [], 0
        for own in pieces:
            joined.append(join_pieces(outputs[first : first + len(own)], own, backbone.stride))
            first += len(own)
        return joined

    def save(self, folder: str | Path) -> Path:
        """Write backbone, head and ``mmemo.json`` into ``folder``."""
        settings = {
            "kind": KIND,
            "labels": self.labels.to_config(),
            "layers": self.head.layers,
            "pooling": self.head.pooling,
            "mapping": None if self.mapping is None else dict(self.mapping.pairs),
        }
        with replacing(folder) as partial:
            self.network.backbone.save(partial)
            save_file({n: t.detach().cpu().contiguous() for n, t in self.network.head_state().items()}, partial / HEAD)
            write_settings(partial, settings)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> SpeechBackboneEncoder:
        """Read what `save` wrote.

        Raises:
            UnknownModelError: if there is no such encoder, or its bundle can't be fetched.
            WeightsError: if it is damaged.
            MissingExtraError: if it needs packages that are not installed.
        """
        folder = Path(folder)
        settings = read_settings(folder, KIND)
        try:
            backbone = load_bundle(folder) if (folder / "bundle.json").is_file() else TransformersBackbone(folder)
            labels, pairs = LabelSet.from_config(settings["labels"]), settings["mapping"]
            mapping = None if pairs is None else LabelMapping(LabelSet("checkpoint", backbone.names), labels, pairs)
            layers = None if settings["layers"] is None else tuple(settings["layers"])
            encoder = cls(backbone, labels, mapping=mapping, head=Head(layers, settings["pooling"]), device=device)
            encoder.network.load_state_dict(load_file(folder / HEAD), strict=False)
        except (KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
            raise WeightsError(f"{folder} does not hold a speech encoder of this version: {error}") from None
        return encoder


def load_speech_backbone(
    name_or_path: str | Path,
    *,
    labels: Mapping[str, str | None] | None = None,
    target: LabelSet = EKMAN7,
    layers: int | Iterable[int] | None = None,
    pooling: Pooling = "mean+std",
    own_head: bool = False,
    device: str = "cpu",
    revision: str | None = None,
) -> SpeechBackboneEncoder:
    """A voice encoder from a checkpoint of another project.

    Args:
        name_or_path: a folder with a Hugging Face checkpoint; "torchaudio:" and the name of a bundle, such as
            "torchaudio:WAVLM_BASE"; or the name of a checkpoint on the Hugging Face Hub. The latter two are fetched
            unless they are in the local cache (from the Hub safetensors and JSON only).
        labels: the label of each class of the checkpoint's emotion head, None for classes that are dropped. It may be
            left out for `mmemo.encoders.known_checkpoints.CHECKPOINTS`, and for the names of IEMOCAP and of ``target``.
        target: the labels of the encoder.
        layers: one, or several that are mixed; all by default. 0 is the input of the first transformer layer.
        pooling: "mean", "mean+std" or "attentive".
        own_head: ignore the checkpoint's emotion head, to train another.
        device: "auto", "cpu", "cuda", "mps".
        revision: branch, tag or commit on the Hub; by default that of a known checkpoint, else the newest.

    Raises:
        UnknownModelError: if there is nothing of that name, here or on the Hub.
        WeightsError: if it is no speech checkpoint, lacks weights, or is known not to be loadable.
        LabelError: if the meaning of its classes is not known, or ``labels`` doesn't fit them.
        ArgumentError: for an unknown layer or pooling.
        MissingExtraError: if transformers is needed and not installed.

    >>> from mmemo.encoders.voice.backbone import load_speech_backbone
    >>> from mmemo.errors import UnknownModelError
    >>> load_speech_backbone("superb/wav2vec2-base-superb-er", layers=(1, 2, 3))  # doctest: +SKIP
    >>> try:
    ...     load_speech_backbone("./not-there")
    ... except UnknownModelError as error:
    ...     print(error)
    ./not-there is no folder with a Hugging Face checkpoint, no name on the Hub, and no torchaudio:BUNDLE.
    """
    known = find_checkpoint(name_or_path)
    backbone = load_backbone(name_or_path, revision or (known.revision if known else None))
    chosen = None if layers is None else (layers,) if isinstance(layers, int) else tuple(layers)
    classes = backbone.names and set(backbone.names) != set(DIMENSIONS)
    mapping = None
    if classes and not own_head:
        if labels is None and known is not None:
            labels = known.labels(backbone.names, target)
        if labels is None and set(map(str.lower, backbone.names)) <= set(_SHORT_NAMES):
            labels = {name: _SHORT_NAMES[name.lower()] for name in backbone.names}
        mapping = map_classes(backbone.names, labels, target)
    elif labels is not None:
        raise ArgumentError(f"{name_or_path} has no emotion head, or it is ignored, so labels= can't be used.")
    return SpeechBackboneEncoder(backbone, target, mapping=mapping, head=Head(chosen, pooling), device=device)


def split_pieces(waveform: np.ndarray, rate: int, stride: int) -> list[slice]:
    """Pieces of at most `LONGEST` that overlap by `OVERLAP`, each beginning at a whole frame; one if it is short."""
    longest = int(LONGEST * rate) // stride * stride
    step = longest - int(OVERLAP * rate) // stride * stride
    count = 1 + max(0, -(-(len(waveform) - longest) // step))
    return [slice(i * step, min(len(waveform), i * step + longest)) for i in range(count)]


def join_pieces(
    outputs: Sequence[tuple[list[Tensor], Tensor | None]], pieces: Sequence[slice], stride: int
) -> tuple[list[Tensor], Tensor | None]:
    """Layers of overlapping pieces, concatenated over time, and the mean of the outputs of their heads."""
    if len(pieces) == 1:
        return outputs[0]
    layers: list[list[Tensor]] = [[] for _ in outputs[0][0]]
    done = 0
    for place, ((values, _), piece) in enumerate(zip(outputs, pieces, strict=True)):
        begin = piece.start // stride
        last = place + 1 == len(pieces)
        end = begin + len(values[0]) if last else (pieces[place + 1].start + piece.stop) // 2 // stride
        for into, value in zip(layers, values, strict=True):
            into.append(value[done - begin : end - begin])
        done = end
    heads = [head for _, head in outputs if head is not None]
    return [torch.cat(parts) for parts in layers], torch.stack(heads).mean(0) if heads else None


def group_by_length(lengths: Sequence[int], exact: bool, most: int = 16) -> list[list[int]]:
    """Rows of each batch: of similar lengths, or of the same one if padding is not ``exact``; ``most`` in a batch."""
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        fits = groups and len(groups[-1]) < most and (exact or lengths[groups[-1][0]] == lengths[row])
        if fits:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups
