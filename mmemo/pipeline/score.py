"""From windows of evidence to scores: by window, by person, by modality and for the whole clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import numpy as np

from mmemo.encoders.base import QUALITIES, Encoding
from mmemo.encoders.quality import quality_of
from mmemo.evidence import Evidence, Seconds
from mmemo.model import EmotionModel, absent
from mmemo.pipeline.active_speaker import SpeakerSearch
from mmemo.pipeline.windows import prominence
from mmemo.result import Affect, ModalityScores, Person, Scores, Segment
from mmemo.softmax import log_softmax

T = TypeVar("T")
BATCH = 16
"""Windows encoded together."""
OF_SPEAKER = ("voice", "text")
"""Modalities that belong to one person, where it is seen who speaks."""


@dataclass
class WindowScores:
    """What one modality, or one person, gathers over the windows of a clip."""

    spans: list[tuple[Seconds, Seconds]] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    tokens: list[np.ndarray] = field(default_factory=list)
    quality: list[np.ndarray] = field(default_factory=list)
    coverage: list[float] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    affect: list[np.ndarray] = field(default_factory=list)

    def encoding(self) -> Encoding:
        """One encoding (B = 1) of all windows: a token each, and log scores averaged with the coverage as weight."""
        weights = np.maximum(np.array(self.coverage), 1e-3)
        logits = np.average(log_softmax(np.stack(self.logits).astype(float)), axis=0, weights=weights)
        tokens = np.stack(self.tokens)[None].astype(np.float32)
        quality = np.mean(self.quality, axis=0, keepdims=True).astype(np.float32) if self.quality else None
        affect = np.average(self.affect, axis=0, weights=weights)[None].astype(np.float32) if self.affect else None
        return Encoding(tokens, np.ones(tokens.shape[:2], bool), logits[None].astype(np.float32), quality, affect)

    def some(self, rows: Sequence[int]) -> WindowScores:
        """What was gathered in some windows."""
        return WindowScores(
            [self.spans[row] for row in rows],
            [self.logits[row] for row in rows],
            [self.tokens[row] for row in rows],
            [self.quality[row] for row in rows] if self.quality else [],
            [self.coverage[row] for row in rows],
            affect=[self.affect[row] for row in rows] if self.affect else [],
        )

    def share(self, total: Seconds) -> float:
        """Coverage of a clip whose windows last ``total`` seconds together."""
        if total == 0:
            return float(np.mean(self.coverage))
        seconds = sum((end - start) * share for (start, end), share in zip(self.spans, self.coverage, strict=True))
        return float(min(1.0, seconds / total))


@dataclass(frozen=True)
class ClipScores:
    """The scores of a clip; empty if no window had any evidence."""

    scores: Scores
    modalities: dict[str, ModalityScores]
    segments: tuple[Segment, ...]
    people: tuple[Person, ...]


def score(model: EmotionModel, windows: Iterable[tuple[Evidence, ...]]) -> ClipScores:
    """Encode and fuse windows as they come; only their scores are kept.

    Args:
        windows: in order of time; one Evidence a person, which differ in the face alone.
    """
    modalities = {modality: WindowScores() for modality in model.modalities}
    people: dict[int, WindowScores] = {}
    search = SpeakerSearch()
    segments: list[Segment] = []
    total = 0.0
    for batch in _batches(windows, BATCH):
        encodings, coverage = _encode(model, batch, people)
        for row, window in enumerate(batch):
            for evidence in window:
                search.see(evidence)
            start, end = window[0].start, window[0].end
            total += end - start
            for modality, encoding in encodings.items():
                if encoding.present[row]:
                    sums = modalities[modality]
                    sums.spans.append((start, end))
                    sums.logits.append(encoding.logits[row])
                    sums.tokens.append(encoding.tokens[row][encoding.mask[row]].mean(axis=0))
                    sums.coverage.append(coverage[modality][row])
                    if encoding.quality is not None:
                        sums.quality.append(encoding.quality[row])
                    if encoding.affect is not None:
                        sums.affect.append(encoding.affect[row])
        segments.extend(_segments(model, batch, encodings, coverage))
    found = {modality: sums.encoding() for modality, sums in modalities.items() if sums.logits}
    if not found:
        return ClipScores({}, {}, (), ())
    shares = model.fusion.shares(found)
    speakers = search.speakers()
    return ClipScores(
        scores=model.labels.scores(model.fuse(found)[0]),
        modalities={
            modality: ModalityScores(
                model.labels.scores(model.scores(encoding)[0]),
                modalities[modality].share(total),
                float(shares[modality][0]),
                _affect(encoding, 0),
            )
            for modality, encoding in found.items()
        },
        segments=tuple(segments),
        people=tuple(
            _person(model, number, _Whole(sums, search.heard_by(number), speakers, modalities), total)
            for number, sums in sorted(people.items())
        ),
    )


def _encode(
    model: EmotionModel, batch: Sequence[tuple[Evidence, ...]], people: dict[int, WindowScores]
) -> tuple[dict[str, Encoding], dict[str, list[float]]]:
    """Encodings of a batch of windows and their coverage; what each face says is added to ``people``."""
    firsts = [window[0] for window in batch]
    encodings, coverage = {}, {}
    for modality in model.modalities:
        if modality == "face":
            encodings[modality] = _encode_faces(model, batch, people)
            coverage[modality] = [max((e.face.coverage for e in window if e.face), default=0.0) for window in batch]
        else:
            encodings[modality] = model.encode(modality, firsts)
            coverage[modality] = [_coverage(evidence, modality) for evidence in firsts]
    return encodings, coverage


def _encode_faces(
    model: EmotionModel, batch: Sequence[tuple[Evidence, ...]], people: dict[int, WindowScores]
) -> Encoding:
    """Each window's face encoding: the most prominent person's tokens, and everybody's log scores by prominence."""
    rows = [(number, evidence) for number, window in enumerate(batch) for evidence in window if evidence.face]
    if not rows:
        return absent(len(batch), model.encoders["face"].dim, len(model.labels))
    encoding = model.encode("face", [evidence for _, evidence in rows])
    scores = model.scores(encoding)
    tokens = np.zeros((len(batch), *encoding.tokens.shape[1:]), np.float32)
    mask = np.zeros(tokens.shape[:2], bool)
    logits = np.zeros((len(batch), len(model.labels)), np.float32)
    quality = np.zeros((len(batch), len(QUALITIES)), np.float32)
    weight = np.zeros(len(batch))
    for row, (number, evidence) in enumerate(rows):
        if not encoding.present[row] or evidence.face is None:
            continue
        if not mask[number].any():
            tokens[number], mask[number] = encoding.tokens[row], encoding.mask[row]
            quality[number] = quality_of(evidence, "face")
        share = max(prominence(evidence.face), 1e-6)
        logits[number] += share * log_softmax(encoding.logits[row])
        weight[number] += share
        face, said = evidence.face, model.labels.scores(scores[row])
        sums = people.setdefault(face.person, WindowScores())
        sums.spans.append((evidence.start, evidence.end))
        sums.logits.append(encoding.logits[row])
        sums.tokens.append(encoding.tokens[row][encoding.mask[row]].mean(axis=0))
        sums.coverage.append(face.coverage)
        sums.quality.append(np.array(quality_of(evidence, "face"), np.float32))
        sums.times += [float(face.times[0]), float(face.times[-1])]
        sums.boxes.append(face.box.mean(axis=0) / np.tile(face.frame_size, 2))
        own = {"face": ModalityScores(said, face.coverage, 1.0)}
        sums.segments.append(Segment(evidence.start, evidence.end, said, own))
    return Encoding(tokens, mask, logits / np.maximum(weight, 1e-9)[:, None].astype(np.float32), quality)


