"""What an analysis found: plain dataclasses, and their way to dictionaries, tables and files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmemo.errors import ArgumentError, MissingExtraError
from mmemo.evidence import Seconds
from mmemo.micro.expression import MicroExpression
from mmemo.notes import Note
from mmemo.speech.prosody import Prosody
from mmemo.speech.transcript import Transcript
from mmemo.trails import Box, Trail

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

Scores = dict[str, float]


def _validate(scores: Mapping[str, float]) -> None:
    if not scores or abs(sum(scores.values()) - 1) > 1e-3 or min(scores.values()) < -1e-6:
        raise ArgumentError(f"Scores must be shares that sum to 1, got {dict(scores)}.")


def _best(scores: Mapping[str, float]) -> str:
    return max(scores, key=lambda label: scores[label])


@dataclass(frozen=True)
class Affect:
    """Valence (unpleasant to pleasant), arousal (calm to excited) and dominance (controlled to in control).

    Each goes from -1 to 1, with 0 in the middle of the scale that raters used.

    Raises:
        ArgumentError: if a value lies outside.
    """

    valence: float
    arousal: float
    dominance: float

    def __post_init__(self) -> None:
        if not all(-1 <= value <= 1 for value in (self.valence, self.arousal, self.dominance)):
            raise ArgumentError(f"Affect: expected values from -1 to 1, got {self}.")


@dataclass(frozen=True)
class ModalityScores:
    """What one modality says.

    Attributes:
        scores: share of each label, summing to 1.
        coverage: share of the time with evidence, 0 to 1.
        weight: its share in the fused scores, 0 to 1; None where the fusion head has no such share.
        affect: valence, arousal and dominance, where its encoder tells them: that of the words does.
    """

    scores: Scores
    coverage: float
    weight: float | None = None
    affect: Affect | None = None

    def __post_init__(self) -> None:
        _validate(self.scores)

    @property
    def label(self) -> str:
        """The label with the highest score."""
        return _best(self.scores)


@dataclass(frozen=True)
class Segment:
    """One window: ``start`` and ``end`` in seconds, the fused scores, and what each modality says.

    Windows overlap. A window without any evidence is no segment, so the gaps show.
    """

    start: Seconds
    end: Seconds
    scores: Scores
    modalities: dict[str, ModalityScores]

    def __post_init__(self) -> None:
        _validate(self.scores)

    @property
    def label(self) -> str:
        """The label with the highest score."""
        return _best(self.scores)


@dataclass(frozen=True)
class Person:
    """One face track. In windows in which this person speaks, voice and words count for them; else the face alone.

    Attributes:
        id: stable within the result, from 0 in order of appearance.
        start: seconds at which it is first seen; ``end`` at which it is last seen.
        coverage: share of the clip in which it was found, 0 to 1.
        box: mean position: left, top, right, bottom as shares of the picture's width and height.
        scores: fused of ``modalities``.
        segments: the windows in which it was found; while it speaks, voice and text are among their modalities.
        speaking: share of the windows with a voice, of those in which it was found, that are theirs; 0 where nobody in
            view moves the mouth with the sound, or it can't be told; None where there was no voice.
        modalities: what the face says, and the voice and the words while they speak.
        trails: where its face was, one trail for each time it came.
    """

    id: int
    start: Seconds
    end: Seconds
    coverage: float
    box: Box
    scores: Scores
    segments: tuple[Segment, ...]
    trails: tuple[Trail, ...] = ()
    speaking: float | None = None
    modalities: dict[str, ModalityScores] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _validate(self.scores)

    @property
    def label(self) -> str:
        """The label with the highest score."""
        return _best(self.scores)

    def box_at(self, time: Seconds) -> Box | None:
        """Where its face is at a time, as shares of the picture's width and height; None while it is not seen."""
        if not self.start - 1 <= time <= self.end + 1:  # a long film has many people, most of them elsewhere
            return None
        boxes = (trail.at(time) for trail in self.trails)
        return next((box for box in boxes if box is not None), None)


