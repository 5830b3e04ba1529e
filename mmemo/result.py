"""Result of an analysis: dataclasses that convert to and from JSON documents, and write tables and files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from mmemo import __version__
from mmemo.affect import Affect, Degree, derive_affect, mean_affect
from mmemo.box_tracks import Box, BoxTrack
from mmemo.document import (
    NOT_IN_DOCUMENT,
    OMIT_DEFAULT,
    Score,
    Share,
    from_document,
    load_document,
    schemas,
    to_document,
)
from mmemo.errors import ArgumentError, MissingExtraError, require_extra
from mmemo.evidence import Channel, Seconds
from mmemo.face_frames import FaceFrames
from mmemo.micro_expression import MicroExpression
from mmemo.notes import Note
from mmemo.speech.prosody import Prosody
from mmemo.speech.transcript import Transcript

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

FORMAT: Final = 1
"""Version of the JSON document. It grows when a reader must change; a new key alone is no new version."""
Scores = dict[str, Score]


class _Scored:
    """A dataclass with scores that sum to 1, and the label with the highest one."""

    scores: Scores
    label: str

    def __post_init__(self) -> None:
        values = self.scores.values()
        if not (values and abs(sum(values) - 1) <= 1e-3 and min(values) >= -1e-6):
            raise ArgumentError(
                f"{type(self).__name__}.scores: expected shares that sum to 1, got {dict(self.scores)}."
            )
        object.__setattr__(self, "label", max(self.scores, key=self.scores.__getitem__))

    def _verdict(self) -> str:
        return f"{self.label} {self.scores[self.label]:.0%}"


@dataclass(frozen=True)
class ModalityScores(_Scored):
    """Scores of one modality.

    Attributes:
        label: the label with the highest score.
        scores: share of each label, summing to 1.
        coverage: share of the time with evidence, 0 to 1.
        weight: share in the fused scores, 0 to 1; None where the fusion head has no such share.
        affect: valence, arousal and dominance: predicted, where the encoder does so, as that of the text; otherwise
            derived from the scores, see `mmemo.affect.derive_affect`; None where a label has no place among them.
        trust: confidence of the recognized words, 0 to 1; None where it is no probability.
        vocal_burst: probability that the voice is a vocal burst, a sound without words such as a laugh, a cry or a
            sigh, 0 to 1; None where the encoder does not predict it.
        arousal: that of ``affect`` where the encoder predicts that alone, as that of the voice does; else None.

    Raises:
        ArgumentError: if the scores are no shares that sum to 1.

    >>> ModalityScores({"happiness": 0.75, "anger": 0.25}, coverage=0.9, weight=0.6)
    <ModalityScores happiness 75%, coverage 90%, weight 60%>
    """

    label: str = field(init=False)
    scores: Scores
    coverage: Share
    weight: Share | None = None
    affect: Affect | None = field(default=None, metadata=OMIT_DEFAULT)
    trust: Share | None = field(default=None, metadata=OMIT_DEFAULT)
    vocal_burst: Share | None = field(default=None, metadata=OMIT_DEFAULT)
    arousal: Degree | None = field(default=None, metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.affect is None or self.affect.derived:
            affect = derive_affect(self.scores)
            if affect is not None and self.arousal is not None:
                affect = replace(affect, arousal=self.arousal)
            object.__setattr__(self, "affect", affect)

    def __repr__(self) -> str:
        weight = "" if self.weight is None else f", weight {self.weight:.0%}"
        return f"<ModalityScores {self._verdict()}, coverage {self.coverage:.0%}{weight}>"

    @property
    def is_vocal_burst(self) -> bool:
        """Whether it is more probably a vocal burst than speech."""
        return (self.vocal_burst or 0.0) > 0.5


def fused_affect(modalities: Mapping[str, ModalityScores]) -> Affect | None:
    """Mean of the affect of modalities by their weight in the fused scores, or by coverage where there is no weight.

    Modalities without affect do not count; None where none has any.
    """
    parts = [scores for scores in modalities.values() if scores.affect is not None]
    if not parts:
        return None
    weights = [scores.weight for scores in parts if scores.weight is not None]
    shares = weights if len(weights) == len(parts) else [scores.coverage for scores in parts]
    return mean_affect([scores.affect for scores in parts if scores.affect is not None], shares)


@dataclass(frozen=True)
class Segment(_Scored):
    """One window with its fused scores and those of each modality. Windows overlap; one without evidence is left out.

    Attributes:
        start: seconds from the start of the file.
        end: seconds from the start of the file.
        label: the label with the highest fused score.
        scores: fused scores, summing to 1.
        affect: that of the modalities fused, see `fused_affect`; None where none has any.
        modalities: scores by modality; an absent modality has no key.
        speaker: of a window of the clip, id of the person in view who speaks, as far as that is known; None otherwise.

    Raises:
        ArgumentError: if the scores are no shares that sum to 1.
    """

    start: Seconds
    end: Seconds
    label: str = field(init=False)
    scores: Scores
    affect: Affect | None = field(init=False, default=None, metadata=OMIT_DEFAULT)
    modalities: dict[str, ModalityScores]
    speaker: int | None = field(default=None, metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "affect", fused_affect(self.modalities))

    def __repr__(self) -> str:
        return f"<Segment {self.start:.1f} to {self.end:.1f} s: {self._verdict()}{_labels(self.modalities)}>"


def slots(segments: Sequence[Segment]) -> list[tuple[Seconds, Seconds]]:
    """The time that belongs to each window, start and end: what is nearest to its middle, as windows overlap."""
    middles = [(segment.start + segment.end) / 2 for segment in segments]
    slots = []
    for place, segment in enumerate(segments):
        start, end = segment.start, segment.end
        if place and segments[place - 1].end > segment.start:
            start = (middles[place - 1] + middles[place]) / 2
        if place + 1 < len(segments) and segments[place + 1].start < segment.end:
            end = (middles[place] + middles[place + 1]) / 2
        slots.append((start, end))
    return slots


def vocal_bursts(segments: Sequence[Segment]) -> tuple[tuple[Seconds, Seconds], ...]:
    """Spans of the windows whose voice is a vocal burst, start and end; those of neighbors are joined."""
    spans: list[tuple[Seconds, Seconds]] = []
    for segment, (start, end) in zip(segments, slots(segments), strict=True):
        if not any(scores.is_vocal_burst for scores in segment.modalities.values()):
            continue
        if spans and abs(spans[-1][1] - start) < 1e-6:
            start, _ = spans.pop()
        spans.append((start, end))
    return tuple(spans)


@dataclass(frozen=True)
class Person(_Scored):
    """One face track. In windows in which this person speaks, voice and text count for them; else the face alone.

    Attributes:
        id: stable within the result, from 0 in order of appearance.
        start: seconds at which the face is first seen.
        end: seconds at which it is last seen.
        coverage: share of the clip in which the face is detected, 0 to 1.
        box: mean position: left, top, right, bottom as shares of the frame's width and height.
        label: the label with the highest score.
        scores: fused scores of ``modalities``.
        affect: that of ``modalities`` fused, see `fused_affect`; None where none has any.
        speaking: share of the windows with a voice, of those in which the face is detected, in which this person
            speaks; 0 where no visible mouth moves with the sound; None where there is no voice.
        modalities: scores of the face, and of the voice and the text while they speak.
        segments: the windows in which the face is detected.
        box_tracks: position over time, one track for each stretch in which the face is visible.
        confidence: how sure it is that this is a face, 0 to 1: the mean over its frames of the detector's score times
            the landmark model's presence. Real faces have 0.8 to 0.95, from the side 0.65. None if not recorded.
        name: that of the speaker in the transcript whose lines they speak, where that is clear; None otherwise.

    Raises:
        ArgumentError: if the scores are no shares that sum to 1.
    """

    id: int
    start: Seconds
    end: Seconds
    coverage: Share
    box: Box
    label: str = field(init=False)
    scores: Scores
    affect: Affect | None = field(init=False, default=None, metadata=OMIT_DEFAULT)
    segments: tuple[Segment, ...]
    box_tracks: tuple[BoxTrack, ...] = ()
    speaking: Share | None = None
    modalities: dict[str, ModalityScores] = field(default_factory=dict)
    confidence: Share | None = field(default=None, metadata=OMIT_DEFAULT)
    name: str | None = field(default=None, metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "affect", fused_affect(self.modalities))

    def __repr__(self) -> str:
        span = f"{self.start:.1f} to {self.end:.1f} s"
        named = "" if self.name is None else f" {self.name!r}"
        return (
            f"<Person {self.id}{named}, {span}: {self._verdict()}{_labels(self.modalities)}, seen {self.coverage:.0%}>"
        )

    def box_at(self, time: Seconds) -> Box | None:
        """The face's box at a time, as shares of the frame's width and height; None while the face is not visible."""
        if not self.start - 1 <= time <= self.end + 1:  # a long film has many people, most of them elsewhere
            return None
        boxes = (track.at(time) for track in self.box_tracks)
        return next((box for box in boxes if box is not None), None)


@dataclass(frozen=True)
class AnalysisSettings:
    """Settings of an analysis, as far as they change its figures.

    Attributes:
        window: length of a window in seconds.
        hop: seconds from one window's start to the next one's.
        modalities: those that were looked for.
        prior: shares of the labels under which the scores are given: "balanced", "natural" or shares; None if that was
            not recorded.
        baseline: whose baseline was taken off the scores: "person", "place" or "auto"; None without.
        adapted: whether a correction learned from labeled clips was applied.
        people: how many there are, where that was given; None otherwise.
        max_faces: the most faces at once, where that was given; None otherwise.
        channel: of the sound: "mix" of all, or "left" or "right" alone.
        every_frame: whether faces were tracked in every frame of the file, not in at most 15 a second.
        audio_track: number of the sound track that was used, of several; None otherwise.
    """

    window: Seconds
    hop: Seconds
    modalities: tuple[str, ...]
    prior: str | None = None
    baseline: str | None = None
    adapted: bool = field(default=False, metadata=OMIT_DEFAULT)
    people: int | None = field(default=None, metadata=OMIT_DEFAULT)
    max_faces: int | None = field(default=None, metadata=OMIT_DEFAULT)
    channel: Channel = field(default="mix", metadata=OMIT_DEFAULT)
    every_frame: bool = field(default=False, metadata=OMIT_DEFAULT)
    audio_track: int | None = field(default=None, metadata=OMIT_DEFAULT)


@dataclass(frozen=True)
class EmotionResult(_Scored):
    """Result of the analysis of one clip. Scores rate the apparent expression, not what a person feels.

    Attributes:
        format: version of the JSON document, see `json_schema`.
        mmemo: version of mmemo that made it; None if that was not recorded.
        source: the file, or the name of what was in memory, such as ``<picture 112x112>``; None for text alone.
        model: name of the model.
        weights: SHA-256 of the model's weights by part, as far as they are known.
        settings: those of the analysis; None if they were not recorded.
        start: seconds in the file at which the clip begins; all other times count from the start of the file.
        duration: seconds; 0 for a still image and for text alone.
        label: the label with the highest fused score.
        scores: fused scores of the whole clip, summing to 1.
        affect: valence, arousal and dominance of the modalities fused, see `fused_affect`; None where none has any.
        modalities: scores of the whole clip by modality; an absent modality has no key.
        segments: windows over time, in order.
        people: face tracks in order of appearance.
        speech: spans of speech activity, start and end in seconds; None where it was not looked for.
        transcript: the words and their source, or None.
        micro_expressions: in order of their onset; None unless they were looked for. Their persons are numbered as
            they were tracked at the full frame rate, mostly but not always as in ``people``.
        prosody: pitch, loudness, speaking rate and pauses; None unless it was measured and somebody speaks.
        notes: remarks that a reader must know.
        frames: faces frame by frame; None unless they were recorded. Not part of a document: they have a table of
            their own, `FaceFrames.save`.
        inputs: paths of what was read besides ``source``: sound, subtitles, the model's folder. `save` overwrites none
            of them, nor the source and its subtitles. Not part of a document.

    Raises:
        ArgumentError: if the scores are no shares that sum to 1, or are of other labels than those of a part.

    >>> text = ModalityScores({"happiness": 0.75, "anger": 0.25}, coverage=1.0)
    >>> result = EmotionResult(source=None, duration=0.0, scores=text.scores, modalities={"text": text})
    >>> result
    <EmotionResult text: happiness 75% (text happiness)>
    >>> result.label, result.modalities["text"].coverage
    ('happiness', 1.0)
    >>> EmotionResult.from_dict(result.to_dict()) == result
    True
    """

    format: Literal[1] = field(init=False, default=FORMAT)
    mmemo: str | None = field(default=__version__, kw_only=True)
    source: str | None
    model: str = field(default="default", kw_only=True)
    weights: dict[str, str] = field(default_factory=dict, kw_only=True)
    settings: AnalysisSettings | None = field(default=None, kw_only=True)
    start: Seconds = field(default=0.0, kw_only=True)
    duration: Seconds
    label: str = field(init=False)
    scores: Scores
    affect: Affect | None = field(init=False, default=None)
    modalities: dict[str, ModalityScores]
    segments: tuple[Segment, ...] = ()
    people: tuple[Person, ...] = ()
    speech: tuple[tuple[Seconds, Seconds], ...] | None = field(default=None, kw_only=True)
    transcript: Transcript | None = None
    micro_expressions: tuple[MicroExpression, ...] | None = field(default=None, kw_only=True)
    prosody: Prosody | None = field(default=None, kw_only=True)
    notes: tuple[Note, ...] = ()
    frames: FaceFrames | None = field(default=None, kw_only=True, repr=False, compare=False, metadata=NOT_IN_DOCUMENT)
    inputs: tuple[str, ...] = field(default=(), kw_only=True, repr=False, compare=False, metadata=NOT_IN_DOCUMENT)

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(scored.scores.keys() != self.scores.keys() for scored in self._parts()):
            raise ArgumentError("EmotionResult: expected the same labels in all scores, of every part and modality.")
        object.__setattr__(self, "affect", fused_affect(self.modalities))

    @property
    def vocal_bursts(self) -> tuple[tuple[Seconds, Seconds], ...]:
        """Spans in which the voice is a sound without words (a laugh, a cry, a sigh), start and end in seconds.

        They are those of the windows with a `ModalityScores.vocal_burst` above 0.5, as the timeline shows windows: each
        has the time that is nearest to its middle.
        """
        return vocal_bursts(self.segments)

    def _parts(self) -> Iterator[_Scored]:
        """All that has scores within this result."""
        parts: tuple[EmotionResult | Segment | Person, ...] = (self, *self.segments, *self.people)
        for part in parts:
            yield part
            yield from part.modalities.values()
            if isinstance(part, Person):
                for segment in part.segments:
                    yield segment
                    yield from segment.modalities.values()

    def __repr__(self) -> str:
        length = f", {self.duration:.1f} s" if self.duration else ""
        name = "text" if self.source is None else repr(Path(self.source).name)
        counts = {
            ("segment", "segments"): len(self.segments),
            ("person", "people"): len(self.people),
            ("note", "notes"): len(self.notes),
        }
        more = "".join(f", {count} {names[count > 1]}" for names, count in counts.items() if count)
        return f"<EmotionResult {name}{length}: {self._verdict()}{_labels(self.modalities)}{more}>"

    def __str__(self) -> str:
        """The table that ``mmemo analyze`` prints, without color."""
        from rich.console import Console

        from mmemo.report.terminal import render_result

        text = StringIO()
        Console(file=text, width=110, color_system=None, highlight=False).print(render_result(self))
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def to_dict(self) -> dict[str, Any]:
        """The JSON document: dictionaries, lists, strings and numbers; `from_dict` is the way back."""
        document: dict[str, Any] = to_document(self)
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> EmotionResult:
        """Read a document of `to_dict`. It is the same result but for the rounding of its figures.

        Documents of the first version, which had no ``format``, are read as well.

        Raises:
            ArgumentError: if the document does not fit, with the path of the wrong field, or is of a newer format.
        """
        document = dict(document)
        version = document.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise ArgumentError(
                f"The result is of format {version}, made by mmemo {document.get('mmemo')}; mmemo {__version__} reads "
                f"formats up to {FORMAT}. Upgrade with: pip install --upgrade mmemo"
            )
        return from_document(cls, _of_first_version(document) if version is None else document)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema (draft 2020-12) of the document that `to_dict` and `to_json` make."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": f"#/$defs/{cls.__name__}",
            "$defs": schemas(cls),
        }

    @classmethod
    def load(cls, path: str | Path) -> EmotionResult:
        """Read a ``.json`` file that `save` wrote.

        Raises:
            ArgumentError: if the file can't be read, or holds no result.
        """
        return load_document(path, "a result", cls.from_dict)

    def to_json(self, indent: int | None = 2) -> str:
        """The same as `to_dict`, as a JSON text; a list of numbers stands on one line."""
        text = json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)
        # Strings hold no line breaks in JSON, so a bracket followed by one is always a list.
        return re.sub(
            r"\[\n\s+((?:-?\d|null)[^\[\]{}\"]*?)\s+\]", lambda match: f"[{' '.join(match[1].split())}]", text
        )

    def to_frame(self) -> pandas.DataFrame:
        """One row for the whole clip and one for each window, fused and by modality and person (extra ``export``).

        Columns: ``start``, ``end``, ``what`` ("clip", "segment", "person" or "micro"), ``modality`` ("fused", "face"
        …), ``person`` (id or missing), ``coverage``, ``label``, and one of each label's score; where there is affect,
        ``valence``, ``arousal``, ``dominance`` and ``derived``; where it is predicted, ``vocal_burst``. A
        micro-expression has a label of its own classes and no scores.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        from mmemo.report.export.tables import frame

        return frame(self)

    def smooth(self, dwell: Seconds = 8.5) -> EmotionResult:
        """The same result with fused scores of its windows that are smooth over time, people's too.

        A hidden Markov model whose state is the emotion takes the flicker of single windows away; scores of the whole
        clip, and those of each modality, stay as they are. See `mmemo.report.smoothing.smooth`.

        Args:
            dwell: seconds for which an emotion stays on the average; 8.5 is that of speakers in MELD.

        Raises:
            ArgumentError: if ``dwell`` is not positive.

        >>> import mmemo
        >>> result = mmemo.analyze("clip.mp4")
        >>> len(result.smooth(dwell=3).segments) == len(result.segments)
        True
        """
        from mmemo.report.smoothing import smooth

        people = tuple(replace(person, segments=smooth(person.segments, dwell)) for person in self.people)
        return replace(self, segments=smooth(self.segments, dwell), people=people)

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
        require_extra("A plot", "report", "matplotlib")
        from mmemo.report.plots.timeline import plot

        return plot(self, faces=faces)

    def save_video(
        self,
        path: str | Path,
        *,
        anonymize: Literal["blur", "mask"] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Path:
        """Write the analyzed video with the result drawn into it (extra ``report``).

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
        require_extra("An annotated video", "report", "matplotlib")
        from mmemo.report.video.render import save_video

        return save_video(self, Path(path), anonymize, progress)

    def _repr_html_(self) -> str:
        """What notebooks show: the verdict, the timeline and the table by modality."""
        from mmemo.report.html.page import fragment

        return str(fragment(self))

    def _repr_png_(self) -> bytes | None:
        """What a front end without HTML shows: the plot, or nothing where matplotlib is not installed."""
        try:
            picture: bytes = self.plot()._repr_png_()  # type: ignore[attr-defined]
        except MissingExtraError:
            return None
        return picture

    def save(
        self, path: str | Path, *, anonymize: Literal["blur", "mask"] | None = None, raw_cells: bool = False
    ) -> Path:
        """Write a file, whole or not at all; the suffix of ``path`` chooses the format.

        - ``.json``: everything, to be read by `load`; ``.jsonl``, ``.csv``, ``.parquet``: the rows of `to_frame`;
        - ``.html``: the report; ``.png``, ``.svg``, ``.pdf``: the `plot`; ``.mp4``, ``.mkv``: as `save_video`;
        - ``.srt``, ``.vtt``: subtitles with the emotion; ``.eaf``: tiers for ELAN; ``.rttm``: spans of speech.

        Args:
            anonymize: "blur" or "mask" hides every face of a video, and leaves the faces out of a report or plot.
            raw_cells: keep text in a ``.csv`` that a spreadsheet may take for a formula (``=…``, ``+…``, ``-…``,
                ``@…``) as it is; by default ``'`` goes before it.

        Raises:
            ArgumentError: for another suffix, a format that the result has nothing for, or a file that the result was
                made from.
            MissingExtraError: if the format needs packages that are not installed.
        """
        from mmemo.report.save import save

        return save(self, Path(path), anonymize, raw_cells=raw_cells)


def _labels(modalities: Mapping[str, ModalityScores]) -> str:
    labels = ", ".join(f"{name} {scores.label}" for name, scores in modalities.items())
    return f" ({labels})" if labels else ""


def _of_first_version(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document of before there was a format: a box track was a list of (time, left, top, right, bottom)."""
    try:
        people = [
            {
                **person,
                "box_tracks": [
                    {"times": [time for time, *_ in track], "boxes": [box for _, *box in track]}
                    for track in person.get("trails", ())
                ],
            }
            for person in document["people"]
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArgumentError(f"The document is no EmotionResult of mmemo: people: {error!r}.") from None
    return {"mmemo": None, **document, "people": people}
