"""`spot_micro`: the micro-expressions in a video."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from mmemo import media
from mmemo.document import to_document
from mmemo.errors import ArgumentError, MissingStreamError
from mmemo.evidence import Seconds
from mmemo.faces import Face, FaceTracker
from mmemo.faces.align import EYE_LEFT, EYE_RIGHT, alignment
from mmemo.faces.identity import PersonGallery
from mmemo.in_memory import Media, MediaInput, as_media
from mmemo.media import Frame
from mmemo.micro.flow_image import flow_image
from mmemo.micro.intervals import MIN_RATE, RATE, Candidate, find_micro_expressions, frame_rate
from mmemo.micro.optical_flow import SIZE, dense_flow, magnify, without_head_motion
from mmemo.micro.recognition import load_micro
from mmemo.micro.regions import moving_mask
from mmemo.micro.tracking import FaceMotion, FaceMotionRecorder, gray_crop
from mmemo.micro_expression import MicroExpression
from mmemo.notes import Note

if TYPE_CHECKING:
    from mmemo.micro.recognition import MicroRecognizer

LANDMARK_RATE = 30.0
"""Hz. Landmarks are looked for so often at most; motion between them is measured in the pictures themselves."""
SMALL = 30.0
"""Pixels between the eyes below which a note says that faint movements can't be seen."""
FEW = 40.0
"""Frames a second below which a note says what can't be seen."""
EYES_APART = (EYE_RIGHT[0] - EYE_LEFT[0]) * SIZE
"""Pixels between the eyes in the crops."""
_GAP: Seconds = 0.15  # a face that was away for longer starts anew
_SAME = 0.05  # mean difference in gray levels below which a picture repeats the one before; sensors' noise is more

Read = Callable[[Seconds, Seconds | None], Iterator[Frame]]


@dataclass(frozen=True)
class MicroResult:
    """The micro-expressions of one clip.

    Attributes:
        source: the file, or the name of what was in memory.
        duration: seconds that were looked at.
        frame_rate: pictures a second that differ from the one before, by the median; 0 if no face was followed.
        expressions: in order of their onset.
        notes: limits of the recording.
    """

    source: str
    duration: Seconds
    frame_rate: float
    expressions: tuple[MicroExpression, ...]
    notes: tuple[Note, ...] = field(default=())

    def to_dict(self) -> dict[str, object]:
        """Plain dictionaries, lists, strings and numbers, ready for JSON."""
        return {
            "source": self.source,
            "duration": round(self.duration, 3),
            "frame_rate": round(self.frame_rate, 2),
            "micro_expressions": [to_document(expression) for expression in self.expressions],
            "notes": [{"code": note.code, "message": note.message} for note in self.notes],
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The same as `to_dict`, as a JSON text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)


def spot_micro(
    source: MediaInput,
    start: Seconds = 0.0,
    end: Seconds | None = None,
    *,
    recognizer: MicroRecognizer | Literal["default"] | None = "default",
    magnification: float = 0.0,
    people: int | None = None,
) -> MicroResult:
    """Find the micro-expressions in a video: short, faint, isolated movements of a face.

    Every picture of the file is read, at the file's own frame rate (of more than 60 a second every second or fewer is
    measured). At 25 to 30 frames a second only the longer ones can be seen, and a note says so.

    Args:
        source: a video file, or `mmemo.Frames`.
        start: seconds; ``end`` as well, None for the end of the file. Numbers of frames count from ``start``.
        recognizer: classifies them; "default" is the embedded one, None gives no class.
        magnification: factor of Eulerian motion magnification before the classification; strengths are those of the
            motion as it is.
        people: how many are seen in the clip, if that is known.

    Raises:
        MediaError: if the file can't be read.
        MissingStreamError: if it holds no moving picture.
        ArgumentError: for an impossible span or magnification, or less than one of ``people``.

    Examples:
        >>> import mmemo
        >>> result = mmemo.spot_micro("clip.mp4")
        >>> result.expressions, [note.code for note in result.notes]
        ((), ['repeated-frames', 'frame-rate-too-low', 'small-face'])
    """
    info = media.probe(as_media(source))
    if info.video is None or info.kind == "image":
        raise MissingStreamError(
            f"{info.source} holds no moving picture, so there is no movement to look for. Give a video."
        )
    if start < 0 or (end is not None and end <= start) or start >= info.duration:
        raise ArgumentError(f"A clip of {info.duration:.2f} s needs 0 <= start < end, got start={start}, end={end}.")
    if magnification < 0:
        raise ArgumentError(f"spot_micro: expected a magnification of 0 or more, got {magnification}.")
    read = partial(_frames, info.source)
    chosen = embedded_recognizer() if recognizer == "default" else recognizer
    rate, expressions, notes = spot_frames(read, start, end, chosen, magnification, people)
    until = info.duration if end is None else min(end, info.duration)
    return MicroResult(str(info.source), until - start, rate, expressions, notes)


