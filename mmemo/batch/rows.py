"""What is kept of each clip of a batch, whether it could be analyzed or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmemo.batch.plan import Task
from mmemo.evidence import Seconds
from mmemo.report.tables import AFFECT
from mmemo.result import Affect, EmotionResult, ModalityScores, Scores

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Row:
    """One clip: its scores, or its error.

    Attributes:
        path: as it was given; None for text alone.
        id: in the manifest; empty without one.
        annotated: the label that the manifest gives it, or None; ``speaker`` likewise.
        start: seconds in the file at which the clip begins; ``duration`` in seconds, None if it was not analyzed.
        scores: fused scores of the whole clip; empty if it was not analyzed.
        modalities: the same by modality; an absent modality has no key.
        people: how many face tracks there are.
        notes: codes of the result's notes.
        error: what went wrong, or None: the name of the error and its message, on one line.
    """

    path: str | None = None
    id: str = ""
    annotated: str | None = None
    speaker: str | None = None
    start: Seconds = 0.0
    duration: Seconds | None = None
    scores: Scores = field(default_factory=dict)
    modalities: Mapping[str, ModalityScores] = field(default_factory=dict)
    people: int | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None

    @property
    def label(self) -> str | None:
        """The label with the highest fused score; None if the clip was not analyzed."""
        return max(self.scores, key=lambda label: self.scores[label], default=None)

    @classmethod
    def of(cls, result: EmotionResult) -> Row:
        """What is kept of a result; `named` adds what the plan knows of the clip."""
        return cls(
            start=result.start,
            duration=result.duration,
            scores=dict(result.scores),
            modalities=dict(result.modalities),
            people=len(result.people),
            notes=tuple(dict.fromkeys(note.code for note in result.notes)),
        )

    @classmethod
    def failed(cls, error: BaseException) -> Row:
        """The row of a clip that could not be analyzed."""
        return cls(error=f"{type(error).__name__}: {' '.join(str(error).split())}")

    def named(self, task: Task) -> Row:
        """With what the plan knows of the clip."""
        clip = task.clip
        return replace(self, path=task.path, id=clip.id, annotated=clip.label, speaker=clip.speaker, start=clip.start)

    def to_json(self) -> str:
        """One line; `from_json` is the way back."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Row:
        """The inverse of `to_json`."""
        values: dict[str, Any] = json.loads(text)
        said = {
            name: ModalityScores(**scores | {"affect": Affect(**scores["affect"]) if scores.get("affect") else None})
            for name, scores in values["modalities"].items()
        }
        return cls(**values | {"modalities": said, "notes": tuple(values["notes"])})


@dataclass(frozen=True)
class Batch:
    """The rows of many clips, in the order of the plan.

    Attributes:
        modalities: those that were looked for; each has its columns, whether a clip has it or not.
        model: its name, or the folder it came from.
    """

    rows: tuple[Row, ...]
    modalities: tuple[str, ...]
    model: str = "default"

    @property
    def failed(self) -> tuple[Row, ...]:
        """Those that have an error instead of scores."""
        return tuple(row for row in self.rows if row.error is not None)

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the scores, in the model's order; empty if no clip could be analyzed."""
        return tuple(next((row.scores for row in self.rows if row.scores), ()))

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the table; see `records`."""
        first = ("path", "id", "annotated", "speaker", "start", "duration", "label", *self.labels)
        felt = {m for row in self.rows for m, said in row.modalities.items() if said.affect is not None}
        each = (
            f"{m}.{name}"
            for m in self.modalities
            for name in ("label", "coverage", "weight", *self.labels, *(AFFECT if m in felt else ()))
        )
        return (*first, *each, "people", "notes", "error")

    def records(self) -> Iterator[dict[str, Any]]:
        """A flat row for each clip; what is not known is None.

        Columns: ``path``, ``id``, ``annotated``, ``speaker``, ``start``, ``duration``, ``label``, one of each label's
        fused score; for each modality ``face.label``, ``face.coverage``, ``face.weight`` and ``face.`` with each label;
        of a modality that tells them ``text.valence``, ``text.arousal``, ``text.dominance``; ``people``, ``notes``
        (codes with spaces between them), ``error``.
        """
        columns = self.columns
        for row in self.rows:
            values: dict[str, Any] = {**row.scores, "label": row.label, "notes": " ".join(row.notes)}
            for name in ("path", "annotated", "speaker", "start", "duration", "people", "error"):
                values[name] = getattr(row, name)
            values["id"] = row.id or None
            for modality, said in row.modalities.items():
                own = {"label": said.label, "coverage": said.coverage, "weight": said.weight, **said.scores}
                own |= asdict(said.affect) if said.affect else {}
                values |= {f"{modality}.{name}": value for name, value in own.items()}
            yield {column: values.get(column) for column in columns}

    def to_frame(self) -> pandas.DataFrame:
        """The `records` as a pandas table (extra ``export``).

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        from mmemo.batch.table import frame

        return frame(self)

    def save(self, path: str | Path) -> Path:
        """Write a table, ``.parquet``, ``.csv`` or ``.jsonl``, or the summary page, ``.html``; whole or not at all.

        Raises:
            ArgumentError: for another suffix, or if the file can't be written, or is one of the clips.
            MissingExtraError: if the format needs packages that are not installed.
        """
        from mmemo.batch.table import save

        return save(self, Path(path))
