"""What a comparison found: plain dataclasses, and their way to dictionaries, tables, figures and files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmemo.comparison.losing import Curve
from mmemo.comparison.measuring import FIGURES, Measured
from mmemo.comparison.pairs import Pair
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evaluation.intervals import Interval

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure
    from rich.console import RenderableType


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several systems on the same clips.

    Attributes:
        title: what was compared, for the head of a page.
        labels: the K classes.
        clips: how many; ``speakers`` of how many people, None where that is not known of all.
        systems: what was measured of each, in the order given.
        alone: names of those that look at one modality only.
        pairs: every two of them, tested.
        curves: under loss of modalities, and under worse evidence if that was asked for.
        notes: what a reader must know.
        draws: resamplings behind every interval; ``seed`` of them.
        inputs: files and folders that were read, which `save` does not overwrite. Not part of a document.
    """

    title: str
    labels: tuple[str, ...]
    clips: int
    speakers: int | None
    systems: tuple[Measured, ...]
    alone: tuple[str, ...]
    pairs: tuple[Pair, ...]
    curves: tuple[Curve, ...]
    notes: tuple[str, ...]
    draws: int
    seed: int
    inputs: tuple[Path, ...] = field(default=(), repr=False)

    @cached_property
    def by_name(self) -> Mapping[str, Measured]:
        """The systems by name."""
        return {system.name: system for system in self.systems}

    def __getitem__(self, name: str) -> Measured:
        if name not in self.by_name:
            raise ArgumentError(expected_one_of("System", self.by_name, name))
        return self.by_name[name]

    def pair(self, first: str, second: str) -> Pair:
        """How much better ``second`` is than ``first``, whichever way round it was tested.

        Raises:
            ArgumentError: if the two were not compared.
        """
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.first, pair.second) == (second, first):
                return _turned(pair)
        known = [f"{pair.first} and {pair.second}" for pair in self.pairs]
        raise ArgumentError(expected_one_of("Pair", known, f"{first} and {second}"))

    @property
    def fused(self) -> tuple[str, ...]:
        """Systems that look at more than one modality."""
        return tuple(system.name for system in self.systems if system.name not in self.alone)

    @property
    def best_alone(self) -> str | None:
        """The single modality with the highest accuracy; None if there is none."""
        return max(self.alone, key=lambda name: self[name].accuracy.value, default=None)

    @property
    def best_fused(self) -> str | None:
        """The fused system with the highest accuracy on these clips; None if there is none."""
        return max(self.fused, key=lambda name: self[name].accuracy.value, default=None)

    def gain(self, name: str) -> Pair | None:
        """What a fused system gains over the best single modality; None for a single one."""
        best = self.best_alone
        return None if best is None or name in self.alone else self.pair(best, name)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers, ready for JSON; figures that do not exist are None."""
        plain = {one.name: _plain(getattr(self, one.name)) for one in fields(self) if one.name != "inputs"}
        return {**plain, "systems": {system.name: _plain(system) for system in self.systems}}

    def to_json(self, indent: int | None = 2) -> str:
        """The same as `to_dict`, as a JSON text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_frame(self) -> pandas.DataFrame:
        """A row a system: every figure with its limits, and what is gained over the best single modality.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        from mmemo.comparison.writing import frame

        return frame(self)

    def to_table(self) -> RenderableType:
        """What `mmemo compare` prints, for rich."""
        from mmemo.comparison.terminal import terminal

        return terminal(self)

    def to_markdown(self) -> str:
        """The same table as Markdown."""
        from mmemo.comparison.writing import markdown

        return markdown(self)

    def figures(self) -> dict[str, Figure]:
        """Pictures by name (extra ``report``): systems, gains, recalls, confusion, reliability, losses …

        Raises:
            MissingExtraError: if matplotlib is not installed.
        """
        from mmemo.report.needs import need

        need("A figure", "report", "matplotlib")
        from mmemo.comparison.figures import figures

        return figures(self)

    def save(self, path: str | Path) -> Path:
        """Write a file, whole or not at all; the suffix of ``path`` chooses the format.

        ``.json``: everything; ``.csv``: the rows of `to_frame`; ``.md``, ``.tex``: the table of systems; ``.html``: a
        page that needs no network; ``.png``, ``.svg``, ``.pdf``: the figure of all systems. A folder (no suffix) gets
        every figure as PNG and PDF; one that is there is replaced if it holds what mmemo wrote and nothing else.

        Raises:
            ArgumentError: for another suffix, a file that was compared, or a folder that may not be replaced.
            MissingExtraError: if the format needs packages that are not installed.
        """
        from mmemo.comparison.writing import save

        return save(self, Path(path))


def _turned(pair: Pair) -> Pair:
    def back(figure: Interval) -> Interval:
        return Interval(-figure.value, -figure.high, -figure.low)

    return Pair(
        pair.second,
        pair.first,
        back(pair.gain),
        back(pair.uar_gain),
        pair.only_second,
        pair.only_first,
        pair.mcnemar,
        pair.bootstrap,
        pair.mcnemar_corrected,
        pair.bootstrap_corrected,
    )


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """A flat row a system; what is not there is None."""
    table = []
    for system in comparison.systems:
        row: dict[str, Any] = {"system": system.name, "clips": comparison.clips, "answered": system.answered}
        for name in FIGURES:
            row |= _limits(name, getattr(system, name))
        for label, recall in system.recalls.items():
            row |= _limits(f"recall {label}", recall)
        for what, figure in system.concordance.items():
            row |= _limits(f"ccc {what}", figure)
        pair = comparison.gain(system.name)
        row |= {"gain over": None if pair is None else pair.first}
        row |= _limits("gain", None if pair is None else pair.gain)
        row |= {
            "p bootstrap corrected": None if pair is None else pair.bootstrap_corrected,
            "p mcnemar corrected": None if pair is None else pair.mcnemar_corrected,
        }
        table.append(row)
    return table


def _limits(name: str, figure: Interval | None) -> dict[str, float | None]:
    values = (None, None, None) if figure is None else (figure.value, figure.low, figure.high)
    known = [None if value is None or not math.isfinite(value) else value for value in values]
    return dict(zip((name, f"{name} low", f"{name} high"), known, strict=True))
