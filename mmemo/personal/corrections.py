"""Corrections: a user's labels of results ("this was not anger"), kept as numbers in a file, to learn from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np

from mmemo.document import array_rounded_to, from_document, to_document
from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.files import replacing_file
from mmemo.model import EmotionModel
from mmemo.personal.adaptation import NOT, Adaptation, mean_tokens
from mmemo.personal.statistics import centered
from mmemo.reading import read_lines, reason

if sys.platform != "win32":
    import fcntl

FORMAT: Final = 1
"""Version of the JSON document of a line."""
FILE = "corrections.jsonl"
FEWEST = 3
"""Corrections from which on something is learned from them."""
LATEST = 1000
"""Corrections that are learned from; those before them don't count any more."""
_BEGINNING = b'{"format":'
Values = Annotated[np.ndarray, array_rounded_to(5)]


@dataclass(frozen=True, eq=False)
class ClipFeatures:
    """All that is learned from of one modality of a clip.

    Attributes:
        scores: (K,) log scores, centered to a mean of 0, without baseline or prior.
        token: (D,) mean of the encoder's tokens.

    Raises:
        ArgumentError: if a number is not finite.
    """

    scores: Values
    token: Values

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scores).all() and np.isfinite(self.token).all()):
            raise ArgumentError("ClipFeatures: scores and token must be finite.")

    @classmethod
    def of(cls, encoding: Encoding) -> ClipFeatures:
        """The features of a clip's encoding (B = 1)."""
        return cls(centered(log_softmax(encoding.logits.astype(float)))[0], mean_tokens(encoding)[0])

    def encoding(self) -> Encoding:
        """An encoding (B = 1) with one token."""
        return Encoding(self.token[None, None].astype(np.float32), np.ones((1, 1), bool), self.scores[None])


@dataclass(frozen=True, eq=False)
class CorrectedClip:
    """A user's label of one result: no picture, sound or word of the clip, nor its name.

    Attributes:
        format: version of the document.
        time: of the correction, in UTC, as ISO 8601 has it.
        label: that the clip shows; "not anger" if it is only known what it does not show.
        predicted: the label of the result.
        model: name of the model.
        weights: SHA-256 of its weights by modality, as far as they are known.
        modalities: features of each modality.
    """

    format: Literal[1] = field(init=False, default=FORMAT)
    time: str = field(
        default_factory=lambda: datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z", kw_only=True
    )
    label: str
    predicted: str
    model: str
    weights: dict[str, str]
    modalities: dict[str, ClipFeatures]

    def fits(self, model: EmotionModel) -> bool:
        """Whether the model is the one that was corrected, with the same weights."""
        return (
            (bool(self.weights) or self.model == model.name)
            and self.label.removeprefix(NOT) in model.labels
            and all(model.weights.get(name) == sha256 for name, sha256 in self.weights.items())
            and all(
                name in model.modalities
                and one.scores.shape == (len(model.labels),)
                and one.token.shape == (model.encoders[name].dim,)
                for name, one in self.modalities.items()
            )
        )


class Corrections:
    """Corrections of results in a folder of this machine, one line of ``corrections.jsonl`` each.

    A line holds the label, the model's scores and mean features of each modality; see `CorrectedClip`. Several
    processes may add, read and remove at once. A last line that was cut off while it was written is passed over.

    Args:
        folder: is made with the first correction; only this user of the machine may read what is in it.

    Raises:
        ArgumentError: if a file is in its place.

    >>> import tempfile
    >>> import mmemo
    >>> from mmemo.personal.corrections import ClipFeatures, Corrections
    >>> analyzer = mmemo.Analyzer(modalities=("text",))
    >>> result, encodings = analyzer.analyze_and_encode(text="Well done, really.")
    >>> features = {name: ClipFeatures.of(encoding) for name, encoding in encodings.items()}
    >>> corrections = Corrections(tempfile.mkdtemp())
    >>> for _ in range(3):
    ...     corrections.add("anger", result.label, features, analyzer.model)
    >>> [(number, entry.label) for number, entry in corrections.entries().items()]
    [(1, 'anger'), (2, 'anger'), (3, 'anger')]
    >>> corrections.adaptation(analyzer.model).clips
    {'anger': 3}
    >>> corrections.clear()
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.file = self.folder / FILE
        if self.folder.exists() and not self.folder.is_dir():
            raise ArgumentError(f"{folder} is to be the folder of corrections, and is none: name another one.")

    def add(self, label: str, predicted: str, features: Mapping[str, ClipFeatures], model: EmotionModel) -> None:
        """Append one correction.

        Args:
            label: that the clip shows, or "not " and a label.
            predicted: the label of the result.
            features: of each modality of the clip.
            model: of the result.

        Raises:
            ArgumentError: if the label is not the model's, there are no features, or the file can't be written.
        """
        if label.removeprefix(NOT) not in model.labels:
            raise ArgumentError(expected_one_of("Label of a correction", model.labels, label.removeprefix(NOT)))
        if not features:
            raise ArgumentError("A correction needs features of at least one modality, and there are none.")
        weights = {name: model.weights[name] for name in features if name in model.weights}
        entry = CorrectedClip(label, predicted, model.name, weights, dict(features))
        with self._locked():
            fd = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
            with os.fdopen(fd, "rb+", buffering=0) as file:
                cut_off = False
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    cut_off = file.read(1) != b"\n"
                file.write(b"\n" * cut_off + msgspec.json.encode(to_document(entry)) + b"\n")

    def entries(self) -> dict[int, CorrectedClip]:
        """The corrections by number, that of their line; damaged lines are left out.

        Raises:
            ArgumentError: if the file can't be read.
        """
        return {number: entry for number, _, entry in self._lines() if entry is not None}

    def damaged(self) -> tuple[int, ...]:
        """Numbers of the lines that are no corrections.

        Raises:
            ArgumentError: if the file can't be read.
        """
        return tuple(number for number, line, entry in self._lines() if entry is None and line.endswith(b"\n"))

    def remove(self, number: int) -> None:
        """Remove a correction, or a damaged line; those after it move up by one.

        Raises:
            ArgumentError: if there is none of this number, or the file can't be written.
        """
        if not self.folder.is_dir():
            raise ArgumentError(f"{self.folder} holds no corrections.")
        with self._locked():
            lines = [line for _, line, _ in self._lines()]
            if not 1 <= number <= len(lines):
                raise ArgumentError(f"There is no correction {number} in {self.file}: it has {len(lines)} lines.")
            del lines[number - 1]
            with replacing_file(self.file) as partial:
                partial.touch(0o600)
                partial.write_bytes(b"".join(lines))

    def clear(self) -> None:
        """Remove all corrections.

        Raises:
            ArgumentError: if the file holds nothing that mmemo wrote, or can't be removed.
        """
        if not self.folder.is_dir():
            return
        with self._locked():
            lines = [line for _, line, _ in self._lines()]
            if lines and not any(line.startswith(_BEGINNING) for line in lines):
                raise ArgumentError(f"{self.file} holds no corrections, so it is not removed.")
            self.file.unlink(missing_ok=True)

    def adaptation(self, model: EmotionModel) -> Adaptation | None:
        """What is learned from the corrections of this model, the last 1000; None of fewer than three.

        Raises:
            ArgumentError: if the file can't be read.
        """
        fitting = [entry for entry in self.entries().values() if entry.fits(model)][-LATEST:]
        if len(fitting) < FEWEST:
            return None
        examples = [({name: one.encoding() for name, one in each.modalities.items()}, each.label) for each in fitting]
        return Adaptation.of_encodings(examples, model)

    def _lines(self) -> Iterator[tuple[int, bytes, CorrectedClip | None]]:
        """Number and bytes of each line, and its correction, if it is one."""
        try:
            if self.file.exists():
                for number, line in enumerate(read_lines(self.file), 1):
                    yield number, line, _entry(line)
        except OSError as error:
            raise ArgumentError(f"{self.file} can't be read as corrections: {reason(error)}.") from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Whoever changes the file changes it alone; what the system refuses is an `ArgumentError`."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if sys.platform == "win32":
                yield
                return
            fd = os.open(self.folder, os.O_RDONLY)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                yield
            finally:
                os.close(fd)
        except OSError as error:
            raise ArgumentError(f"{self.file} can't be written: {reason(error)}.") from None


def _entry(line: bytes) -> CorrectedClip | None:
    try:
        return from_document(CorrectedClip, msgspec.json.decode(line, type=dict[str, Any]))
    except (ArgumentError, ValueError, RecursionError):
        return None
