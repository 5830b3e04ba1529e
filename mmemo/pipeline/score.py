"""From windows of evidence to scores: by window, by person, by modality and for the whole clip."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from mmemo.affect import Affect
from mmemo.encoders.base import QUALITIES, Encoding
from mmemo.encoders.modality import MODALITIES, modality_named, quality_of
from mmemo.encoders.softmax import log_softmax
from mmemo.evidence import Evidence, Seconds, TextEvidence
from mmemo.fusion.over_time import average, evidence_of, weights_over_time
from mmemo.model import EmotionModel, absent
from mmemo.notes import Note
from mmemo.personal.running import RunningBaseline
from mmemo.pipeline.active_speaker import ActiveSpeakerDetector
from mmemo.pipeline.speaker_names import SpeakerNames
from mmemo.pipeline.windows import Span, prominence
from mmemo.result import ModalityScores, Person, Scores, Segment

T = TypeVar("T")
BATCH = 16
"""Windows encoded together."""
_MIN_WEIGHT = 1e-3
"""Of a window in the averages of a clip: windows without coverage count equally if there are no others."""
_MIN_PROMINENCE = 1e-6


@dataclass
class WindowScores:
    """Scores of one modality, or of one person's face, in each window that has it; the lists run in parallel.

    Attributes:
        spans: start and end of each window in seconds.
        logits: (K,) float32 of each window.
        tokens: (D,) float32 of each window, the mean of its tokens.
        quality: (2,) float32 of each window, as `Encoding.quality`, or none at all.
        coverage: share of each window with evidence, 0 to 1.
        affect: (3,) float32 of each window, as `Encoding.affect`, or none at all.
        vocal_burst: of each window, as `Encoding.vocal_burst`, or none at all.
        boxes: (4,) of a person's face in each window: left, top, right, bottom as shares of the picture.
        times: of a person's first and last frame in each window, in seconds.
        segments: of a person, the face's scores in each window.
    """

    spans: list[Span] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    tokens: list[np.ndarray] = field(default_factory=list)
    quality: list[np.ndarray] = field(default_factory=list)
    coverage: list[float] = field(default_factory=list)
    affect: list[np.ndarray] = field(default_factory=list)
    vocal_burst: list[float] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    times: list[Seconds] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    def add(self, span: Span, encoding: Encoding, row: int, coverage: float) -> None:
        """Append a window from one row of an encoding, in which the modality is present."""
        self.spans.append(span)
        self.logits.append(encoding.logits[row])
        self.tokens.append(encoding.tokens[row][encoding.mask[row]].mean(axis=0))
        self.coverage.append(coverage)
        if encoding.quality is not None:
            self.quality.append(encoding.quality[row])
        if encoding.affect is not None:
            self.affect.append(encoding.affect[row])
        if encoding.vocal_burst is not None:
            self.vocal_burst.append(float(encoding.vocal_burst[row]))

    def extend(self, other: WindowScores) -> None:
        """Append other windows."""
        for name, listed in vars(self).items():
            listed += getattr(other, name)

    def encoding(self) -> Encoding:
        """One encoding (B = 1) of all windows: a token each, and log scores averaged with the coverage as weight."""
        weights = np.maximum(np.array(self.coverage), _MIN_WEIGHT)
        logits = np.average(log_softmax(np.stack(self.logits).astype(float)), axis=0, weights=weights)
        tokens = np.stack(self.tokens)[None].astype(np.float32)
        quality = np.mean(self.quality, axis=0, keepdims=True).astype(np.float32) if self.quality else None
        affect = np.average(self.affect, axis=0, weights=weights)[None].astype(np.float32) if self.affect else None
        burst = None
        if self.vocal_burst:
            burst = np.average(self.vocal_burst, weights=weights, keepdims=True).astype(np.float32)
        mask = np.ones(tokens.shape[:2], bool)
        return Encoding(tokens, mask, logits[None].astype(np.float32), quality, affect, burst)

    def select(self, rows: Sequence[int]) -> WindowScores:
        """The scores of some windows, by their indices."""
        return WindowScores(
            [self.spans[row] for row in rows],
            [self.logits[row] for row in rows],
            [self.tokens[row] for row in rows],
            [self.quality[row] for row in rows] if self.quality else [],
            [self.coverage[row] for row in rows],
            [self.affect[row] for row in rows] if self.affect else [],
            [self.vocal_burst[row] for row in rows] if self.vocal_burst else [],
        )

    def share(self, total: Seconds) -> float:
        """Coverage of a clip whose windows last ``total`` seconds together, 0 to 1."""
        if total == 0:
            return float(np.mean(self.coverage))
        seconds = sum((end - start) * share for (start, end), share in zip(self.spans, self.coverage, strict=True))
        return float(min(1.0, seconds / total))


class EncodingRecorder:
    """A correction (`EmotionModel.adjusted`) that changes nothing: it keeps a modality's encodings of a clip.

    Before all other corrections it has what the clip's encoding is without them.
    """

    def __init__(self) -> None:
        self._windows = WindowScores()

    def __call__(self, encoding: Encoding) -> Encoding:
        """The same encoding, whose rows are kept."""
        for row in np.flatnonzero(encoding.present).tolist():
            coverage = 1.0 if encoding.quality is None else float(encoding.quality[row, 0])
            self._windows.add((0.0, 0.0), encoding, row, coverage)
        return encoding

    def encoding(self) -> Encoding:
        """One encoding (B = 1) of all rows: see `WindowScores.encoding`."""
        return self._windows.encoding()


@dataclass(frozen=True)
class ClipScores:
    """The scores of a clip; empty if no window had any evidence.

    Attributes:
        encodings: of each modality, B = 1: see `WindowScores.encoding`.
        notes: say where it is not known who speaks, and which name in the transcript is which person.
    """

    scores: Scores
    modalities: dict[str, ModalityScores]
    segments: tuple[Segment, ...]
    people: tuple[Person, ...]
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


def score(
    model: EmotionModel, windows: Iterable[tuple[Evidence, ...]], running: RunningBaseline | None = None
) -> ClipScores:
    """Encode and fuse windows as they come; only their scores are kept.

    Args:
        windows: in order of time; one Evidence a person, which differ in the face alone.
        running: takes off what each person's earlier windows have in common; None for not.
    """
    modalities = {modality: WindowScores() for modality in model.modalities}
    faces: dict[int, WindowScores] = {}
    detector = ActiveSpeakerDetector()
    names, words_of = SpeakerNames(), dict[str, WindowScores]()
    segments: list[Segment] = []
    total = 0.0
    for batch in batches(windows):
        encodings = encode_windows(model, batch, faces, running)
        if "text" in encodings:
            _encode_speakers(model, batch, encodings["text"], words_of, running)
        coverage = {modality: _coverage(modality, batch) for modality in encodings}
        for row, window in enumerate(batch):
            for evidence in window:
                detector.add(evidence)
            start, end = window[0].start, window[0].end
            names.add((start, end), window[0].text)
            total += end - start
            for modality, encoding in encodings.items():
                if encoding.present[row]:
                    modalities[modality].add((start, end), encoding, row, coverage[modality][row])
        segments.extend(fused_segments(model, batch, encodings, coverage))
    whole = {modality: windows.encoding() for modality, windows in modalities.items() if windows.logits}
    if not whole:
        return ClipScores({}, {}, (), ())
    decision = detector.decide()
    named = names.people(decision.speakers)
    remark = names.note(named, decision)
    for person in set(named.values()):
        own = names.alone(name for name in named if named[name] == person)
        decision = decision.extended({span: person for span in detector.voiced(person) if span in own})
    speakers = decision.speakers
    scores, weights = over_time(segments)
    words = _Words(names, named, words_of)
    return ClipScores(
        scores=scores,
        modalities=_modality_scores(model, modalities, weights, total),
        segments=tuple(replace(one, speaker=speakers.get((one.start, one.end))) for one in segments),
        people=tuple(
            _person(model, number, _PersonEvidence(face, detector.voiced(number), speakers, modalities, words), total)
            for number, face in sorted(faces.items())
        ),
        encodings=whole,
        notes=tuple(note for note in (decision.note(), remark) if note is not None),
    )


def over_time(segments: Sequence[Segment]) -> tuple[Scores, dict[str, float]]:
    """Scores of a clip, or of a person, from the fused scores of its windows, and the weight of each modality in them.

    A window counts by its evidence: the coverage of its modalities, by their weights.
    """
    names = dict.fromkeys(name for segment in segments for name in segment.modalities)
    shares, coverage = (
        {name: np.array([_number(segment, name, field) for segment in segments]) for name in names}
        for field in ("weight", "coverage")
    )
    evidence = evidence_of(shares, coverage)
    fused = average(np.array([list(segment.scores.values()) for segment in segments]), evidence)
    return dict(zip(segments[0].scores, fused.tolist(), strict=True)), weights_over_time(shares, evidence)


def _number(segment: Segment, modality: str, field: str) -> float:
    """Weight or coverage of a modality in a window; 0 where it is absent."""
    scores = segment.modalities.get(modality)
    return 0.0 if scores is None else float(getattr(scores, field) or 0.0)


def _modality_scores(
    model: EmotionModel, windows: Mapping[str, WindowScores], weights: Mapping[str, float], total: Seconds
) -> dict[str, ModalityScores]:
    """The scores of each modality over all of its windows."""
    encodings = {name: of.encoding() for name, of in windows.items() if of.logits}
    return {
        name: ModalityScores(
            model.labels.scores(model.scores(encoding)[0]),
            windows[name].share(total),
            weights[name],
            **_predicted(name, encoding, 0),
        )
        for name, encoding in encodings.items()
    }


def _coverage(modality: str, batch: Sequence[tuple[Evidence, ...]]) -> list[float]:
    """Of each window, that of its best covered person; 0 where the modality is absent."""
    coverage = modality_named(modality).coverage
    return [max(coverage(evidence) or 0.0 for evidence in window) for window in batch]


def encode_windows(
    model: EmotionModel,
    batch: Sequence[tuple[Evidence, ...]],
    faces: dict[int, WindowScores] | None = None,
    running: RunningBaseline | None = None,
) -> dict[str, Encoding]:
    """Encodings of a batch of windows; each person's own face scores are added to ``faces``."""
    firsts = [window[0] for window in batch]
    faces = {} if faces is None else faces
    return {
        modality: _encode_faces(model, modality, batch, faces, running)
        if modality_named(modality).owner == "face"
        else _encode_rows(model, modality, firsts, running)
        for modality in model.modalities
    }


