"""Any speech checkpoint as the voice encoder: wav2vec 2.0, HuBERT, WavLM, Wav2Vec2-BERT, data2vec, Whisper …

The checkpoint brings its own sample rate and normalisation. One with an emotion head answers through a mapping that
says what its classes mean; any other gives tokens, and answers once a head was trained
(`mmemo.training.speech_finetuning.fine_tune`). `transformers` is not imported before a checkpoint of it is asked for.
"""

from __future__ import annotations

import json
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

from mmemo.encoders.base import Encoding
from mmemo.encoders.foreign import map_scores, mapping_of
from mmemo.encoders.image_classifier import read_settings
from mmemo.encoders.speech_backbone import (
    DIMENSIONS,
    Heard,
    TorchaudioBackbone,
    TransformersBackbone,
    load_backbone,
    load_bundle,
)
from mmemo.errors import ArgumentError, LabelError, WeightsError, expected_one_of
from mmemo.evidence import SAMPLE_RATE, Evidence, Seconds
from mmemo.files import replacing
from mmemo.labels import EKMAN7, LABEL_SETS, LabelMapping, LabelSet

KIND = "speech-checkpoint"
SETTINGS, HEAD = "mmemo.json", "mmemo.safetensors"
Pooling = Literal["mean", "mean+std", "attentive"]
LONGEST: Seconds = 20.0
OVERLAP: Seconds = 2.0
"""Sound beyond `LONGEST` is heard in windows that share this much; half of it is dropped on either side of a seam."""
TOKENS_PER_SECOND = 10
_SHORT_NAMES = {
    "neu": "neutral", "hap": "happiness", "sad": "sadness", "ang": "anger", "fea": "fear", "dis": "disgust",
    "sur": "surprise",
}  # fmt: skip
"""The names of IEMOCAP's classes, which ``superb/wav2vec2-base-superb-er`` has."""


@dataclass(frozen=True)
class Head:
    """What stands on top of a backbone.

    Attributes:
        layers: that are looked at: 0 enters the first transformer layer, L leaves the last; None for all. Several are
            mixed by learned weights, each brought to one scale first.
        pooling: over time: the mean; mean and standard deviation; or both, weighted by learned attention.
    """

    layers: tuple[int, ...] | None = None
    pooling: Pooling = "mean+std"


