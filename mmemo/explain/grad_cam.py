"""Explanation of a face's scores: a Grad-CAM heat map on the aligned crop.

Source: Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017,
as Captum computes it. On the limits of such maps: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmemo import media
from mmemo.encoders.face.encoder import FaceEncoder, gray_crops
from mmemo.encoders.softmax import softmax
from mmemo.errors import ArgumentError, MissingExtraError, MissingStreamError, expected_one_of
from mmemo.evidence import Seconds
from mmemo.faces import Face, FaceFinder
from mmemo.faces.align import alignment
from mmemo.faces.warp import transform
from mmemo.files import replacing_file
from mmemo.in_memory import Media, MediaInput, as_media, readable
from mmemo.model import EmotionModel
from mmemo.pretrained import load_model
from mmemo.result import EmotionResult, Scores, Segment

_CANDIDATES = 6  # frames of a window among which the best is explained
_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class FaceExplanation:
    """Evidence for one label in one crop of a face.

    Attributes:
        label: that is explained.
        score: of the label, 0 to 1.
        scores: of all labels, from this crop alone.
        crop: (S, S, 3) uint8 RGB, the network's input (in gray).
        heat: (S, S) float32 in [0, 1]: contribution of each pixel to the label's score, 1 at the highest. All zero if
            there is none.
        on_face: share of the heat that falls within the outline of the landmarks, 0 to 1.
        time: seconds in the file; 0 in a still image.
        box: left, top, right, bottom of the face in pixels of the picture.
        source: the file it is from, which `save` does not overwrite; None for a picture without one.

    >>> import mmemo.explain
    >>> explanation = mmemo.explain.face("clip.mp4", label="happiness")
    >>> explanation.picture(side=224).shape
    (264, 448, 3)
    """

    label: str
    score: float
    scores: Scores
    crop: np.ndarray
    heat: np.ndarray
    on_face: float
    time: Seconds
    box: tuple[float, float, float, float]
    source: Path | None = None

    def picture(self, side: int = 448) -> np.ndarray:
        """The crop and its heat map, side by side under a line of text: (side + 40, 2 * side, 3) uint8 RGB.

        Heat is drawn from transparent over yellow to red, so that plain pixels contribute nothing.
        """
        crop = cv2.resize(self.crop, (side, side), interpolation=cv2.INTER_CUBIC)
        heat = np.clip(cv2.resize(self.heat, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)[..., None]
        gray = np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        color = np.concatenate([np.full_like(heat, 255), 220 * (1 - heat), 40 * (1 - heat)], axis=2)
        opaque = 0.7 * heat**1.5
        drawn = (gray * (1 - opaque) + color * opaque).round().astype(np.uint8)
        canvas = np.full((side + 40, 2 * side, 3), 255, np.uint8)
        canvas[40:, :side], canvas[40:, side:] = crop, drawn
        text = f"{self.label} {self.score:.0%}"
        if self.time:
            text += f", at {self.time:.1f} s"
        cv2.putText(canvas, text, (10, 27), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (30, 30, 30), 1, cv2.LINE_AA)
        return canvas

    def save(self, path: str | Path) -> Path:
        """Write `picture` as ``.png`` or ``.jpg``; whole or not at all.

        Raises:
            ArgumentError: for another suffix, or if it can't be written.
        """
        path = Path(path)
        if path.suffix.lower() not in _SUFFIXES:
            raise ArgumentError(expected_one_of("Suffix of a picture", _SUFFIXES, path.suffix))
        _, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(self.picture(), cv2.COLOR_RGB2BGR))
        with replacing_file(path, [self.source]) as partial:
            partial.write_bytes(data.tobytes())
        return path


def face(
    source: EmotionResult | MediaInput,
    *,
    label: str | None = None,
    person: int | None = None,
    at: Seconds | None = None,
    model: str | Path | EmotionModel = "default",
) -> FaceExplanation:
    """Heat map of a label on a face: the pixels that its score rests on.

    Args:
        source: a result of `mmemo.analyze` with a picture, whose file is read again; or an image or video file, a
            picture or `mmemo.Frames`, as `mmemo.analyze` takes them.
        label: to explain; by default the one with the highest score in the crop that is chosen.
        person: id of a person of the result, or, in a picture, the place in the order of size; by default the most
            prominent one.
        at: seconds in a video; by default the window of a result in which the face has its highest score, or the
            beginning of a file. Of the frames of that window the best one is explained.
        model: that owns the face encoder.

    Raises:
        MissingExtraError: if Captum is not installed.
        MissingStreamError: if there is no face.
        MediaError: if the file can't be read.
        ArgumentError: for an unknown label or person, or a face encoder that is no `FaceEncoder`.

    >>> import mmemo.explain
    >>> explanation = mmemo.explain.face("clip.mp4")
    >>> explanation.label, explanation.heat.shape
    ('happiness', (112, 112))
    """
    loaded = model if isinstance(model, EmotionModel) else load_model(model, modalities=("face",), device="cpu")
    encoder = loaded.encoders.get("face")
    if not isinstance(encoder, FaceEncoder):
        raise ArgumentError(
            f"Only mmemo's own face network can be explained, not {type(encoder).__name__ if encoder else 'no face'}."
        )
    if label is not None and label not in encoder.labels.labels:
        raise ArgumentError(expected_one_of("Label", encoder.labels, label))
    result = source if isinstance(source, EmotionResult) else None
    shown = _media(source)
    time, detected = _locate(result, shown, person, at)
    gray = gray_crops(detected.crop[None], encoder.size)
    logits = encoder.encode([np.stack([gray, np.ones_like(gray)], axis=1)]).logits[0]
    scores = encoder.labels.scores(softmax(loaded.calibrate_logits("face", logits).astype(float)))
    label = label or max(scores, key=lambda name: scores[name])
    heat = heat_map(encoder, detected.crop, label)
    return FaceExplanation(
        label=label,
        score=scores[label],
        scores=scores,
        crop=detected.crop,
        heat=heat,
        on_face=float(heat[outline(detected)].sum() / max(float(heat.sum()), 1e-9)),
        time=time,
        box=(float(detected.box[0]), float(detected.box[1]), float(detected.box[2]), float(detected.box[3])),
        source=shown if isinstance(shown, Path) else None,
    )


def _media(source: EmotionResult | MediaInput) -> Media:
    if not isinstance(source, EmotionResult):
        return as_media(source)
    if source.source is None:
        raise MissingStreamError("This result is of text alone: it has no face to explain.")
    return Path(readable(source.source))


def heat_map(encoder: FaceEncoder, crop: np.ndarray, label: str) -> np.ndarray:
    """Grad-CAM map (S, S) float32 in [0, 1] of one label on an aligned crop (S, S, 3) uint8 RGB.

    The mean of the maps of the crop and of its mirror image, neither turned, at the last layer. The layer before it
    has smaller cells, but with the embedded weights its map is hardly stronger on the face than at the crop's rim.

    Raises:
        MissingExtraError: if Captum is not installed.
    """
    try:
        from captum.attr import LayerGradCam
    except ImportError:
        raise MissingExtraError("Explaining a face", "explain") from None
    import torch

    network = encoder.network
    explainer = LayerGradCam(lambda images: network(images)[1], network.blocks[-1])
    image = torch.from_numpy(gray_crops(crop[None], encoder.size))[None].to(network.head.weight.device)
    target = encoder.labels.index(label)
    maps = []
    for view in (image, image.flip(3)):
        raw = explainer.attribute(view, target, relu_attributions=True)
        maps.append(raw[0, 0].detach().float().cpu().numpy())
    coarse = maps[0] + maps[1][:, ::-1]
    heat = np.maximum(cv2.resize(coarse, crop.shape[1::-1], interpolation=cv2.INTER_CUBIC), 0)
    return np.asarray(heat / heat.max() if heat.max() > 0 else heat, np.float32)


def outline(detected: Face) -> np.ndarray:
    """(S, S) bool: the pixels of a face's crop within the convex hull of its landmarks."""
    side = detected.crop.shape[0]
    points = transform(alignment(detected.landmarks, side), detected.landmarks[:, :2].astype(np.float64))
    hull = cv2.convexHull(points.round().astype(np.int32))
    return cv2.fillConvexPoly(np.zeros((side, side), np.uint8), hull, 1).astype(bool)