def _encode_rows(
    model: EmotionModel, modality: str, rows: Sequence[Evidence], running: RunningBaseline | None
) -> Encoding:
    """The encoding of windows, measured by the same person's earlier ones if a baseline runs along."""
    encoding = model.encode(modality, rows)
    if running is None:
        return encoding
    people = [
        evidence.face.person if modality_named(modality).owner == "face" and evidence.face else None
        for evidence in rows
    ]
    spans = [(evidence.start, evidence.end) for evidence in rows]
    return running.correct(encoding, spans, [(modality, person) for person in people])


def _encode_faces(
    model: EmotionModel,
    modality: str,
    batch: Sequence[tuple[Evidence, ...]],
    faces: dict[int, WindowScores],
    running: RunningBaseline | None,
) -> Encoding:
    """Each window's face encoding: the most prominent person's tokens, and the mean scores and affect by prominence."""
    rows = [(number, evidence) for number, window in enumerate(batch) for evidence in window if evidence.face]
    if not rows:
        return absent(len(batch), model.encoders[modality].dim, len(model.labels))
    encoding = _encode_rows(model, modality, [evidence for _, evidence in rows], running)
    scores = model.scores(encoding)
    tokens = np.zeros((len(batch), *encoding.tokens.shape[1:]), np.float32)
    mask = np.zeros(tokens.shape[:2], bool)
    logits = np.zeros((len(batch), len(model.labels)), np.float32)
    quality = np.zeros((len(batch), len(QUALITIES)), np.float32)
    affect = np.zeros((len(batch), 3), np.float32)
    weight = np.zeros(len(batch))
    for row, (number, evidence) in enumerate(rows):
        face = evidence.face
        if not encoding.present[row] or face is None:
            continue
        if not mask[number].any():
            tokens[number], mask[number] = encoding.tokens[row], encoding.mask[row]
            quality[number] = quality_of(evidence, modality)
        quality[number, 0] = max(quality[number, 0], face.coverage)
        share = max(prominence(face), _MIN_PROMINENCE)
        logits[number] += share * log_softmax(encoding.logits[row])
        if encoding.affect is not None:
            affect[number] += share * encoding.affect[row]
        weight[number] += share
        own = faces.setdefault(face.person, WindowScores())
        own.add((evidence.start, evidence.end), encoding, row, face.coverage)
        own.times += [float(face.times[0]), float(face.times[-1])]
        own.boxes.append(face.box.mean(axis=0) / np.tile(face.frame_size, 2))
        labeled = model.labels.scores(scores[row])
        parts = {modality: ModalityScores(labeled, face.coverage, 1.0, **_predicted("face", encoding, row))}
        own.segments.append(Segment(evidence.start, evidence.end, labeled, parts))
    total = np.maximum(weight, 1e-9)[:, None].astype(np.float32)
    return Encoding(tokens, mask, logits / total, quality, None if encoding.affect is None else affect / total)