def _segments(
    model: EmotionModel,
    batch: Sequence[tuple[Evidence, ...]],
    encodings: dict[str, Encoding],
    coverage: dict[str, list[float]],
) -> Iterator[Segment]:
    rows = np.flatnonzero(np.any([encoding.present for encoding in encodings.values()], axis=0))
    if not len(rows):
        return
    kept = {modality: encoding.rows(rows) for modality, encoding in encodings.items()}
    fused = model.fuse(kept)
    shares = model.fusion.shares(kept)
    said = {modality: model.scores(encoding) for modality, encoding in kept.items()}
    for place, row in enumerate(rows):
        modalities = {
            modality: ModalityScores(
                model.labels.scores(said[modality][place]),
                coverage[modality][row],
                float(shares[modality][place]),
                _affect(encoding, place),
            )
            for modality, encoding in kept.items()
            if encoding.present[place]
        }
        window = batch[int(row)][0]
        yield Segment(window.start, window.end, model.labels.scores(fused[place]), modalities)


@dataclass(frozen=True)
class _Whole:
    """All that a person's scores come from.

    Attributes:
        face: gathered over the windows in which the person was seen.
        heard: those of them with a voice.
        speakers: who speaks in which window.
        modalities: gathered of the whole clip.
    """

    face: WindowScores
    heard: Sequence[tuple[Seconds, Seconds]]
    speakers: Mapping[tuple[Seconds, Seconds], int]
    modalities: Mapping[str, WindowScores]

    def own(self, number: int) -> dict[str, WindowScores]:
        """Voice and text of the windows in which the person speaks."""
        spans = {span for span in self.face.spans if self.speakers.get(span) == number}
        found = {}
        for name in OF_SPEAKER:
            if name in self.modalities:
                of_clip = self.modalities[name]
                found[name] = of_clip.some([row for row, span in enumerate(of_clip.spans) if span in spans])
        return {name: sums for name, sums in found.items() if sums.logits}


