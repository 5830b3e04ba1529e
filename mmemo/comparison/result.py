"""The result of a comparison, and its way to dictionaries, tables, figures and files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmemo.comparison.measures import METRICS, SystemMetrics
from mmemo.comparison.missing_modality import RobustnessCurve
from mmemo.comparison.significance import PairedTest
from mmemo.errors import ArgumentError, expected_one_of, require_extra
from mmemo.evaluation.bootstrap import Interval

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure
    from rich.console import RenderableType


@dataclass(frozen=True, eq=False)
class Comparison:
    """Metrics, paired tests and robustness curves of several systems on the same clips.

    Attributes:
        title: names of the sources, for the head of a page.
        labels: the K classes.
        clips: number of clips.
        speakers: number of speakers; None where the speaker of some clips is not known.
        systems: metrics of each system, in the order given.
        unimodal: names of the systems of one modality.
        pairs: a paired test of every two systems.
        curves: metrics with missing modalities, and, of models on request, under corruptions.
        notes: what limits the comparison, for its readers.
        draws: bootstrap resamples of every interval.
        seed: of the resamples.
        verdict: sentences on whether fusing wins, by how much, on how many people, from which labels, and why.
        inputs: files and folders that were read, which `save` does not overwrite. Not part of a document.
    """

    title: str
    labels: tuple[str, ...]
    clips: int
    speakers: int | None
    systems: tuple[SystemMetrics, ...]
    unimodal: tuple[str, ...]
    pairs: tuple[PairedTest, ...]
    curves: tuple[RobustnessCurve, ...]
    notes: tuple[str, ...]
    draws: int
    seed: int
    verdict: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = field(default=(), repr=False)

    @cached_property
    def by_name(self) -> Mapping[str, SystemMetrics]:
        """The systems by name."""
        return {system.name: system for system in self.systems}

    def __getitem__(self, name: str) -> SystemMetrics:
        if name not in self.by_name:
            raise ArgumentError(expected_one_of("System", self.by_name, name))
        return self.by_name[name]

    def pair(self, first: str, second: str) -> PairedTest:
        """The paired test of two systems: the gain of ``second`` over ``first``, in whichever order they were tested.

        Raises:
            ArgumentError: if the two were not compared.
        """
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.first, pair.second) == (second, first):
                return _reverse(pair)
        known = [f"{pair.first} and {pair.second}" for pair in self.pairs]
        raise ArgumentError(expected_one_of("Pair", known, f"{first} and {second}"))

    @property
    def fused(self) -> tuple[str, ...]:
        """Systems of more than one modality."""
        return tuple(system.name for system in self.systems if system.name not in self.unimodal)

    @property
    def best_unimodal(self) -> str | None:
        """The single modality with the highest accuracy; None if there is none."""
        return max(self.unimodal, key=lambda name: self[name].accuracy.value, default=None)

    @property
    def best_fused(self) -> str | None:
        """The fused system with the highest accuracy on these clips; None if there is none."""
        return max(self.fused, key=lambda name: self[name].accuracy.value, default=None)

    def gain(self, name: str) -> PairedTest | None:
        """The paired test of a fused system against the best unimodal one; None for a unimodal one."""
        best = self.best_unimodal
        return None if best is None or name in self.unimodal else self.pair(best, name)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers, ready for JSON; a value that is not finite is None."""
        plain = {one.name: _plain(getattr(self, one.name)) for one in fields(self) if one.name != "inputs"}
        return {**plain, "systems": {system.name: _plain(system) for system in self.systems}}

    def to_json(self, indent: int | None = 2) -> str:
        """The same as `to_dict`, as a JSON text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_frame(self) -> pandas.DataFrame:
        """A table with a row per system: every metric with its limits, and the gain over the best unimodal system.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        from mmemo.comparison.export import frame

        return frame(self)

    def to_table(self, *, by_label: bool = False) -> RenderableType:
        """The tables that `mmemo compare` prints, for rich; they fit into 80 columns.

        Args:
            by_label: also show the recall of each label, and the groups, of the best system, as `mmemo evaluate` does.
        """
        from mmemo.comparison.terminal import render_terminal

        return render_terminal(self, by_label)

    def to_markdown(self) -> str:
        """The table of systems as Markdown."""
        from mmemo.comparison.export import markdown

        return markdown(self)

    def figures(self) -> dict[str, Figure]:
        """Matplotlib figures by name (extra ``report``): systems, gains, recalls, confusion, missing modalities …

        Raises:
            MissingExtraError: if matplotlib is not installed.
        """
        require_extra("A figure", "report", "matplotlib")
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
        from mmemo.comparison.export import save

        return save(self, Path(path))


def _reverse(pair: PairedTest) -> PairedTest:
    def negate(gain: Interval) -> Interval:
        return Interval(-gain.value, -gain.high, -gain.low)

    return PairedTest(
        pair.second,
        pair.first,
        negate(pair.gain),
        negate(pair.uar_gain),
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
    """A flat row per system; what does not exist is None."""
    table = []
    for system in comparison.systems:
        row: dict[str, Any] = {"system": system.name, "clips": comparison.clips, "coverage": system.coverage}
        for name in METRICS:
            row |= _limits(name, getattr(system, name))
        for label, recall in system.recalls.items():
            row |= _limits(f"recall {label}", recall)
        for dimension, ccc in system.concordance.items():
            row |= _limits(f"ccc {dimension}", ccc)
        pair = comparison.gain(system.name)
        row |= {"gain over": None if pair is None else pair.first}
        row |= _limits("gain", None if pair is None else pair.gain)
        row |= {
            "p bootstrap corrected": None if pair is None else pair.bootstrap_corrected,
            "p mcnemar corrected": None if pair is None else pair.mcnemar_corrected,
        }
        table.append(row)
    return table


def _limits(name: str, interval: Interval | None) -> dict[str, float | None]:
    values = (None, None, None) if interval is None else (interval.value, interval.low, interval.high)
    known = [None if value is None or not math.isfinite(value) else value for value in values]
    return dict(zip((name, f"{name} low", f"{name} high"), known, strict=True))