def fused_segments(
    model: EmotionModel,
    batch: Sequence[tuple[Evidence, ...]],
    encodings: Mapping[str, Encoding],
    coverage: Mapping[str, Sequence[float]],
) -> Iterator[Segment]:
    """The fused scores of each window that has any modality."""
    rows = np.flatnonzero(np.any([encoding.present for encoding in encodings.values()], axis=0))
    if not len(rows):
        return
    kept = {modality: encoding.rows(rows) for modality, encoding in encodings.items()}
    fused = model.fuse(kept)
    shares = model.fusion.shares(kept)
    scores = {modality: model.scores(encoding) for modality, encoding in kept.items()}
    for place, row in enumerate(rows.tolist()):
        modalities = {
            modality: ModalityScores(
                model.labels.scores(scores[modality][place]),
                coverage[modality][row],
                float(shares[modality][place]),
                **_predicted(modality, encoding, place),
            )
            for modality, encoding in kept.items()
            if encoding.present[place]
        }
        window = batch[row][0]
        yield Segment(window.start, window.end, model.labels.scores(fused[place]), modalities)


def _encode_speakers(
    model: EmotionModel,
    batch: Sequence[tuple[Evidence, ...]],
    encoding: Encoding,
    words_of: dict[str, WindowScores],
    running: RunningBaseline | None,
) -> None:
    """Add the words of each named speaker in each window; those of a window of one speaker are encoded already."""
    shared: list[tuple[Evidence, TextEvidence]] = []
    for row, window in enumerate(batch):
        evidence, text = window[0], window[0].text
        if text is None:
            continue
        shared += [(replace(evidence, text=part), part) for part in text.by_speaker]
        if text.speaker is not None and encoding.present[row]:
            own = words_of.setdefault(text.speaker, WindowScores())
            own.add((evidence.start, evidence.end), encoding, row, text.coverage)
    if not shared:
        return
    apart = _encode_rows(model, "text", [evidence for evidence, _ in shared], running)
    for row, (evidence, part) in enumerate(shared):
        if part.speaker is not None and apart.present[row]:
            own = words_of.setdefault(part.speaker, WindowScores())
            own.add((evidence.start, evidence.end), apart, row, part.coverage)