def spot_frames(
    read: Read,
    start: Seconds = 0.0,
    end: Seconds | None = None,
    recognizer: MicroRecognizer | None = None,
    magnification: float = 0.0,
    people: int | None = None,
) -> tuple[float, tuple[MicroExpression, ...], tuple[Note, ...]]:
    """Micro-expressions in pictures from any source; frame rate, expressions and notes as in `MicroResult`.

    Args:
        read: gives the pictures from one time to another; it is called once for all of them, and once more for each
            candidate.
    """
    motions, repeated = follow(read(start, end), people)
    rate = float(np.median([frame_rate(motion.times) for motion in motions])) if motions else 0.0
    expressions = [
        _described(read, motion, candidate, recognizer, magnification)
        for motion in motions
        for candidate in find_micro_expressions(motion)
    ]
    expressions.sort(key=lambda expression: expression.onset)
    return rate, tuple(expressions), tuple(_notes(motions, rate, repeated))


def follow(frames: Iterable[Frame], people: int | None = None) -> tuple[list[FaceMotion], float]:
    """The motion of every face, each stretch without a gap apart; and the share of pictures that repeat the last."""
    gallery = PersonGallery(people)
    tracker = FaceTracker(max_faces=people or 4)
    recorders: dict[int, FaceMotionRecorder] = {}
    done: list[FaceMotionRecorder] = []
    faces: list[Face] = []
    pictures, repeats, due = 0, 0, -np.inf
    before: np.ndarray | None = None
    for frame in frames:
        pictures += 1
        sparse = np.ascontiguousarray(frame.image[::4, ::4])
        if before is not None and before.shape == sparse.shape and cv2.absdiff(sparse, before).mean() < _SAME:
            repeats += 1
            for recorder in recorders.values():
                recorder.seen = frame.time
            continue
        before = sparse
        if frame.time >= due:
            faces = tracker.update(frame.image, frame.time)
            gallery.add(faces, frame.time)
            due = frame.time + 0.9 / LANDMARK_RATE
        seen = {face.person: face for face in faces}
        for person in [person for person, recorder in recorders.items() if frame.time - recorder.seen > _GAP]:
            done.append(recorders.pop(person))
        for person, face in seen.items():
            recorder = recorders.setdefault(person, FaceMotionRecorder(person))
            recorder.step(frame.image, frame.time, frame.number, face)
    done += recorders.values()
    person_of = gallery.finish()
    for recorder in done:
        recorder.person = person_of[recorder.person]
    return [recorder.motion() for recorder in done if len(recorder) > 1], repeats / max(pictures, 1)


def flow_between(path: str | Path, onset: Seconds, apex: Seconds) -> np.ndarray:
    """The flow image (3, 28, 28) float32 from one moment of a video to another, of its largest face; for training.

    Raises:
        MediaError: if the file can't be read.
        MissingStreamError: if there is no face at one of the moments.
    """
    crops = []
    for time in (onset, apex):
        frame = next(iter(_frames(Path(path), max(0.0, time - 0.005), None)), None)
        faces = [] if frame is None else FaceTracker(max_faces=1).update(frame.image, frame.time)
        if frame is None or not faces:
            raise MissingStreamError(f"{path} shows no face at {time:.3f} s, so there is no flow to learn from.")
        crops.append(gray_crop(frame.image, alignment(faces[0].landmarks, SIZE)))
    return flow_image(without_head_motion(dense_flow(crops[0], crops[1]))[0])