def _locate(
    result: EmotionResult | None, source: Media, person: int | None, at: Seconds | None
) -> tuple[Seconds, Face]:
    """Time and face to explain."""
    finder = FaceFinder()
    place = None
    start = at or 0.0
    if result is not None and result.duration:
        segments: Sequence[Segment] = result.segments
        if person is not None:
            people = {one.id: one for one in result.people}
            if person not in people:
                raise ArgumentError(expected_one_of("Person of this result", map(str, people), person))
            segments, place = people[person].segments, people[person].box
        if at is None:
            start = _clearest(segments)
    candidates: list[tuple[Seconds, Face]] = []
    side = None if media.probe(source).kind == "image" else media.MAX_SIDE
    for frame in media.frames(source, start, max_side=side, max_rate=3.0):
        faces = finder.find(frame.image)
        if place is not None and faces:
            faces = [_nearest(faces, place, frame.image.shape)]
            candidates.append((frame.time, faces[0]))
        elif faces:
            candidates.append((frame.time, _choose(faces, person, str(source))))
        if at is not None or frame.time - start > 2.0 or len(candidates) >= _CANDIDATES:
            break
    if not candidates:
        raise MissingStreamError(f"{source} shows no face at {start:.1f} s. Give another time with at=….")
    return max(candidates, key=lambda pair: pair[1].quality)


def _choose(faces: list[Face], person: int | None, source: str) -> Face:
    if not faces:
        raise MissingStreamError(f"{source} shows no face, so there is nothing to explain.")
    if person is not None and not 0 <= person < len(faces):
        raise ArgumentError(expected_one_of("Person", map(str, range(len(faces))), person))
    return faces[person or 0]


def _nearest(faces: list[Face], place: tuple[float, float, float, float], shape: tuple[int, ...]) -> Face:
    """The face nearest to a box that is given in shares of the picture's width and height."""
    middle = np.array([(place[0] + place[2]) / 2 * shape[1], (place[1] + place[3]) / 2 * shape[0]])
    return min(faces, key=lambda one: float(np.hypot(*((one.box[:2] + one.box[2:]) / 2 - middle))))


def _clearest(segments: Sequence[Segment]) -> Seconds:
    """Start of the window in which the face has its highest score."""
    highest = [(max(s.modalities["face"].scores.values()), s.start) for s in segments if "face" in s.modalities]
    if not highest:
        raise MissingStreamError("This result has no face to explain.")
    return max(highest)[1]