@dataclass(frozen=True)
class _Words:
    """The words of named speakers.

    Attributes:
        names: who says something in which window.
        people: the person of each name, as far as that is known.
        scores: of each name's own lines in each window.
    """

    names: SpeakerNames
    people: Mapping[str, int]
    scores: Mapping[str, WindowScores]

    def name(self, person: int) -> str | None:
        """The name of a person; that with the most lines if there are several."""
        return next((name for name, other in self.people.items() if other == person), None)

    def of(self, person: int, windows: WindowScores, spoken: Sequence[int], seen: Set[Span]) -> WindowScores:
        """The words of a person: their own lines, and where none has their name, those of the windows they speak in.

        Args:
            windows: the words of the clip, of which they speak the rows ``spoken``.
            seen: windows in which they are in view.
        """
        parts: dict[Span, tuple[WindowScores, int]] = {}
        for row in spoken:
            there = self.names.seconds.get(windows.spans[row], {})
            if not any(name is not None and self.people.get(name, person) != person for name in there):
                parts[windows.spans[row]] = windows, row
        for name in reversed([name for name, other in self.people.items() if other == person and name in self.scores]):
            own = self.scores[name]
            parts |= {span: (own, row) for row, span in enumerate(own.spans) if span in seen}
        joined = WindowScores()
        for span in sorted(parts):
            source, row = parts[span]
            joined.extend(source.select([row]))
        return joined