@lru_cache(maxsize=1)
def embedded_recognizer() -> MicroRecognizer:
    """The embedded recognizer, loaded once."""
    return load_micro()


def _frames(source: Media, start: Seconds, end: Seconds | None) -> Iterator[Frame]:
    return media.frames(source, start, end, max_side=media.MAX_SIDE, max_rate=RATE * 1.2)


def _described(
    read: Read,
    motion: FaceMotion,
    candidate: Candidate,
    recognizer: MicroRecognizer | None,
    magnification: float,
) -> MicroExpression:
    """The micro-expression of a candidate: its strength and class, from its pictures read once more."""
    onset, apex, offset = (
        int(np.abs(motion.times - time).argmin()) for time in (candidate.onset, candidate.apex, candidate.offset)
    )
    onset, offset = min(onset, apex - 1), max(offset, apex + 1)
    times, crops = _crops(read, motion, onset, offset)
    first, top = (int(np.abs(times - motion.times[row]).argmin()) for row in (onset, apex))
    flow = without_head_motion(dense_flow(crops[first], crops[top]))[0]
    strength = float(np.quantile(np.linalg.norm(flow, axis=2)[moving_mask(SIZE)], 0.98))
    scores = None
    if recognizer is not None:
        if magnification:
            crops = magnify(crops, frame_rate(times), magnification)
            flow = without_head_motion(dense_flow(crops[first], crops[top]))[0]
        scores = recognizer.labels.scores(recognizer(flow_image(flow)[None])[0])
    return MicroExpression(
        person=motion.person,
        onset=float(motion.times[onset]),
        apex=float(motion.times[apex]),
        offset=float(motion.times[offset]),
        onset_frame=int(motion.numbers[onset]),
        apex_frame=int(motion.numbers[apex]),
        offset_frame=int(motion.numbers[offset]),
        region=candidate.region,
        strength=strength,
        confidence=candidate.confidence,
        scores=scores,
    )


def _crops(read: Read, motion: FaceMotion, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Times (T,) and gray crops (T, S, S) of one face from one row of its motion to another, read once more."""
    times, crops = [], []
    for frame in read(float(motion.times[first]) - 1e-4, float(motion.times[last]) + 1e-4):
        row = int(np.abs(motion.times - frame.time).argmin())
        times.append(frame.time)
        crops.append(gray_crop(frame.image, motion.places[row]))
    return np.array(times), np.stack(crops)


def _notes(motions: list[FaceMotion], rate: float, repeated: float) -> Iterator[Note]:
    if not motions:
        yield Note("no-face", "No face was detected, so there was no movement to measure.")
        return
    if repeated > 0.2:
        yield Note(
            "repeated-frames",
            f"{repeated:.0%} of the pictures repeat the one before, as in screen recordings: what counts is the "
            f"{rate:.0f} pictures a second that differ.",
        )
    if rate < MIN_RATE:
        yield Note(
            "frame-rate-too-low",
            f"At {rate:.0f} different pictures a second micro-expressions can't be distinguished from other movement; "
            f"none was searched for. Record at {MIN_RATE:.0f} or more, better 100.",
        )
    elif rate < FEW:
        yield Note(
            "low-frame-rate",
            f"At {rate:.0f} pictures a second a micro-expression of 1/5 s shows in {rate / 5:.0f} of them: shorter "
            "ones are missed, times are uncertain by a picture, and faint ones drown. Record at 100 or more.",
        )
    apart = max(EYES_APART / float(np.median(np.hypot(*motion.places[:, :, 0].T))) for motion in motions)
    if apart < SMALL:
        yield Note(
            "small-face",
            f"The largest face has {apart:.0f} px between the eyes: movements that are faint in it are smaller than a "
            "tenth of a pixel or two, and are missed. Come closer, or record at a higher resolution.",
        )
    if all(motion.times[-1] - motion.times[0] < 1.0 for motion in motions):
        yield Note("too-short", "No face is seen for a second without a break: too short to measure what is isolated.")
