"""Where the face network looks: a Grad-CAM heat map on the aligned crop.

Source: Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017,
as Captum computes it. What such a map can tell: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmemo import media
from mmemo.encoders.face import FaceEncoder, gray_crops
from mmemo.errors import ArgumentError, MissingExtraError, MissingStreamError, expected_one_of
from mmemo.evidence import Seconds
from mmemo.faces import Face, FaceFinder
from mmemo.faces.align import alignment
from mmemo.faces.warp import transform
from mmemo.files import replacing_file
from mmemo.model import EmotionModel
from mmemo.pretrained import load_model
from mmemo.probability import softmax
from mmemo.result import EmotionResult, Scores, Segment

_LOOKS = 6  # pictures of a window among which the best is explained
_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class FaceExplanation:
    """What speaks for one label in one crop.

    Attributes:
        label: that is explained; ``score`` is its share, ``scores`` those of all labels in this crop alone.
        crop: (S, S, 3) uint8 RGB, what the network was shown (it sees it in grey).
        heat: (S, S) float32 in [0, 1]: how strongly each place speaks for the label, 1 at the strongest. All zero if
            nothing does.
        on_face: share of the heat that falls within the outline of the landmarks, 0 to 1.
        time: seconds in the file; 0 in a still image.
        box: left, top, right, bottom of the face in pixels of the picture.
        source: the file it is from, which `save` does not overwrite; None for a picture without one.
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
        """The crop, and the heat map over it, side by side under a line of text: (side + 40, 2 * side, 3) uint8 RGB.

        Heat is drawn from transparent over yellow to red, so that what is left plain does not count.
        """
        crop = cv2.resize(self.crop, (side, side), interpolation=cv2.INTER_CUBIC)
        heat = np.clip(cv2.resize(self.heat, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)[..., None]
        grey = np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        color = np.concatenate([np.full_like(heat, 255), 220 * (1 - heat), 40 * (1 - heat)], axis=2)
        opaque = 0.7 * heat**1.5
        drawn = (grey * (1 - opaque) + color * opaque).round().astype(np.uint8)
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
    source: EmotionResult | np.ndarray | str | Path,
    *,
    label: str | None = None,
    person: int | None = None,
    at: Seconds | None = None,
    model: str | Path | EmotionModel = "default",
) -> FaceExplanation:
    """Show what in a face speaks for a label.

    Args:
        source: a result of `mmemo.analyze` with a picture, whose file is read again; an image or video file; or a
            picture (H, W, 3) uint8 RGB.
        label: to explain; by default the one with the highest score in the crop that is chosen.
        person: id of a person of the result, or, in a picture, the place in the order of size; by default the most
            prominent one.
        at: seconds in a video; by default, of a result the window in which the face shows its label most clearly, of a
            file its beginning. Of the pictures of that window the best one is taken.
        model: whose face encoder is explained.

    Raises:
        MissingExtraError: if Captum is not installed.
        MissingStreamError: if there is no face.
        MediaError: if the file can't be read.
        ArgumentError: for a label or a person that is not there, or a face encoder that is no `FaceEncoder`.
    """
    loaded = model if isinstance(model, EmotionModel) else load_model(model, modalities=("face",), device="cpu")
    encoder = loaded.encoders.get("face")
    if not isinstance(encoder, FaceEncoder):
        raise ArgumentError(
            f"Only mmemo's own face network can be explained, not {type(encoder).__name__ if encoder else 'no face'}."
        )
    if label is not None and label not in encoder.labels.labels:
        raise ArgumentError(expected_one_of("Label", encoder.labels, label))
    time, found = _find(source, person, at)
    gray = gray_crops(found.crop[None], encoder.size)
    logits = encoder.encode([np.stack([gray, np.ones_like(gray)], axis=1)]).logits[0]
    scores = encoder.labels.scores(softmax(logits / loaded.temperatures["face"]))
    label = label or max(scores, key=lambda name: scores[name])
    heat = heat_map(encoder, found.crop, label)
    return FaceExplanation(
        label=label,
        score=scores[label],
        scores=scores,
        crop=found.crop,
        heat=heat,
        on_face=float(heat[outline(found)].sum() / max(float(heat.sum()), 1e-9)),
        time=time,
        box=(float(found.box[0]), float(found.box[1]), float(found.box[2]), float(found.box[3])),
        source=_file(source),
    )


