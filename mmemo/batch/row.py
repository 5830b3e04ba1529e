"""One row of a batch: the scores of a clip, or the error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mmemo.affect import Affect
from mmemo.batch.plan import Task
from mmemo.evidence import Seconds
from mmemo.result import EmotionResult, ModalityScores, Scores, fused_affect


@dataclass(frozen=True)
class Row:
    """Scores of one clip, or its error.

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

    @property
    def affect(self) -> Affect | None:
        """Valence, arousal and dominance of the modalities fused; None where none has any."""
        return fused_affect(self.modalities)

    @classmethod
    def of(cls, result: EmotionResult) -> Row:
        """The row of a result; `named` adds the fields that come from the clip."""
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
        """The row with path, id, label, speaker and start of the task's clip."""
        clip = task.clip
        return replace(self, path=task.path, id=clip.id, annotated=clip.label, speaker=clip.speaker, start=clip.start)

    def to_json(self) -> str:
        """One line; `from_json` is the way back."""
        return json.dumps(asdict(self), allow_nan=False)  # in ASCII: an error may name a file whose name is no text

    @classmethod
    def from_json(cls, text: str) -> Row:
        """The inverse of `to_json`."""
        values: dict[str, Any] = json.loads(text)
        modalities = {
            name: ModalityScores(
                scores["scores"],
                scores["coverage"],
                scores["weight"],
                Affect(**scores["affect"]) if scores.get("affect") else None,
                scores.get("trust"),
                scores.get("vocal_burst"),
                scores.get("arousal"),
            )
            for name, scores in values["modalities"].items()
        }
        return cls(**values | {"modalities": modalities, "notes": tuple(values["notes"])})