@dataclass(frozen=True)
class _PersonEvidence:
    """All that a person's scores come from.

    Attributes:
        face: scores of the windows in which the person is in view.
        voiced: those windows in which there is a voice as well.
        speakers: who speaks in which window.
        modalities: scores of the whole clip.
        words: of the speakers whom the transcript names.
    """

    face: WindowScores
    voiced: Sequence[Span]
    speakers: Mapping[Span, int]
    modalities: Mapping[str, WindowScores]
    words: _Words

    def spoken(self, number: int) -> dict[str, WindowScores]:
        """Voice of the windows in which the person speaks, and their words."""
        seen = set(self.face.spans)
        spans = {span for span in seen if self.speakers.get(span) == number}
        selected = {}
        for name, windows in self.modalities.items():
            if modality_named(name).owner == "speaker":
                rows = [row for row, span in enumerate(windows.spans) if span in spans]
                own = self.words.of(number, windows, rows, seen) if name == "text" else windows.select(rows)
                selected[name] = own
        return {name: selected[name] for name in MODALITIES if name in selected and selected[name].logits}


def _person(model: EmotionModel, number: int, evidence: _PersonEvidence, total: Seconds) -> Person:
    face = evidence.face
    box = np.clip(np.mean(face.boxes, axis=0), 0, 1)
    parts = {"face": face, **evidence.spoken(number)}
    segments = tuple(_person_segments(model, face.segments, parts))
    scores, weights = over_time(segments)
    speaking = sum(evidence.speakers.get(span) == number for span in evidence.voiced)
    return Person(
        id=number,
        start=min(face.times),
        end=max(face.times),
        coverage=face.share(total),
        box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        scores=scores,
        segments=segments,
        speaking=speaking / len(evidence.voiced) if evidence.voiced else None,
        modalities=_modality_scores(model, parts, weights, total),
        name=evidence.words.name(number),
    )


def _person_segments(
    model: EmotionModel, segments: Sequence[Segment], parts: Mapping[str, WindowScores]
) -> Iterator[Segment]:
    """The windows of a person; voice and text count in those in which the person speaks."""
    places = {name: {span: row for row, span in enumerate(windows.spans)} for name, windows in parts.items()}
    for segment in segments:
        span = segment.start, segment.end
        here = {name: parts[name].select([of[span]]) for name, of in places.items() if span in of}
        if len(here) > 1:
            encodings = {name: windows.encoding() for name, windows in here.items()}
            shares = {name: float(share[0]) for name, share in model.fusion.shares(encodings).items()}
            modalities = _modality_scores(model, here, shares, segment.end - segment.start)
            yield Segment(*span, model.labels.scores(model.fuse(encodings)[0]), modalities)
        else:
            yield segment


def _predicted(modality: str, encoding: Encoding, row: int) -> dict[str, Any]:
    """What an encoder predicts beside class scores, as arguments of `ModalityScores`."""
    found: dict[str, Any] = {}
    if encoding.affect is not None:
        values = np.clip(encoding.affect[row], -1, 1).tolist()
        if not any(map(math.isnan, values)):
            found["affect"] = Affect(*values)
        elif not math.isnan(values[1]):
            found["arousal"] = values[1]
    if encoding.quality is not None and modality_named(modality).trust_is_probability:
        found["trust"] = float(encoding.quality[row, QUALITIES.index("trust")])
    if encoding.vocal_burst is not None:
        found["vocal_burst"] = float(encoding.vocal_burst[row])
    return found


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Lists of ``size`` items, the last of which may be shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