def _file(source: EmotionResult | np.ndarray | str | Path) -> Path | None:
    path = source.source if isinstance(source, EmotionResult) else source
    return Path(path) if isinstance(path, str | Path) else None


def heat_map(encoder: FaceEncoder, crop: np.ndarray, label: str) -> np.ndarray:
    """The Grad-CAM map (S, S) float32 in [0, 1] of one label on an aligned crop (S, S, 3) uint8.

    The mean of the maps of the crop and of its mirror image, as the scores are, at the last layer. The layer
    before it has smaller cells, but with the embedded weights its map hardly prefers the face to the crop's rim.

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
    image = torch.from_numpy(gray_crops(crop[None], encoder.size))[None].to(encoder.device)
    target = encoder.labels.index(label)
    maps = []
    for view in (image, image.flip(3)):
        raw = explainer.attribute(view, target, relu_attributions=True)
        maps.append(raw[0, 0].detach().float().cpu().numpy())
    coarse = maps[0] + maps[1][:, ::-1]
    heat = np.maximum(cv2.resize(coarse, crop.shape[1::-1], interpolation=cv2.INTER_CUBIC), 0)
    return np.asarray(heat / heat.max() if heat.max() > 0 else heat, np.float32)


def outline(found: Face) -> np.ndarray:
    """(S, S) bool: the pixels of a face's crop within the convex hull of its landmarks."""
    side = found.crop.shape[0]
    points = transform(alignment(found.landmarks, side), found.landmarks[:, :2].astype(np.float64))
    hull = cv2.convexHull(points.round().astype(np.int32))
    return cv2.fillConvexPoly(np.zeros((side, side), np.uint8), hull, 1).astype(bool)


def _find(
    source: EmotionResult | np.ndarray | str | Path, person: int | None, at: Seconds | None
) -> tuple[Seconds, Face]:
    """The face to explain, and when it is seen."""
    finder = FaceFinder()
    if isinstance(source, np.ndarray):
        return 0.0, _chosen(finder.find(source), person, "The picture")
    result = source if isinstance(source, EmotionResult) else None
    path = source.source if isinstance(source, EmotionResult) else source
    if path is None:
        raise MissingStreamError("This result is of text alone: it has no face to explain.")
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
    found: list[tuple[Seconds, Face]] = []
    side = None if media.probe(path).kind == "image" else 1280
    for frame in media.frames(path, start, max_side=side, max_rate=3.0):
        faces = finder.find(frame.image)
        if place is not None and faces:
            faces = [_nearest(faces, place, frame.image.shape)]
            found.append((frame.time, faces[0]))
        elif faces:
            found.append((frame.time, _chosen(faces, person, str(path))))
        if at is not None or frame.time - start > 2.0 or len(found) >= _LOOKS:
            break
    if not found:
        raise MissingStreamError(f"{path} shows no face at {start:.1f} s. Give another time with at=….")
    return max(found, key=lambda pair: pair[1].quality)


def _chosen(faces: list[Face], person: int | None, what: str) -> Face:
    if not faces:
        raise MissingStreamError(f"{what} shows no face, so there is nothing to explain.")
    if person is not None and not 0 <= person < len(faces):
        raise ArgumentError(expected_one_of("Person", map(str, range(len(faces))), person))
    return faces[person or 0]


def _nearest(faces: list[Face], place: tuple[float, float, float, float], shape: tuple[int, ...]) -> Face:
    """The face nearest to a place in shares of the picture."""
    middle = np.array([(place[0] + place[2]) / 2 * shape[1], (place[1] + place[3]) / 2 * shape[0]])
    return min(faces, key=lambda one: float(np.hypot(*((one.box[:2] + one.box[2:]) / 2 - middle))))


def _clearest(segments: Sequence[Segment]) -> Seconds:
    """The start of the window in which the face is surest of one label."""
    sure = [(max(s.modalities["face"].scores.values()), s.start) for s in segments if "face" in s.modalities]
    if not sure:
        raise MissingStreamError("This result has no face to explain.")
    return max(sure)[1]
