"""The answer of the HTTP endpoint, described for OpenAPI: the same document as `EmotionResult.to_dict`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Scores = Annotated[dict[str, Share], Field(description="Share of each label; they sum to 1.")]
Span = Annotated[list[float], Field(min_length=2, max_length=2, description="Start and end in seconds.")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


Degree = Annotated[float, Field(ge=-1, le=1)]


class AffectAnswer(_Strict):
    """What the words tell besides the label."""

    valence: Degree = Field(description="Unpleasant to pleasant.")
    arousal: Degree = Field(description="Calm to excited.")
    dominance: Degree = Field(description="Controlled to in control.")


class ModalityAnswer(_Strict):
    """What one modality says."""

    label: str
    scores: Scores
    coverage: Share = Field(description="Share of the time with evidence.")
    weight: Share | None = Field(description="Share in the fused scores.")
    affect: AffectAnswer | None = Field(default=None, description="Left out where the modality does not tell it.")


class SegmentAnswer(_Strict):
    """One window; a window without any evidence is left out."""

    start: float = Field(description="Seconds.")
    end: float
    label: str
    scores: Scores
    modalities: dict[str, ModalityAnswer]


class BoxTrackAnswer(_Strict):
    """Piecewise-linear track of a face's bounding box."""

    times: list[float] = Field(description="Seconds.")
    boxes: list[list[float]] = Field(description="Left, top, right, bottom at each time.")


class PersonAnswer(_Strict):
    """One face track; voice and words count for it while it speaks, else its scores are those of the face alone."""

    id: int
    start: float
    end: float
    label: str
    scores: Scores
    coverage: Share
    box: list[float] = Field(description="Left, top, right, bottom as shares of the picture's width and height.")
    speaking: Share | None = Field(description="Share of the windows with a voice that are this person's.")
    modalities: dict[str, ModalityAnswer]
    segments: list[SegmentAnswer]
    box_tracks: list[BoxTrackAnswer] = Field(description="One for each stretch of time in which the face was seen.")


class WordAnswer(_Strict):
    """One timed word."""

    start: float
    end: float
    text: str
    confidence: Share


class LineAnswer(_Strict):
    """One line of the words."""

    start: float
    end: float
    text: str
    confidence: Share
    speaker: str | None = Field(default=None, description="Left out where it is not known.")
    words: list[WordAnswer] = Field(default=[], description="Left out where words have no times.")


class TranscriptAnswer(_Strict):
    """The words, and where they came from."""

    source: str
    detail: str
    language: str | None
    lines: list[LineAnswer]


class NoteAnswer(_Strict):
    """What must be known before the figures are believed."""

    code: str
    message: str


class Answer(_Strict):
    """The analysis of one clip: the expression that shows, not what a person feels."""

    source: str | None = Field(description="Name of the uploaded file; null for words alone.")
    model: str
    start: float
    duration: float = Field(description="Seconds; 0 for a picture and for words alone.")
    label: str = Field(description="The label with the highest fused score.")
    scores: Scores
    affect: AffectAnswer | None = Field(description="Of the words; null without them.")
    modalities: dict[str, ModalityAnswer] = Field(description="By modality; one that is absent has no key.")
    segments: list[SegmentAnswer]
    people: list[PersonAnswer]
    speech: list[Span] | None
    transcript: TranscriptAnswer | None
    micro_expressions: None = Field(default=None, description="Always null: the app does not look for them.")
    prosody: None = Field(default=None, description="Always null: the app does not measure it.")
    notes: list[NoteAnswer]


class Refusal(_Strict):
    """Why there is no answer."""

    error: str = Field(description="The kind, such as MediaError.")
    message: str = Field(description="What happened, why, and what to do.")
