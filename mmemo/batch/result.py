"""The result of many clips: a row each, in the order of the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmemo.batch.row import Row
from mmemo.report.export.cells import printable
from mmemo.report.export.tables import AFFECT, VOCAL_BURST

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Batch:
    """Results of many clips, a row each, in the order of the plan.

    Attributes:
        modalities: those that were analyzed; each has its columns, whether a clip has it or not.
        model: its name, or the folder it came from.
        passed_over: how many files in the folders and patterns are no media by their names, by suffix.
    """

    rows: tuple[Row, ...]
    modalities: tuple[str, ...]
    model: str = "default"
    passed_over: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Row, ...]:
        """Rows that have an error instead of scores."""
        return tuple(row for row in self.rows if row.error is not None)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the scores, in the model's order; empty if no clip could be analyzed."""
        return tuple(next((row.scores for row in self.rows if row.scores), ()))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table; see `records`."""
        felt = {m for row in self.rows for m, scores in row.modalities.items() if scores.affect is not None}
        burst = {m for row in self.rows for m, scores in row.modalities.items() if scores.vocal_burst is not None}
        fused = (*self.labels, *(AFFECT if felt else ()))
        first = ("path", "id", "annotated", "speaker", "start", "duration", "label", *fused)
        each = (
            f"{m}.{name}"
            for m in self.modalities
            for name in (
                *("label", "coverage", "weight", *self.labels),
                *(AFFECT if m in felt else ()),
                *([VOCAL_BURST] if m in burst else []),
            )
        )
        return (*first, *each, "people", "notes", "error")

    def records(self) -> Iterator[dict[str, Any]]:
        r"""A flat row for each clip; what is not known is None.

        Columns: ``path``, ``id``, ``annotated``, ``speaker``, ``start``, ``duration``, ``label``, one of each label's
        fused score, and where there is affect ``valence``, ``arousal``, ``dominance``, ``derived``; for each modality
        ``face.label``, ``face.coverage``, ``face.weight``, and ``face.`` with each label and with affect;
        ``voice.vocal_burst`` where it is predicted; ``people``, ``notes`` (codes with spaces between them), ``error``.
        In a file name, a byte that is no text is written ``\udce9``.
        """
        columns = self.columns
        for row in self.rows:
            values: dict[str, Any] = {**row.scores, "label": row.label, "notes": " ".join(row.notes)}
            values |= asdict(row.affect) if row.affect else {}
            for name in ("path", "annotated", "speaker", "start", "duration", "people", "error"):
                values[name] = getattr(row, name)
            values["id"] = row.id or None
            for modality, one in row.modalities.items():
                own = {"label": one.label, "coverage": one.coverage, "weight": one.weight, **one.scores}
                own |= asdict(one.affect) if one.affect else {}
                own[VOCAL_BURST] = one.vocal_burst
                values |= {f"{modality}.{name}": value for name, value in own.items()}
            cells = {column: values.get(column) for column in columns}
            yield {column: printable(cell) if isinstance(cell, str) else cell for column, cell in cells.items()}

    def to_frame(self) -> pandas.DataFrame:
        """The `records` as a pandas table (extra ``export``).

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        from mmemo.batch.export import frame

        return frame(self)

    def save(self, path: str | Path, *, raw_cells: bool = False) -> Path:
        """Write a table, ``.parquet``, ``.csv`` or ``.jsonl``, or the summary page, ``.html``; whole or not at all.

        Args:
            raw_cells: keep text in a ``.csv`` that a spreadsheet may take for a formula (``=…``, ``+…``, ``-…``,
                ``@…``) as it is; by default ``'`` goes before it.

        Raises:
            ArgumentError: for another suffix, or if the file can't be written, or is one of the clips.
            MissingExtraError: if the format needs packages that are not installed.
        """
        from mmemo.batch.export import save

        return save(self, Path(path), raw_cells=raw_cells)