class SpeechNetwork(nn.Module):
    """A backbone, a learned mixture of its layers, pooling over time, and one linear layer that begins at zero.

    Raises:
        ArgumentError: for a layer that the backbone has not, or a pooling that is not known.
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

    def own(self) -> dict[str, Tensor]:
        """The parameters that are not the backbone's."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("backbone.")}

    def unfreeze(self, layers: int) -> None:
        """Let the uppermost transformer layers learn, and nothing else of the backbone."""
        self.backbone.requires_grad_(False)
        for layer in self.backbone.layers_from(max(0, self.backbone.depth - layers)) if layers else []:
            layer.requires_grad_(True)

    def train(self, mode: bool = True) -> SpeechNetwork:
        """As of any module, but for a backbone of which nothing learns: that is not disturbed by dropout either."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.backbone.parameters()):
            self.backbone.eval()
        return self

    def tokens(self, layers: Sequence[Tensor]) -> Tensor:
        """(B, T, D) of all layers, each (B, T, D)."""
        if len(self.chosen) == 1:
            return layers[self.chosen[0]].float()
        weights = functional.softmax(self.mixture.float(), dim=0)
        scaled = [functional.layer_norm(layers[i].float(), layers[i].shape[-1:]) for i in self.chosen]
        return torch.stack(scaled, dim=-1) @ weights

    def pool(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, D) or (B, 2 D) of tokens (B, T, D) and their mask (B, T)."""
        share = mask.float() / mask.sum(1, keepdim=True).clamp(min=1)
        if self.attention is not None:
            share = self.attention(tokens)[..., 0].masked_fill(~mask, -torch.inf).softmax(1)
        mean = (tokens * share[..., None]).sum(1)
        if self.pooling == "mean":
            return mean
        variance = ((tokens - mean[:, None]).square() * share[..., None]).sum(1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (B, K) of the own head, for training."""
        heard: Heard = self.backbone(inputs)
        logits: Tensor = self.classifier(self.pool(self.tokens(heard.layers), heard.mask))
        return logits


class SpeechCheckpointEncoder:
    """Encoder of the modality "voice" (see `mmemo.encoders.base.Encoder`) around a speech checkpoint.

    Args:
        backbone: with its own preprocessing.
        labels: the classes of the logits.
        mapping: from the classes of the checkpoint's own head to ``labels``; None if it has none, or it is not used.
        head: layers and pooling, for the tokens, and for a head of our own.

    Raises:
        LabelError: if the mapping is not from the checkpoint's names to ``labels``.
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
                f"SpeechCheckpointEncoder: expected a mapping from {list(backbone.names)} to {list(labels)}, got one "
                f"from {list(mapping.source)} to {list(mapping.target)}."
            )
        self.labels, self.mapping, self.head = labels, mapping, head or Head()
        self.dim = backbone.width
        self.device = torch.device(device)
        self.network = SpeechNetwork(backbone, self.head, len(labels)).to(self.device).eval()
        self.network.unfreeze(0)

    @property
    def answers(self) -> bool:
        """Whether its scores mean anything: it has an emotion head, or one was trained."""
        return self.mapping is not None or bool(self.network.classifier.weight.any())

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """The speech of one window at level, as `mmemo.encoders.voice.prepare` gives it, at the checkpoint's rate.

        None where less than 0.3 s is spoken.
        """
        from mmemo.encoders.voice import prepare

        sound = None if evidence.voice is None else prepare(evidence.voice)
        rate = self.network.backbone.rate
        if sound is None or rate == SAMPLE_RATE:
            return sound
        return np.asarray(resample(torch.from_numpy(sound), SAMPLE_RATE, rate).numpy())

    @torch.inference_mode()
    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows of any lengths; what is beside a window in the batch changes nothing.

        There are 10 tokens a second. The logits are those of the head that was trained, else the checkpoint's own
        through the mapping, else all zero, which is no opinion.

        Raises:
            ArgumentError: if a window is not a waveform of at least 0.1 s.
        """
        if not batch:
            return Encoding(
                np.zeros((0, 0, self.dim), np.float32),
                np.zeros((0, 0), bool),
                np.zeros((0, len(self.labels)), np.float32),
            )
        heard = self._hear(batch)
        frames = max(1, round(self.network.backbone.rate / self.network.backbone.stride / TOKENS_PER_SECOND))
        tokens = [self.network.tokens([layer[None] for layer in layers])[0] for layers, _ in heard]
        logits = np.stack([self._logits(one, answers) for one, (_, answers) in zip(tokens, heard, strict=True)])
        thinned = [torch.stack([part.mean(0) for part in torch.split(one, frames)]).cpu().numpy() for one in tokens]
        padded = np.zeros((len(batch), max(map(len, thinned)), self.dim), np.float32)
        mask = np.zeros(padded.shape[:2], bool)
        for row, one in enumerate(thinned):
            padded[row, : len(one)], mask[row, : len(one)] = one, True
        return Encoding(padded, mask, logits)

    @torch.inference_mode()
    def dimensions(self, batch: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Arousal, dominance and valence, (B,) each, about 0 to 1, of a checkpoint that was trained for them.

        Raises:
            ArgumentError: if it was not.
        """
        names = self.network.backbone.names
        if set(names) != set(DIMENSIONS):
            raise ArgumentError(f"This checkpoint gives no {', '.join(DIMENSIONS)}; its classes are {list(names)}.")
        values = [answers for _, answers in self._hear(batch)]
        return {name: np.array([float(one[i]) for one in values], np.float32) for i, name in enumerate(names)}  # type: ignore[index]

    def features(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """(B, D) or (B, 2 D) float32: the pooled tokens of prepared windows, for probes of your own."""
        with torch.inference_mode():
            found = [self.network.tokens([layer[None] for layer in layers]) for layers, _ in self._hear(batch)]
            pooled = [self.network.pool(one, one.new_ones(one.shape[:2], dtype=torch.bool))[0] for one in found]
        stacked: np.ndarray = torch.stack(pooled).cpu().numpy()
        return stacked

    def _logits(self, tokens: Tensor, answers: Tensor | None) -> np.ndarray:
        """(K,) of one window, from its frames (T, D)."""
        network = self.network
        if self.mapping is not None and answers is not None and not network.classifier.weight.any():
            mapped: np.ndarray = map_scores(answers[None].float().cpu().numpy(), self.mapping)[0]
            return mapped
        mask = torch.ones(1, len(tokens), dtype=torch.bool, device=tokens.device)
        return np.asarray(network.classifier(network.pool(tokens[None], mask))[0].cpu().numpy(), np.float32)

    def _hear(self, batch: Sequence[np.ndarray]) -> list[tuple[list[Tensor], Tensor | None]]:
        """For each window all layers (T, D), and the answer (J,) of the checkpoint's own head."""
        backbone = self.network.backbone
        shortest = backbone.rate // 10
        for window in batch:
            if window.ndim != 1 or len(window) < shortest:
                raise ArgumentError(
                    f"SpeechCheckpointEncoder: expected waveforms (N,) with N >= {shortest}, got {window.shape}."
                )
        pieces = [cut(window, backbone.rate, backbone.stride) for window in batch]
        inputs = [backbone.input(window[piece]) for window, own in zip(batch, pieces, strict=True) for piece in own]
        found: list[Any] = [None] * len(inputs)
        for rows in together([len(one) for one in inputs], backbone.exact):
            heard = backbone([inputs[row] for row in rows])
            for place, row in enumerate(rows):
                answers = None if heard.answers is None else heard.answers[place]
                found[row] = ([layer[place][heard.mask[place]] for layer in heard.layers], answers)
        ready, first = [], 0
        for own in pieces:
            ready.append(join(found[first : first + len(own)], own, backbone.stride))
            first += len(own)
        return ready

    def save(self, folder: str | Path) -> Path:
        """Write backbone, head and ``mmemo.json`` into ``folder``."""
        settings = {
            "kind": KIND,
            "labels": self.labels.name,
            "layers": self.head.layers,
            "pooling": self.head.pooling,
            "mapping": None if self.mapping is None else dict(self.mapping.pairs),
        }
        with replacing(folder) as partial:
            self.network.backbone.save(partial)
            save_file({n: t.detach().cpu().contiguous() for n, t in self.network.own().items()}, partial / HEAD)
            (partial / SETTINGS).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> SpeechCheckpointEncoder:
        """Read what `save` wrote.

        Raises:
            UnknownModelError: if there is no such encoder, or its bundle can't be fetched.
            WeightsError: if it is damaged.
            MissingExtraError: if it needs packages that are not installed.
        """
        folder = Path(folder)
        settings = read_settings(folder / SETTINGS, KIND)
        try:
            backbone = load_bundle(folder) if (folder / "bundle.json").is_file() else TransformersBackbone(folder)
            labels, pairs = LABEL_SETS[settings["labels"]], settings["mapping"]
            mapping = None if pairs is None else LabelMapping(LabelSet("checkpoint", backbone.names), labels, pairs)
            layers = None if settings["layers"] is None else tuple(settings["layers"])
            encoder = cls(backbone, labels, mapping=mapping, head=Head(layers, settings["pooling"]), device=device)
            encoder.network.load_state_dict(load_file(folder / HEAD), strict=False)
        except (KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
            raise WeightsError(f"{folder} does not hold a speech encoder of this version: {error}") from None
        return encoder


def load_speech_checkpoint(
    name_or_path: str | Path,
    *,
    labels: Mapping[str, str | None] | None = None,
    target: LabelSet = EKMAN7,
    layers: int | Iterable[int] | None = None,
    pooling: Pooling = "mean+std",
    own_head: bool = False,
    device: str = "cpu",
    revision: str | None = None,
) -> SpeechCheckpointEncoder:
    """A voice encoder from a checkpoint of another project.

    Args:
        name_or_path: a folder with a Hugging Face checkpoint; "torchaudio:" and the name of a bundle, such as
            "torchaudio:WAVLM_BASE"; or the name of a checkpoint on the Hugging Face Hub. The latter two are fetched
            unless they are in the local cache (from the Hub safetensors and JSON only).
        labels: what each class of the checkpoint's emotion head means, None for classes that are dropped. It may be
            left out for the names of IEMOCAP, of FER2013, and of ``target`` itself.
        target: the labels of the encoder.
        layers: one, or several that are mixed; all by default. 0 enters the first transformer layer.
        pooling: "mean", "mean+std" or "attentive".
        own_head: leave the checkpoint's emotion head aside, to train another.
        device: of torch.
        revision: branch, tag or commit on the Hub.

    Raises:
        UnknownModelError: if nothing of that name is found, here or on the Hub.
        WeightsError: if it is no speech checkpoint, or lacks weights.
        LabelError: if the meaning of its classes is not known, or ``labels`` doesn't fit them.
        ArgumentError: for a layer or pooling that there is not.
        MissingExtraError: if transformers is needed and not installed.
    """
    backbone = load_backbone(name_or_path, revision)
    chosen = None if layers is None else (layers,) if isinstance(layers, int) else tuple(layers)
    classes = backbone.names and set(backbone.names) != set(DIMENSIONS)
    mapping = None
    if classes and not own_head:
        if labels is None and set(map(str.lower, backbone.names)) <= set(_SHORT_NAMES):
            labels = {name: _SHORT_NAMES[name.lower()] for name in backbone.names}
        mapping = mapping_of(backbone.names, labels, target)
    elif labels is not None:
        raise ArgumentError(f"{name_or_path} has no emotion head, or it is left aside, so labels= has nothing to say.")
    return SpeechCheckpointEncoder(backbone, target, mapping=mapping, head=Head(chosen, pooling), device=device)


def cut(waveform: np.ndarray, rate: int, stride: int) -> list[slice]:
    """Pieces of at most `LONGEST` that share `OVERLAP`, each beginning at a whole frame; one if it is short."""
    longest = int(LONGEST * rate) // stride * stride
    step = longest - int(OVERLAP * rate) // stride * stride
    count = 1 + max(0, -(-(len(waveform) - longest) // step))
    return [slice(i * step, min(len(waveform), i * step + longest)) for i in range(count)]


def join(
    heard: Sequence[tuple[list[Tensor], Tensor | None]], pieces: Sequence[slice], stride: int
) -> tuple[list[Tensor], Tensor | None]:
    """The frames of overlapping pieces one after the other, and the mean of their answers."""
    if len(pieces) == 1:
        return heard[0]
    layers: list[list[Tensor]] = [[] for _ in heard[0][0]]
    done = 0
    for place, ((values, _), piece) in enumerate(zip(heard, pieces, strict=True)):
        begin = piece.start // stride
        last = place + 1 == len(pieces)
        end = begin + len(values[0]) if last else (pieces[place + 1].start + piece.stop) // 2 // stride
        for into, value in zip(layers, values, strict=True):
            into.append(value[done - begin : end - begin])
        done = end
    answers = [answer for _, answer in heard if answer is not None]
    return [torch.cat(parts) for parts in layers], torch.stack(answers).mean(0) if answers else None


def together(lengths: Sequence[int], exact: bool, most: int = 16) -> list[list[int]]:
    """Rows that go through the network at once: of similar lengths, or of the same if padding is not ``exact``."""
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        fits = groups and len(groups[-1]) < most and (exact or lengths[groups[-1][0]] == lengths[row])
        if fits:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups
