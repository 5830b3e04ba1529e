"""Faces frame by frame: pose, gaze, blinks, blendshapes, action units and scores, as arrays and as a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from mmemo.errors import ArgumentError, expected_one_of, require_extra
from mmemo.evidence import Seconds
from mmemo.faces.action_units import ACTION_UNITS, action_units
from mmemo.faces.blendshapes import BLENDSHAPES
from mmemo.files import replacing_file
from mmemo.reading import open_input, reason

if TYPE_CHECKING:
    import pandas

SUFFIXES = (".csv", ".parquet")
CLOSED = 0.5
"""Closure of the eyelids, AU45, from which on the eyes count as closed."""
LONGEST_BLINK: Seconds = 0.5
"""From the last frame with open eyes to the first one again: blinks last 0.1 to 0.4 s (Caffier et al. 2003)."""
_DECIMALS = 5  # in a CSV
_KEYS = ("frame", "time", "person")
_BOX = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")
_POSE = ("Pitch", "Roll", "Yaw")  # the order of py-feat
_GAZE = ("gaze_pitch", "gaze_yaw")
_OWN = (*_KEYS, *_BOX, "FaceScore", "quality", *_POSE, *_GAZE, "blink", *ACTION_UNITS, "AU_derived")


@dataclass(frozen=True, eq=False)
class FaceFrames:
    """Faces frame by frame, of `mmemo.analyze` with ``frames=True``: N rows, one for each face in each frame read.

    Rows are in order of time, and within a frame by person. A frame without a face has no row.

    Attributes:
        frame: (N,) int64, index of the frame in the file, from 0; of a clip that begins later, in what was decoded.
        time: (N,) float64, seconds from the start of the file, from presentation timestamps.
        person: (N,) int64, id of the face track, as in the result's ``people``.
        box: (N, 4) float32, left, top, right, bottom of the landmarks in pixels of the upright picture.
        confidence: (N,) float32, how sure it is that this is a face, 0 to 1, as `mmemo.faces.Face` has it.
        quality: (N,) float32, how far the scores can be trusted, 0 to 1: size, sharpness, pose, light.
        pose: (N, 3) float32, yaw, pitch and roll of the head in degrees, all zero for an upright look into the camera.
            Yaw is positive to the right of the picture (the person's left), pitch upwards, roll clockwise.
        gaze: (N, 2) float32, yaw and pitch of the gaze in degrees with the same signs, zero for a look into the
            camera wherever the head turns; NaN while the eyes are closed. Good to about 5 degrees.
        blendshapes: (N, 52) float32 in [0, 1], in the order of `mmemo.faces.BLENDSHAPES`; left is the person's left.
        scores: (N, K) float32 of the face encoder for the frame alone, summing to 1; NaN where it is of too low
            quality. They are noisier than those of a window, which the result's segments have.
        labels: the K labels.
        inputs: what the frames were read from; `save` overwrites none of it.

    Raises:
        ArgumentError: if the arrays do not belong together.

    >>> import mmemo
    >>> frames = mmemo.analyze("clip.mp4", modalities=("face",), frames=True).frames
    >>> len(frames) > 10, frames.pose.shape[1], frames.labels[:2]
    (True, 3, ('anger', 'disgust'))
    >>> bool(frames.action_unit("AU12").mean() > 0.5)  # a smile
    True
    """

    frame: np.ndarray
    time: np.ndarray
    person: np.ndarray
    box: np.ndarray
    confidence: np.ndarray
    quality: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    blendshapes: np.ndarray
    scores: np.ndarray
    labels: tuple[str, ...]
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shapes = {
            "frame": (), "time": (), "person": (), "box": (4,), "confidence": (), "quality": (), "pose": (3,),
            "gaze": (2,), "blendshapes": (len(BLENDSHAPES),), "scores": (len(self.labels),),
        }  # fmt: skip
        for name, rest in shapes.items():
            if getattr(self, name).shape != (len(self.time), *rest):
                raise ArgumentError(
                    f"FaceFrames.{name}: expected the shape {(len(self.time), *rest)}, got {getattr(self, name).shape}."
                )

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        rate = "" if self.rate is None else f", {self.rate:.1f} frames a second"
        people = len(set(self.person.tolist()))
        return f"<FaceFrames: {len(self)} rows, {people} {'person' if people == 1 else 'people'}{rate}>"

    @property
    def rate(self) -> float | None:
        """Frames a second that were read, the median; None for fewer than two frames."""
        steps = np.diff(np.unique(self.time))
        return float(1 / np.median(steps)) if len(steps) else None

    @property
    def action_units(self) -> np.ndarray:
        """(N, 18) float32 in [0, 1], derived, in the order of `mmemo.faces.action_units.ACTION_UNITS`."""
        return action_units(self.blendshapes)

    def action_unit(self, name: str) -> np.ndarray:
        """One action unit, (N,) float32, by its name such as "AU12".

        Raises:
            ArgumentError: for a name that is not one of `mmemo.faces.action_units.ACTION_UNITS`.
        """
        if name not in ACTION_UNITS:
            raise ArgumentError(expected_one_of("Action unit", tuple(ACTION_UNITS), name))
        column: np.ndarray = self.action_units[:, list(ACTION_UNITS).index(name)]
        return column

    @property
    def blink(self) -> np.ndarray:
        """(N,) bool: frames of a blink, in which the eyes are closed for a moment and open before and after.

        Eyes that stay closed for half a second or more, and those of a still picture, do not blink.
        """
        closed, blinks = self.action_unit("AU45") >= CLOSED, np.zeros(len(self), bool)
        for person in np.unique(self.person):
            rows = np.flatnonzero(self.person == person)
            for before, after in pairwise(np.flatnonzero(~closed[rows]).tolist()):
                if self.time[rows[after]] - self.time[rows[before]] <= LONGEST_BLINK:
                    blinks[rows[before + 1 : after]] = True
        return blinks

    def columns(self) -> dict[str, np.ndarray]:
        """The table by columns, each (N,): those of py-feat where it has them, then the labels and the blendshapes.

        ``frame``, ``time``, ``person``, ``FaceRectX``, ``FaceRectY``, ``FaceRectWidth``, ``FaceRectHeight``,
        ``FaceScore``, ``quality``, ``Pitch``, ``Roll``, ``Yaw``, ``gaze_pitch``, ``gaze_yaw``, ``blink``, ``AU01`` …,
        ``AU_derived`` (always true: they come from blendshapes, and are no annotation), a score for each label, and
        the 52 blendshapes.
        """
        left, top, right, bottom = self.box.T
        yaw, pitch, roll = self.pose.T
        parts = (
            {"frame": self.frame, "time": self.time, "person": self.person},
            dict(zip(_BOX, (left, top, right - left, bottom - top), strict=True)),
            {"FaceScore": self.confidence, "quality": self.quality},
            {"Pitch": pitch, "Roll": roll, "Yaw": yaw, "gaze_pitch": self.gaze[:, 1], "gaze_yaw": self.gaze[:, 0]},
            {"blink": self.blink},
            dict(zip(ACTION_UNITS, self.action_units.T, strict=True)),
            {"AU_derived": np.ones(len(self), bool)},
            dict(zip(self.labels, self.scores.T, strict=True)),
            dict(zip(BLENDSHAPES, self.blendshapes.T, strict=True)),
        )
        return {name: column for part in parts for name, column in part.items()}

    def to_frame(self) -> pandas.DataFrame:
        """The table of `columns` as a pandas data frame (extra ``export``).

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        require_extra("A data frame", "export", "pandas")
        import pandas

        return pandas.DataFrame(self.columns())

    def save(self, path: str | Path) -> Path:
        """Write the table of `columns`, whole or not at all: ``.csv``, or ``.parquet`` (extra ``export``).

        Raises:
            ArgumentError: for another suffix, a file that can't be written, or what the frames were read from.
            MissingExtraError: if ``.parquet`` needs packages that are not installed.
        """
        path = Path(path)
        check_suffix(path)
        with replacing_file(path, self.inputs) as partial:
            if path.suffix.lower() == ".parquet":
                self.to_frame().to_parquet(partial, index=False)
            else:
                from mmemo.report.export.cells import write_csv

                columns = self.columns()
                values = zip(*columns.values(), strict=True)
                rows = (dict(zip(columns, map(_cell, row), strict=True)) for row in values)
                write_csv(partial, list(columns), rows, raw_cells=False)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a table that `save` wrote.

        Raises:
            ArgumentError: if it can't be read, or is another table.
            MissingExtraError: if ``.parquet`` needs packages that are not installed.
        """
        path = Path(path)
        check_suffix(path)
        try:
            read = _read_parquet if path.suffix.lower() == ".parquet" else _read_csv
            return cls._of(read(path))
        except (OSError, ValueError, KeyError, csv.Error) as error:
            what = f"it has no column {error}" if isinstance(error, KeyError) else reason(error)
            raise ArgumentError(f"{path} can't be read as a table of frames: {what}.") from None

    @classmethod
    def _of(cls, columns: Mapping[str, np.ndarray]) -> Self:
        """The inverse of `columns`."""

        def stacked(names: Sequence[str]) -> np.ndarray:
            return np.stack([columns[name] for name in names], axis=1).astype(np.float32)

        labels = tuple(name for name in columns if name not in {*_OWN, *BLENDSHAPES})
        corners = stacked(_BOX)
        corners[:, 2:] += corners[:, :2]
        return cls(
            frame=columns["frame"].astype(np.int64),
            time=columns["time"].astype(np.float64),
            person=columns["person"].astype(np.int64),
            box=corners,
            confidence=columns["FaceScore"].astype(np.float32),
            quality=columns["quality"].astype(np.float32),
            pose=stacked(("Yaw", "Pitch", "Roll")),
            gaze=stacked(("gaze_yaw", "gaze_pitch")),
            blendshapes=stacked(BLENDSHAPES),
            scores=stacked(labels),
            labels=labels,
        )


def check_suffix(path: Path) -> None:
    """Check that frames can be written to, or read from, a file with this suffix.

    Raises:
        ArgumentError, MissingExtraError: see `FaceFrames.save`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentError(expected_one_of(f"Suffix of {path.name}", SUFFIXES, path.suffix.lower()))
    if path.suffix.lower() == ".parquet":
        require_extra("A .parquet file", "export", "pandas", "pyarrow")


def _cell(value: np.generic) -> bool | int | float | None:
    """A value as it stands in a CSV; nothing for NaN."""
    plain: bool | int | float = value.item()
    if not isinstance(plain, float):
        return plain
    return None if np.isnan(plain) else round(plain, _DECIMALS)


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    with TextIOWrapper(open_input(path), encoding="utf-8", newline="") as file:
        rows = csv.reader(file, strict=True)
        names = next(rows, [])
        cells = list(zip(*rows, strict=True)) or [()] * len(names)
    columns = zip(names, cells, strict=True)
    return {
        name: np.array([cell or "nan" for cell in column], float)
        for name, column in columns
        if name not in ("blink", "AU_derived")  # they follow from the others
    }


def _read_parquet(path: Path) -> dict[str, np.ndarray]:
    import pandas

    with open_input(path) as file:
        table = pandas.read_parquet(file)
    return {str(name): table[name].to_numpy() for name in table}