@dataclass(frozen=True)
class EmotionResult:
    """The analysis of one clip. Scores tell the apparent expression, not what a person feels.

    Attributes:
        source: the file, or None for text alone.
        duration: seconds; 0 for a still image and for text alone.
        scores: fused scores of the whole clip, summing to 1.
        modalities: the same by modality; an absent modality has no key.
        segments: windows over time, in order.
        people: face tracks in order of appearance.
        transcript: the words and where they came from, or None.
        notes: what a reader must know.
        model: name of the model.
        start: seconds in the file at which the clip begins; all other times count from the start of the file.
        speech: spans in which somebody speaks, start and end in seconds; None where nobody listened.
        micro_expressions: in order of their onset; None unless they were looked for. Their persons are numbered as
            they were followed at the full frame rate, mostly but not always as in ``people``.
        prosody: pitch, loudness, speaking rate and pauses; None unless it was asked for and somebody speaks.
        inputs: what was read besides ``source``: sound, subtitles, the model's folder. `save` overwrites none of them,
            nor the source and its subtitles. Not part of a document.
    """

    source: str | None
    duration: Seconds
    scores: Scores
    modalities: dict[str, ModalityScores]
    segments: tuple[Segment, ...] = ()
    people: tuple[Person, ...] = ()
    transcript: Transcript | None = None
    notes: tuple[Note, ...] = ()
    model: str = field(default="default")
    start: Seconds = 0.0
    speech: tuple[tuple[Seconds, Seconds], ...] | None = None
    micro_expressions: tuple[MicroExpression, ...] | None = None
    prosody: Prosody | None = None
    inputs: tuple[Path, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        _validate(self.scores)

    @property
    def label(self) -> str:
        """The label with the highest fused score."""
        return _best(self.scores)

    @property
    def affect(self) -> Affect | None:
        """Valence, arousal and dominance of the clip by the modality that tells them, the words; None without it."""
        return next((said.affect for said in self.modalities.values() if said.affect is not None), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers, ready for JSON; `from_dict` is the way back."""
        from mmemo.report.document import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> EmotionResult:
        """The result that `to_dict` made a document of, but for the rounding of its figures.

        Raises:
            ArgumentError: if the document is no result.
        """
        from mmemo.report.document import from_dict

        return from_dict(document)

    @classmethod
    def load(cls, path: str | Path) -> EmotionResult:
        """Read a ``.json`` file that `save` wrote.

        Raises:
            ArgumentError: if the file can't be read, or holds no result.
        """
        from mmemo.report.document import load

        return load(Path(path))

    def to_json(self, indent: int | None = 2) -> str:
        """The same as `to_dict`, as a JSON text; a list of numbers stands on one line."""
        text = json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)
        # Strings hold no line breaks in JSON, so a bracket followed by one is always a list.
        return re.sub(
            r"\[\n\s+((?:-?\d|null)[^\[\]{}\"]*?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text
        )

    def to_frame(self) -> pandas.DataFrame:
        """One row for the whole clip and one for each window, fused and by modality and person (extra ``export``).

        Columns: ``start``, ``end``, ``what`` ("clip", "segment", "person" or "micro"), ``modality`` ("fused", "face"
        …), ``person`` (id or missing), ``coverage``, ``label``, and one of each label's score; a micro-expression has
        a label of its own classes and no scores.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        from mmemo.report.tables import frame

        return frame(self)

    def plot(self, *, faces: bool = True) -> Figure:
        """A picture of the course over time (extra ``report``): fused, each modality, sound with speech, words.

        Scores of a still image, or of text alone, are bars. The sound and the small faces are read again from the
        file the result came from; where that is gone the picture says so. Gaps are times without evidence.

        Args:
            faces: False leaves people's faces out.

        Returns:
            A `matplotlib.figure.Figure` of its own, which notebooks show; ``figure.savefig("out.png")`` writes it.

        Raises:
            MissingExtraError: if matplotlib is not installed.
        """
        from mmemo.report.needs import need

        need("A plot", "report", "matplotlib")
        from mmemo.report.plot import plot

        return plot(self, faces=faces)

    def save_video(
        self,
        path: str | Path,
        *,
        anonymize: Literal["blur", "mask"] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Path:
        """Write the analyzed video with what was found drawn into it (extra ``report``).

        Faces get a box with their id, label and bars; words are subtitles; a strip below shows the fused scores of the
        whole clip. Frames keep their times and the original sound stays in step. H.264, as ``.mp4`` or ``.mkv``.

        Args:
            anonymize: "blur" or "mask" hides every face, those without a result too. The voice stays as it is.
            progress: is called with the share done, 0 to 1.

        Raises:
            MediaError: if the analyzed file is not there any more.
            ArgumentError: if it is no video, ``path`` can't be written, or an argument is not one of those above.
            MissingExtraError: if matplotlib, whose fonts are used, is not installed.
        """
        from mmemo.report.needs import need

        need("An annotated video", "report", "matplotlib")
        from mmemo.report.video import save_video

        return save_video(self, Path(path), anonymize, progress)

    def _repr_html_(self) -> str:
        """What notebooks show: the verdict, the timeline and the table by modality."""
        from mmemo.report.page import fragment

        return fragment(self)

    def _repr_png_(self) -> bytes | None:
        """What a front end without HTML shows: the plot, or nothing where matplotlib is not installed."""
        try:
            picture: bytes = self.plot()._repr_png_()  # type: ignore[attr-defined]
        except MissingExtraError:
            return None
        return picture

    def save(self, path: str | Path, *, anonymize: Literal["blur", "mask"] | None = None) -> Path:
        """Write a file, whole or not at all; the suffix of ``path`` chooses the format.

        - ``.json``: everything, to be read by `load`; ``.jsonl``, ``.csv``, ``.parquet``: the rows of `to_frame`;
        - ``.html``: the report; ``.png``, ``.svg``, ``.pdf``: the `plot`; ``.mp4``, ``.mkv``: as `save_video`;
        - ``.srt``, ``.vtt``: subtitles with the emotion; ``.eaf``: tiers for ELAN; ``.rttm``: spans of speech.

        Args:
            anonymize: "blur" or "mask" hides every face of a video, and leaves the faces out of a report or plot.

        Raises:
            ArgumentError: for another suffix, a format that the result has nothing for, or a file that the result was
                made from.
            MissingExtraError: if the format needs packages that are not installed.
        """
        from mmemo.report.files import save

        return save(self, Path(path), anonymize)
