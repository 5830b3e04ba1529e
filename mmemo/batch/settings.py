"""Settings of a batch: plain values that are sent to other processes and machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from socket import gethostname
from typing import Any

import mmemo
from mmemo.clip import Clip
from mmemo.data.cache import cache_key
from mmemo.errors import ArgumentError, WorkerError
from mmemo.evidence import Seconds
from mmemo.model import FUSION
from mmemo.pipeline.analyzer import Analyzer
from mmemo.pretrained import MODELS, WEIGHTS, fingerprint
from mmemo.speech.recognition import WhisperTranscriber, default_transcriber


@dataclass(frozen=True)
class Settings:
    """Settings of an analysis, the same in every process of a batch.

    Attributes:
        model: "default", or the absolute path of a folder.
        modalities, device, window, hop: as those of `mmemo.Analyzer`.
        threads: CPU threads of each process, for the models and for recognition.
        recognize: whether speech is recognized where a clip has no transcript.
        surroundings: hash of all that a row depends on besides its clip: mmemo's version, weights, the settings above.
        version: of mmemo; another machine must have the same.
    """

    model: str
    modalities: tuple[str, ...]
    device: str
    window: Seconds
    hop: Seconds
    threads: int
    recognize: bool
    surroundings: str
    version: str = mmemo.__version__

    @classmethod
    def of(
        cls,
        model: str | Path,
        modalities: Sequence[str] | None,
        device: str,
        window: Seconds,
        hop: Seconds,
        threads: int,
    ) -> Settings:
        """Settings from the arguments of an `Analyzer`; nothing is loaded.

        Raises:
            ArgumentError, UnknownModelError: what `Analyzer` raises, and for fewer threads than one.
        """
        if not isinstance(model, str | Path):
            raise ArgumentError("A built model can't be sent to other processes: save it, and give the folder.")
        if threads < 1:
            raise ArgumentError(f"threads: expected 1 or more, got {threads}.")
        chosen = Analyzer(model, modalities, device, window, hop).modalities
        embedded = str(model) in MODELS
        folder = WEIGHTS if embedded else Path(model).absolute()
        recognize = "text" in chosen and default_transcriber() is not None
        values = [mmemo.__version__, [fingerprint(folder / part) for part in (*chosen, FUSION)], window, hop, recognize]
        surroundings = sha256(json.dumps([*values, chosen]).encode()).hexdigest()
        name = str(model) if embedded else str(folder)
        return cls(name, chosen, device, window, hop, threads, recognize, surroundings)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The inverse of `to_json`."""
        values: dict[str, Any] = json.loads(text)
        return cls(**values | {"modalities": tuple(values["modalities"])})

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    def analyzer(self) -> Analyzer:
        """An analyzer that keeps to these settings; its models are loaded when they are first used.

        Raises:
            MissingExtraError: if words are to be recognized and this machine can't.
            WorkerError: if its mmemo, or the model's weights, are not those that the settings were made for.
        """
        transcriber = WhisperTranscriber(threads=self.threads) if self.recognize else None
        here = Settings.of(self.model, self.modalities, self.device, self.window, self.hop, self.threads)
        if (here.version, here.surroundings) != (self.version, self.surroundings):
            raise WorkerError(
                f"{gethostname()} has another mmemo ({here.version}) or other weights than the machine that sent the "
                f"clips ({self.version}). Install the same on all machines."
            )
        return Analyzer(self.model, self.modalities, self.device, self.window, self.hop, transcriber=transcriber)

    def key(self, clip: Clip) -> str:
        """Changes with everything that the clip's row depends on: the bytes of its files, its span, these settings.

        Raises:
            OSError: if a file can't be read.
        """
        return sha256(json.dumps([self.surroundings, *cache_key(clip)]).encode()).hexdigest()
