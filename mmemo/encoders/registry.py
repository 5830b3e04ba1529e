"""Encoders on disk: the classes that a saved model may name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

from mmemo.encoders.base import Encoder
from mmemo.errors import WeightsError

# The class comes from this table, never from the file. Imported when needed, as torch takes a second.
_ENCODERS = {
    "FaceEncoder": "mmemo.encoders.face.encoder",
    "ImageBackboneEncoder": "mmemo.encoders.face.backbone",
    "BlendshapeEncoder": "mmemo.encoders.face.blendshapes",
    "FaceSequenceEncoder": "mmemo.encoders.face.sequence",
    "VoiceEncoder": "mmemo.encoders.voice.encoder",
    "SpeechBackboneEncoder": "mmemo.encoders.voice.backbone",
    "TextEncoder": "mmemo.encoders.text.encoder",
    "TextBackboneEncoder": "mmemo.encoders.text.backbone",
    "ActionUnitEncoder": "mmemo.encoders.face.action_units",
    "ProbeEncoder": "mmemo.encoders.probe_encoder",
    "WhisperLayersEncoder": "mmemo.encoders.voice.whisper_layers",
}


@runtime_checkable
class SavedEncoder(Encoder, Protocol):
    """An encoder that can also be written to a folder."""

    def save(self, folder: str | Path) -> Path:
        """Write weights and settings into ``folder``."""
        ...


def load_encoder(kind: str, folder: Path, device: str) -> Encoder:
    """Read an encoder that was saved into ``folder``.

    Args:
        kind: name of its class.

    Raises:
        WeightsError: if the class is not known here, or the files are damaged.
    """
    if kind not in _ENCODERS:
        raise WeightsError(f"{folder} needs an encoder {kind!r} that this version of mmemo does not know.")
    encoder = getattr(import_module(_ENCODERS[kind]), kind).load(folder, device=device)
    assert isinstance(encoder, Encoder)
    return encoder
