"""The classes that a saved model may name, and where each is found: given by the caller, in mmemo, or installed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from inspect import signature
from operator import attrgetter
from pathlib import Path
from typing import Any

from mmemo.encoders.base import Encoder
from mmemo.errors import ArgumentError, MissingExtraError, MmemoError, WeightsError, missing_extra


@dataclass(frozen=True)
class Registry:
    """Finds the class that a saved model names.

    A file holds a bare name, never a module: it chooses among the classes known here and can't bring in another. They
    are looked up in this order: classes given by the caller, those of mmemo, entry points of installed packages.

    Attributes:
        what: "encoder" or "fusion head", for messages.
        attribute: of a class, by which a saved model names it: "__name__" or "kind".
        group: of the entry points; the name of each is the name in a saved model.
        builtin: "module:Class" of each class of mmemo, by name; imported when needed, as some take a second.
        former: today's name of classes that were renamed.
    """

    what: str
    attribute: str
    group: str
    builtin: Mapping[str, str]
    former: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str, classes: Sequence[type] = ()) -> type[Any]:
        """The class of that name.

        Args:
            classes: given by the caller, of encoders and of fusion heads.

        Raises:
            WeightsError: if no class has the name, two have, or a package that offers it can't be imported.
        """
        given = self._given(name, classes)
        if len(given) > 1:
            raise WeightsError(
                f"Two of the classes given are the {self.what} {name!r}: {' and '.join(map(_path, given))}. Give one."
            )
        if given:
            return given[0]
        if self._current(name) in self.builtin:
            return import_class(self.builtin[self._current(name)])
        # The same package may be seen twice, as an installed one and as its source folder.
        offered = {f"{point.module}:{point.attr}" for point in entry_points(group=self.group, name=name)}
        if len(offered) > 1:
            raise WeightsError(
                f"Two installed packages offer the {self.what} {name!r}: {' and '.join(sorted(offered))}. "
                "Uninstall one, or give the class: load_model(…, classes=[…])."
            )
        for path in offered:
            try:
                return import_class(path)
            except ArgumentError as error:
                raise WeightsError(f"The {self.what} {name!r} of an installed package: {error}") from error
        raise WeightsError(
            f"The model needs the {self.what} {name!r}, which is none of {', '.join(self.builtin)}. If it is a class "
            "of your own, give it: load_model(…, classes=[…]), on the command line --classes package.module:Class; or "
            f"install the package that has it as an entry point of the group {self.group!r}."
        )

    def is_builtin(self, name: str, classes: Sequence[type] = ()) -> bool:
        """Whether `find` gives a class of mmemo."""
        return not self._given(name, classes) and self._current(name) in self.builtin

    def _given(self, name: str, classes: Sequence[type]) -> list[type[Any]]:
        return [one for one in dict.fromkeys(classes) if getattr(one, self.attribute, None) == name]

    def _current(self, name: str) -> str:
        return self.former.get(name, name)


ENCODERS = Registry(
    what="encoder",
    attribute="__name__",
    group="mmemo.encoders",
    builtin={
        "FaceEncoder": "mmemo.encoders.face.encoder:FaceEncoder",
        "FaceSequenceEncoder": "mmemo.encoders.face.sequence:FaceSequenceEncoder",
        "BlendshapeEncoder": "mmemo.encoders.face.blendshapes:BlendshapeEncoder",
        "ActionUnitEncoder": "mmemo.encoders.face.action_units:ActionUnitEncoder",
        "ImageBackboneEncoder": "mmemo.encoders.face.backbone:ImageBackboneEncoder",
        "VoiceEncoder": "mmemo.encoders.voice.encoder:VoiceEncoder",
        "SpeechBackboneEncoder": "mmemo.encoders.voice.backbone:SpeechBackboneEncoder",
        "WhisperLayersEncoder": "mmemo.encoders.voice.whisper_layers:WhisperLayersEncoder",
        "TextEncoder": "mmemo.encoders.text.encoder:TextEncoder",
        "TextBackboneEncoder": "mmemo.encoders.text.backbone:TextBackboneEncoder",
        "ProbeEncoder": "mmemo.encoders.probe_encoder:ProbeEncoder",
    },
    former={"ProbedEncoder": "ProbeEncoder", "SpeechCheckpointEncoder": "SpeechBackboneEncoder"},
)


def load_encoder(name: str, folder: Path, device: str, classes: Sequence[type] = ()) -> Encoder:
    """Read an encoder that was saved into ``folder``.

    Args:
        name: of its class.
        device: "auto", "cpu", "cuda" …
        classes: of encoders that are not mmemo's own.

    Raises:
        WeightsError: if the class is not known, or the files are damaged.
    """
    encoder_class = ENCODERS.find(name, classes)
    if not hasattr(encoder_class, "load"):
        raise WeightsError(f"{_path(encoder_class)} can't be read from {folder}: it has no load(folder, device=…).")
    wraps = {"classes": classes} if "classes" in signature(encoder_class.load).parameters else {}
    encoder = encoder_class.load(folder, device=device, **wraps)
    if not isinstance(encoder, Encoder):
        raise WeightsError(f"{_path(encoder_class)}.load gives no encoder: see mmemo.testing.check_encoder.")
    return encoder


def import_class(path: str) -> type[Any]:
    """The class at "package.module:Class".

    Raises:
        ArgumentError: if there is none, or its module can't be imported.
        MissingExtraError: if it needs a package of an extra that is not installed.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise ArgumentError(f"Expected a class as package.module:Class, got {path!r}.")
    try:
        found = attrgetter(name)(import_module(module))
    except ModuleNotFoundError as error:
        known = missing_extra(path, error)
        if isinstance(known, MissingExtraError):
            raise known from None
        raise ArgumentError(f"The class {path} can't be imported: {error}") from error
    except MmemoError:
        raise
    except Exception as error:  # the module may be the caller's own and raise anything
        raise ArgumentError(f"The class {path} can't be imported: {type(error).__name__}: {error}") from error
    if not isinstance(found, type):
        raise ArgumentError(f"Expected a class, and {path} is a {type(found).__name__}.")
    return found


def class_path(given: type) -> str:
    """The class as "package.module:Class", by which another process can import it.

    Raises:
        ArgumentError: if no other process can: it is defined in a script or notebook, or inside a function.
    """
    found: Any = sys.modules.get(given.__module__)
    for name in given.__qualname__.split("."):
        found = getattr(found, name, None)
    if given.__module__ == "__main__" or found is not given:
        raise ArgumentError(
            f"The class {_path(given)} can't be imported by other processes. Put it into a module of its own, at the "
            "top level, and import it from there."
        )
    return _path(given)


def _path(given: type) -> str:
    return f"{given.__module__}:{given.__qualname__}"
