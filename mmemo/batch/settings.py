"""Settings of a batch: plain values that are sent to other processes and machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from socket import gethostname
from typing import Any, Literal

import mmemo
from mmemo.clip import Clip
from mmemo.data.cache import cache_key
from mmemo.document import from_document, to_document
from mmemo.encoders.registry import class_path, import_class
from mmemo.errors import ArgumentError, WorkerError
from mmemo.evidence import Seconds
from mmemo.model import FUSION, Prior
from mmemo.personal.adaptation import Adaptation
from mmemo.personal.baseline import Baseline
from mmemo.pipeline.analyzer import Analyzer
from mmemo.pretrained import MODELS, WEIGHTS, fingerprint, foreign_classes
from mmemo.speech.recognition import WhisperTranscriber, default_transcriber


@dataclass(frozen=True)
class Settings:
    """Settings of an analysis, the same in every process of a batch.

    Attributes:
        model: "default", or the absolute path of a folder.
        modalities, device, window, hop: as those of `mmemo.Analyzer`.
        threads: CPU threads of each process, for the models and for recognition; None for as many as there are.
        recognize: whether speech is recognized where a clip has no transcript.
        classes: "module:Class" of encoders and heads that the caller gave.
        folders: where the modules of these classes were imported from.
        surroundings: of all that a row depends on besides its clip: mmemo's version, weights, the settings above, and
            the source of classes that are not mmemo's own.
        version: of mmemo; another machine must have the same.
        prior: as that of `mmemo.Analyzer`, in JSON; ``baseline`` and ``adaptation`` likewise, as their documents.
    """

    model: str
    modalities: tuple[str, ...]
    device: str
    window: Seconds
    hop: Seconds
    threads: int | None
    recognize: bool
    classes: tuple[str, ...]
    folders: tuple[str, ...]
    surroundings: str
    version: str = mmemo.__version__
    prior: str = '"balanced"'
    baseline: str = "null"
    adaptation: str = "null"

    @classmethod
    def of(
        cls,
        model: str | Path,
        modalities: Sequence[str] | None = None,
        device: str = "auto",
        window: Seconds = 2.0,
        hop: Seconds = 1.0,
        threads: int | None = None,
        classes: Sequence[type] = (),
        prior: Prior = "balanced",
        baseline: Baseline | Literal["auto"] | None = None,
        adaptation: Adaptation | None = None,
    ) -> Settings:
        """Settings from the arguments of an `Analyzer`; nothing is loaded.

        Raises:
            ArgumentError, UnknownModelError, WeightsError: what `Analyzer` raises; for fewer threads than one; and
                for a class that other processes can't import.
        """
        if not isinstance(model, str | Path):
            raise ArgumentError("A built model can't be sent to other processes: save it, and give the folder.")
        if threads is not None and threads < 1:
            raise ArgumentError(f"threads: expected 1 or more, got {threads}.")
        paths = tuple(class_path(one) for one in classes)
        known = {"prior": prior, "baseline": baseline, "adaptation": adaptation}
        chosen = Analyzer(model, modalities, device, window, hop, classes=classes, **known).modalities  # type: ignore[arg-type]
        personal = [json.dumps(to_document(one)) for one in known.values()]
        foreign = dict.fromkeys((*classes, *foreign_classes(model, chosen, classes)))
        embedded = str(model) in MODELS
        folder = WEIGHTS if embedded else Path(model).absolute()
        recognizer = default_transcriber() if "text" in chosen else None
        weights = [fingerprint(folder / part) for part in (*chosen, FUSION)]
        values = [mmemo.__version__, weights, window, hop, repr(recognizer), *personal]
        own = [[class_path(one), sha256(_file(one).read_bytes()).hexdigest()] for one in foreign]
        surroundings = sha256(json.dumps([*values, chosen, *own]).encode()).hexdigest()
        folders = tuple(dict.fromkeys(_import_folder(one) for one in classes))
        name = str(model) if embedded else str(folder)
        fields = (name, chosen, device, window, hop, threads, recognizer is not None, paths, folders, surroundings)
        return cls(*fields, mmemo.__version__, *personal)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The inverse of `to_json`."""
        values: dict[str, Any] = json.loads(text)
        tuples = {name: tuple(values[name]) for name in ("modalities", "classes", "folders")}
        return cls(**values | tuples)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    def analyzer(self) -> Analyzer:
        """An analyzer that keeps to these settings; its models are loaded when they are first used.

        Raises:
            MissingExtraError: if words are to be recognized and this machine can't.
            WorkerError: if its mmemo, the model's weights or the classes are not those that the settings were made
                for.
        """
        # Behind all else, so that no module of the caller's takes the place of another.
        sys.path += [folder for folder in self.folders if folder not in sys.path]
        try:
            classes = [import_class(path) for path in self.classes]
        except ArgumentError as error:
            raise WorkerError(f"{gethostname()}: {error}") from error
        transcriber = WhisperTranscriber(threads=self.threads or 0) if self.recognize else None
        baseline, adaptation = json.loads(self.baseline), json.loads(self.adaptation)
        known: dict[str, Any] = {
            "prior": json.loads(self.prior),
            "baseline": from_document(Baseline, baseline) if isinstance(baseline, dict) else baseline,
            "adaptation": None if adaptation is None else from_document(Adaptation, adaptation),
        }
        plain = (self.model, self.modalities, self.device, self.window, self.hop)
        here = Settings.of(*plain, self.threads, classes, **known)
        if (here.version, here.surroundings) != (self.version, self.surroundings):
            raise WorkerError(
                f"{gethostname()} has another mmemo ({here.version}), other weights or other classes than the machine "
                f"that sent the clips ({self.version}). Install the same on all machines."
            )
        return Analyzer(*plain, transcriber=transcriber, classes=classes, **known)

    def key(self, clip: Clip) -> str:
        """Changes with everything that the clip's row depends on: the bytes of its files, its span, these settings.

        Raises:
            OSError: if a file can't be read, or is a device or a pipe, which may never end.
        """
        for file in clip.files:
            if not file.is_file():
                raise OSError(f"{file} is no regular file")
        return sha256(json.dumps([self.surroundings, *cache_key(clip)]).encode()).hexdigest()


def _file(given: type) -> Path:
    """The source of a class."""
    file = sys.modules[given.__module__].__file__
    if file is None:
        raise ArgumentError(f"The class {class_path(given)} can't be sent to other processes: its module has no file.")
    return Path(file)


def _import_folder(given: type) -> str:
    """The folder that the module of a class, or the package it is in, was imported from."""
    file = _file(given).absolute()
    return str(file.parents[given.__module__.count(".") + (file.stem == "__init__")])
