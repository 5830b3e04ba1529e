"""What a live session gives for every picture, every half second of voice, and every line of words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from mmemo.affect import Affect
from mmemo.document import to_document
from mmemo.evidence import Seconds
from mmemo.notes import Note
from mmemo.pipeline.live_faces import LivePerson
from mmemo.result import ModalityScores, Scores
from mmemo.speech.line import Line

Kind = Literal["face", "voice", "words"]


@dataclass(frozen=True)
class Dropped:
    """What came too late to be used, so far.

    Attributes:
        frames: pictures.
        sound: seconds of sound.
        words: pieces of speech that were not recognized.
        windows: of the kept result.
        recorded: pictures and blocks of sound that were not written to the recording.
        updates: that the consumer did not take in time.
    """

    frames: int = 0
    sound: Seconds = 0.0
    words: int = 0
    windows: int = 0
    recorded: int = 0
    updates: int = 0


@dataclass(frozen=True)
class LiveUpdate:
    """Current scores of a live source: of the face over its last second, of the voice over its last window.

    Attributes:
        time: of the picture or sound that brought it, on the source's clock, in seconds.
        kind: what is new: "face", "voice" or "words".
        label: the label with the highest fused score; None while there are none.
        scores: fused scores of ``modalities``, summing to 1; None while there is no face, no voice and no words.
        affect: valence, arousal and dominance, as those of a `mmemo.result.Segment`.
        modalities: current scores by modality; of several faces their mean by prominence. Words count for six seconds.
        people: faces in view, the most prominent first, each with its own scores.
        speaking: whether there is a voice right now; None before the first sound.
        words: lines recognized in the last half minute.
        dropped: what was dropped so far.
        latency: seconds from the arrival of the picture or sound to this update.
        notes: remarks so far.
    """

    time: Seconds
    kind: Kind
    label: str | None = field(init=False)
    scores: Scores | None
    affect: Affect | None
    modalities: dict[str, ModalityScores]
    people: tuple[LivePerson, ...]
    speaking: bool | None
    words: tuple[Line, ...]
    dropped: Dropped
    latency: Seconds
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        label = max(self.scores, key=self.scores.__getitem__) if self.scores else None
        object.__setattr__(self, "label", label)

    def to_dict(self) -> dict[str, Any]:
        """The update as dictionaries, lists and numbers, ready for JSON."""
        document: dict[str, Any] = to_document(self)
        return document
