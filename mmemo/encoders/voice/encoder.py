"""The default voice encoder: the encoder of Whisper, with linear layers for emotion, over the voice of one window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mmemo.checkpoint import Checkpoint, checkpoint_kind
from mmemo.document import from_document
from mmemo.encoders.base import Encoder, Encoding, pad_tokens
from mmemo.encoders.network_classifier import ExportedNetwork, NetworkClassifier, Parts, saved_labels
from mmemo.encoders.voice.architecture import HOP, VoiceArchitecture
from mmemo.encoders.voice.waveform import MARGIN, SHORTEST, Stretch, pad, prepare, stretches
from mmemo.errors import ArgumentError
from mmemo.evidence import SAMPLE_RATE, Evidence
from mmemo.labels import LabelSet

if TYPE_CHECKING:
    from mmemo.encoders.voice.network import VoiceNetwork

TOGETHER = 3
"""Overlapping windows that go through the network together. In sound whose emotion changes, three lose nothing against
one by one (.368 and .370 of 378 windows of SAVEE, whose neighbors were of another emotion); with a smaller network
seven lost 2.7 points and sixteen 9.9: frames attend to what they shouldn't."""


class VoiceEncoder(NetworkClassifier["VoiceNetwork"]):
    """Encoder of the modality "voice" (see `mmemo.encoders.base.Encoder`) with 10 tokens a second.

    Args:
        network: in torch, in float32; or an exported one.
        labels: its classes, in the order of its logits.
        device: of a torch network: "auto", "cpu", "cuda", "mps".
        card: whatever else belongs into the ``config.json`` of the weights: corpora, split, scores.

    Raises:
        ArgumentError: if labels and network differ in the number of classes.

    >>> import numpy as np
    >>> from mmemo.encoders.voice.architecture import VoiceArchitecture
    >>> from mmemo.encoders.voice.encoder import VoiceEncoder
    >>> from mmemo.encoders.voice.network import VoiceNetwork
    >>> from mmemo.labels import EKMAN7
    >>> tiny = VoiceArchitecture(d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32)
    >>> encoder = VoiceEncoder(VoiceNetwork(tiny, len(EKMAN7)), EKMAN7)
    >>> encoder.encode([np.zeros(16_000, np.float32)]).tokens.shape  # 1 s
    (1, 10, 16)
    """

    kind = "voice-encoder"
    modality = "voice"

    def __init__(
        self,
        network: VoiceNetwork | ExportedNetwork,
        labels: LabelSet,
        *,
        device: str = "cpu",
        card: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(network, labels, device, card)
        if isinstance(network, ExportedNetwork):
            self.architecture = from_document(VoiceArchitecture, network.checkpoint.config["architecture"], closed=True)
        else:
            self.architecture = network.architecture
            if network.classifier.out_features != len(labels):
                raise ArgumentError(
                    f"VoiceEncoder: the network has {network.classifier.out_features} classes, "
                    f"{labels.name} has {len(labels)} labels."
                )
        self.dim = self.architecture.d_model

    @staticmethod
    def from_pretrained(name_or_path: str | Path, **settings: Any) -> Encoder:
        """A voice encoder from any speech checkpoint: of mmemo, of Hugging Face (wav2vec 2.0, Whisper …), torchaudio.

        Args:
            name_or_path: a folder that `save` or a recipe wrote, a folder with a Hugging Face checkpoint, the name of
                one on the Hugging Face Hub, or "torchaudio:" and a bundle's name. Only the latter two make mmemo use
                the network.
            settings: ``device``; for a checkpoint of another project, what
                `mmemo.encoders.voice.backbone.load_speech_backbone` takes: the meaning of its classes, above all.

        Raises:
            UnknownModelError: if there is nothing of that name.
            WeightsError: if it is damaged, or no speech checkpoint.
            LabelError: if the meaning of its classes is not known.
            MissingExtraError: if transformers is needed and not installed.
        """
        if checkpoint_kind(name_or_path) == VoiceEncoder.kind:
            return VoiceEncoder.load(name_or_path, **settings)
        from mmemo.encoders.external import SETTINGS
        from mmemo.encoders.voice.backbone import SpeechBackboneEncoder, load_speech_backbone

        if (Path(name_or_path).expanduser() / SETTINGS).is_file():
            return SpeechBackboneEncoder.load(Path(name_or_path).expanduser(), **settings)
        return load_speech_backbone(name_or_path, **settings)

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """(N,) float32 mono at 16 kHz, see `mmemo.encoders.voice.waveform.prepare`; None under 0.3 s of speech."""
        return prepare(evidence.voice) if evidence.voice is not None else None

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows of any lengths; the result of each does not depend on the others.

        Raises:
            ArgumentError: if a window is not a waveform of at least one frame (20 ms).
        """
        if not batch:
            return Encoding(*pad_tokens([], self.dim), np.zeros((0, len(self.labels)), np.float32))
        for window in batch:
            if window.ndim != 1 or len(window) < HOP:
                raise ArgumentError(
                    f"VoiceEncoder: expected waveforms of shape (N,) with N >= {HOP}, got {window.shape}."
                )
        parts = [[window] for window in batch] if self._apart else [batch]
        inputs, frames = [], []
        for part in parts:
            waveforms, lengths = pad(part)
            frames.append(-(-lengths // HOP))
            valid = np.arange(frames[-1].max()) < frames[-1][:, None]
            inputs.append((waveforms, valid, valid[:, None]))
        thinned, found = [], []
        for counts, (tokens, *each) in zip(frames, self._run_each(inputs), strict=True):
            thinned += [self._thin(row[:count]) for row, count in zip(tokens, counts, strict=True)]
            found.append([values[:, 0] for values in each])
        logits, burst, arousal = map(np.concatenate, zip(*found, strict=True))
        return Encoding(*pad_tokens(thinned, self.dim), logits, affect=_affect(arousal), vocal_burst=burst)

    def encode_windows(self, windows: Sequence[Evidence]) -> Encoding:
        """Encode B windows, those that overlap together: each second of sound goes through the network about once.

        A window's tokens and scores come from its own frames, which attend to those of the windows beside it, and its
        level is that of them all. So only a few go together (`TOGETHER`).
        """
        tokens = [np.zeros((0, self.dim), np.float32)] * len(windows)
        logits = np.zeros((len(windows), len(self.labels)), np.float32)
        burst, arousal = np.zeros(len(windows), np.float32), np.zeros(len(windows), np.float32)
        parts = list(stretches(windows, TOGETHER))
        for stretch, (of_all, *each) in zip(parts, self._run_each([_inputs(part) for part in parts]), strict=True):
            for place, (row, (first, last)) in enumerate(zip(stretch.rows, stretch.frames, strict=True)):
                tokens[row] = self._thin(of_all[0, first:last])
                logits[row], burst[row], arousal[row] = (values[0, place] for values in each)
        padded, mask = pad_tokens(tokens, self.dim)
        if not mask.size:  # no window has a voice
            padded, mask = np.zeros((len(windows), 1, self.dim), np.float32), np.zeros((len(windows), 1), bool)
        return Encoding(padded, mask, logits, affect=_affect(arousal), vocal_burst=burst)

    def _thin(self, tokens: np.ndarray) -> np.ndarray:
        """The mean of each run of so many frames (T, D) as make a token; the last run may be shorter."""
        starts = np.arange(0, len(tokens), self.architecture.frames_per_token)
        lengths = np.diff(np.append(starts, len(tokens)))
        return np.asarray(np.add.reduceat(tokens, starts, axis=0) / lengths[:, None], np.float32)

    @classmethod
    def _build(cls, config: Mapping[str, Any]) -> VoiceNetwork:
        from mmemo.encoders.voice.network import VoiceNetwork

        return VoiceNetwork(VoiceArchitecture(**config["architecture"]), len(saved_labels(config)))

    @classmethod
    def _of(
        cls, checkpoint: Checkpoint, network: VoiceNetwork | ExportedNetwork, labels: LabelSet, device: str
    ) -> Self:
        return cls(network, labels, device=device, card=checkpoint.config)

    def _settings(self) -> Parts:
        preprocessing = {
            "sample_rate": SAMPLE_RATE,
            "shortest_speech_seconds": SHORTEST,
            "margin_seconds": MARGIN,
            "level": "mmemo.speech.level.normalize",
        }
        return Parts({"architecture": asdict(self.architecture), "preprocessing": preprocessing}, {}, {})


def _affect(arousal: np.ndarray) -> np.ndarray:
    """Arousal (B,) as `Encoding.affect`, which has no valence and no dominance then."""
    affect = np.full((len(arousal), 3), np.nan, np.float32)
    affect[:, 1] = arousal
    return affect


def _inputs(stretch: Stretch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the network takes of a stretch: its sound, the valid frames, and those of each window."""
    valid = np.ones((1, -(-len(stretch.waveform) // HOP)), bool)
    frames = np.zeros((1, len(stretch.rows), valid.shape[1]), bool)
    for place, (first, last) in enumerate(stretch.frames):
        frames[0, place, first:last] = True
    return stretch.waveform[None], valid, frames