def _person(model: EmotionModel, number: int, whole: _Whole, total: Seconds) -> Person:
    sums = whole.face
    box = np.clip(np.mean(sums.boxes, axis=0), 0, 1)
    parts = {"face": sums, **whole.own(number)}
    scores, modalities = _together(model, parts, total)
    speaks = sum(whole.speakers.get(span) == number for span in whole.heard)
    return Person(
        id=number,
        start=min(sums.times),
        end=max(sums.times),
        coverage=sums.share(total),
        box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        scores=scores,
        segments=tuple(_spoken(model, sums.segments, parts)),
        speaking=speaks / len(whole.heard) if whole.heard else None,
        modalities=modalities,
    )


def _spoken(model: EmotionModel, segments: Sequence[Segment], parts: Mapping[str, WindowScores]) -> Iterator[Segment]:
    """The windows of a person; voice and text count in those in which they are theirs."""
    places = {name: {span: row for row, span in enumerate(sums.spans)} for name, sums in parts.items()}
    for segment in segments:
        rows = {name: of.get((segment.start, segment.end)) for name, of in places.items()}
        here = {name: parts[name].some([row]) for name, row in rows.items() if row is not None}
        if len(here) > 1:
            yield Segment(segment.start, segment.end, *_together(model, here, segment.end - segment.start))
        else:
            yield segment


def _together(
    model: EmotionModel, parts: Mapping[str, WindowScores], total: Seconds
) -> tuple[Scores, dict[str, ModalityScores]]:
    """Fused scores, and what each part says; one part alone gives its expert's scores."""
    encodings = {name: sums.encoding() for name, sums in parts.items()}
    said = {name: model.labels.scores(model.scores(encoding)[0]) for name, encoding in encodings.items()}
    if len(parts) == 1:
        ((name, sums),) = parts.items()
        return said[name], {name: ModalityScores(said[name], sums.share(total), 1.0, _affect(encodings[name], 0))}
    shares = model.fusion.shares(encodings)
    found = {
        name: ModalityScores(said[name], sums.share(total), float(shares[name][0]), _affect(encodings[name], 0))
        for name, sums in parts.items()
    }
    return model.labels.scores(model.fuse(encodings)[0]), found


def _affect(encoding: Encoding, row: int) -> Affect | None:
    return None if encoding.affect is None else Affect(*np.clip(encoding.affect[row], -1, 1).tolist())


def _coverage(evidence: Evidence, modality: str) -> float:
    if modality == "voice":
        return evidence.voice.coverage if evidence.voice else 0.0
    if modality == "text":
        return evidence.text.coverage if evidence.text else 0.0
    return 1.0  # a modality of the user's own: its encoder alone knows


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
