"""Every exception mmemo raises on purpose. Each message says what happened, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from reprlib import Repr

__all__ = [
    "ArgumentError",
    "LabelError",
    "LeakError",
    "ManifestError",
    "MediaError",
    "MissingExtraError",
    "MissingStreamError",
    "MmemoError",
    "TimeLimitError",
    "TranscriptError",
    "UnknownModelError",
    "WeightsError",
    "WorkerError",
]


def __dir__() -> list[str]:
    return __all__


class MmemoError(Exception):
    """Base of all errors of mmemo: catch this to catch them all.

    >>> import mmemo
    >>> try:
    ...     mmemo.analyze("nowhere.mp4")
    ... except mmemo.errors.MmemoError as error:
    ...     print(type(error).__name__)
    MediaError
    """


SHOWN_FAULTS = 20
"""So many faults are in the message of a `ManifestError`."""


class MediaError(MmemoError):
    """A file that can't be read as media: missing, empty, damaged, of another kind, or not permitted.

    >>> import mmemo
    >>> mmemo.analyze("nowhere.mp4")
    Traceback (most recent call last):
        ...
    mmemo.errors.MediaError: ...nowhere.mp4...
    """


class MissingStreamError(MmemoError):
    """Nothing is left to analyze: the input has no face, no voice and no words among the modalities to analyze.

    >>> import mmemo
    >>> mmemo.analyze(mmemo.samples.make_clip("silent.mp4", faces=0, sound=None, seconds=0.4), modalities=["voice"])
    Traceback (most recent call last):
        ...
    mmemo.errors.MissingStreamError: silent.mp4 has nothing to analyze...
    """


class WorkerError(MmemoError):
    """A process that analyzes clips beside this one could not be started, or died.

    >>> from mmemo.errors import WorkerError
    >>> raise WorkerError("The process was closed.")
    Traceback (most recent call last):
        ...
    mmemo.errors.WorkerError: The process was closed.
    """


class TimeLimitError(MmemoError):
    """The analysis of a clip took longer than it may, and was ended.

    >>> from mmemo.errors import TimeLimitError
    >>> raise TimeLimitError("It took longer than 600 s, and was ended.")
    Traceback (most recent call last):
        ...
    mmemo.errors.TimeLimitError: It took longer than 600 s, and was ended.
    """


_EXTRAS = {
    "captum": "explain",
    "librosa": "prosody",
    "matplotlib": "report",
    "pandas": "export",
    "scipy": "micro",
    "onnx": "train",
    "sklearn": "train",
    "torch": "train",
    "torchaudio": "train",
    "transformers": "backbones",
}
"""Packages, by the names they are imported by, and the extra that brings them."""


class MissingExtraError(MmemoError):
    """An optional part of mmemo is needed and not installed.

    >>> from mmemo.errors import require_extra
    >>> require_extra("A plot", "report", "no_such_package")
    Traceback (most recent call last):
        ...
    mmemo.errors.MissingExtraError: A plot needs packages that are not installed. ...
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs packages that are not installed. Install them with: pip install 'mmemo[{extra}]'"
        )
        self.extra = extra


class UnknownModelError(MmemoError):
    """A model or weight that mmemo does not know, or a folder that holds none.

    >>> import mmemo
    >>> mmemo.load_model("defualt")
    Traceback (most recent call last):
        ...
    mmemo.errors.UnknownModelError: Model: expected one of ['default', 'large'], got 'defualt'. Did you...
    """


class WeightsError(MmemoError):
    """A weight file that is damaged, of another version, or not the one its checksum names.

    >>> import mmemo
    >>> from pathlib import Path
    >>> folder = mmemo.load_model(modalities=["text"]).save("model")
    >>> config = (folder / "fusion" / "config.json").write_text("{")
    >>> mmemo.load_model(folder)
    Traceback (most recent call last):
        ...
    mmemo.errors.WeightsError: ...config.json is not valid JSON...
    """


class TranscriptError(MmemoError):
    """A subtitle file that can't be read; the message names the file and the line.

    >>> import mmemo
    >>> mmemo.analyze("clip.mp4", subtitles="nowhere.srt")
    Traceback (most recent call last):
        ...
    mmemo.errors.TranscriptError: ...nowhere.srt...
    """


class ManifestError(MmemoError):
    """A manifest, or a corpus, that can't be read or does not fit; all faults are collected, not the first only.

    Args:
        what: what was read: a path, a folder.
        faults: one sentence each, with the line's number where there is one.

    >>> from mmemo.errors import ManifestError
    >>> raise ManifestError("clips.csv", ["line 3: no label"])
    Traceback (most recent call last):
        ...
    mmemo.errors.ManifestError: clips.csv has a fault:
      line 3: no label
    """

    def __init__(self, what: object, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        shown = [f"  {fault}" for fault in self.faults[:SHOWN_FAULTS]]
        more = len(self.faults) - len(shown)
        rest = [f"  … and {more} more; they are in the error's .faults"] if more else []
        count = f"{len(self.faults)} faults" if len(self.faults) > 1 else "a fault"
        super().__init__("\n".join([f"{what} has {count}:", *shown, *rest]))


class LeakError(MmemoError):
    """Splits that share what must be apart, or a corpus that gives its labels away; the message says where.

    >>> from mmemo.data import Audit
    >>> from mmemo.data.checks.report import Finding
    >>> Audit((Finding("leak", "speaker-overlap", "Speaker 3 is in train and test."),)).refuse_leaks()
    Traceback (most recent call last):
        ...
    mmemo.errors.LeakError: The splits leak:...
    """


class LabelError(MmemoError, ValueError):
    """A label, label set or mapping that does not fit.

    >>> from mmemo.labels import EKMAN7
    >>> EKMAN7.index("hapiness")
    Traceback (most recent call last):
        ...
    mmemo.errors.LabelError: Label of ekman7: expected one of [...], got 'hapiness'. Did you mean 'happiness'?
    """


class ArgumentError(MmemoError, ValueError):
    """An argument outside what the function takes.

    >>> import mmemo
    >>> mmemo.analyze()
    Traceback (most recent call last):
        ...
    mmemo.errors.ArgumentError: Nothing to analyze: give a media file, or text=….
    """


def require_extra(what: str, extra: str, *modules: str) -> None:
    """Check that optional packages are installed, before any work is done.

    Args:
        what: the part of mmemo that needs them, as the first words of the message.
        extra: the extra of mmemo that installs them.
        modules: their names as they are imported.

    Raises:
        MissingExtraError: if one of ``modules`` is not installed.
    """
    if any(find_spec(module) is None for module in modules):
        raise MissingExtraError(what, extra)


def missing_extra(what: str, error: ModuleNotFoundError) -> ModuleNotFoundError | MissingExtraError:
    """The error to raise where an import fails: which extra it takes, if the missing package is of one.

    Args:
        what: the part, as the first words of the message.
    """
    name = (error.name or "").partition(".")[0]
    return MissingExtraError(what, _EXTRAS[name]) if name in _EXTRAS else error


def expected_one_of(what: str, known: Iterable[str], got: object) -> str:
    """A message that lists what was expected and names what came, with the nearest known name."""
    names = list(known)
    close = get_close_matches(str(got)[:_LONGEST], names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{what}: expected one of {names}, got {shown(got)}.{hint}"


def shown(value: object) -> str:
    """The value for a message: what came from a file may be of any length and depth."""
    return _SHORT.repr(value)


_LONGEST = 200
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _LONGEST
