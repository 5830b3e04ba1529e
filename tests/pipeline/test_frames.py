"""Faces frame by frame of real small media, with movements that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mmemo
from mmemo import Analyzer, Clip, EmotionResult
from mmemo.errors import ArgumentError
from mmemo.face_frames import FaceFrames
from mmemo.faces import FaceFinder
from mmemo.media import probe
from mmemo.pipeline.extract import MAX_RATE, extract
from mmemo.pipeline.frames import FrameRecorder
from mmemo.pipeline.windows import Sighting
from mmemo.samples import make_clip, moved_portrait, portrait

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model() -> mmemo.EmotionModel:
    return mmemo.load_model(modalities=("face",))


def frames_of(result: EmotionResult) -> FaceFrames:
    assert result.frames is not None
    return result.frames


def test_what_happens_in_a_clip_is_in_its_frames(model: mmemo.EmotionModel) -> None:
    """At 10 Hz: one second still, a blink, the eyes to the right, the head to the left."""
    still, closed = moved_portrait(), moved_portrait(closed=1.0)
    pictures = (
        [still] * 10 + [closed] * 2 + [still] * 4 + [moved_portrait(look=1.0)] * 4 + [moved_portrait(turn=-1.0)] * 4
    )
    frames = frames_of(mmemo.analyze(mmemo.Frames(np.stack(pictures), 10), model=model, frames=True))
    assert frames.frame.tolist() == list(range(24))
    assert frames.time.tolist() == pytest.approx([number / 10 for number in range(24)])
    assert frames.person.tolist() == [0] * 24
    assert frames.rate == pytest.approx(10)
    assert np.flatnonzero(frames.blink).tolist() == [10, 11]
    assert np.flatnonzero(np.isnan(frames.gaze).all(axis=1)).tolist() == [10, 11]
    assert frames.gaze[16:20, 0].min() > frames.gaze[:10, 0].max() + 8
    assert frames.pose[21:, 0].max() < frames.pose[:10, 0].min() - 5
    assert frames.action_unit("AU12").min() > 0.7  # she smiles
    assert frames.action_unit("AU15").max() < 0.1
    np.testing.assert_allclose(frames.scores.sum(axis=1), 1, atol=1e-5)
    assert {frames.labels[best] for best in frames.scores.argmax(axis=1)} == {"happiness"}
    assert frames.box[0].tolist() == pytest.approx([105, 71, 196, 178], abs=6)  # cheeks, hairline and chin, by eye


def test_recording_changes_nothing_else(model: mmemo.EmotionModel, tmp_path: Path) -> None:
    """A result, and its document, are those without; by default there are no frames."""
    clip = make_clip(tmp_path / "clip.mp4", seconds=1.0, sound=None)
    plain, recorded = (mmemo.analyze(clip, model=model, frames=on) for on in (False, True))
    assert plain.frames is None
    assert recorded.to_dict() == plain.to_dict()
    assert EmotionResult.from_dict(recorded.to_dict()).frames is None
    assert len(frames_of(recorded)) == 13  # 25 a second: every other one
    assert frames_of(recorded).rate == pytest.approx(12.5, abs=0.1)
    every = mmemo.analyze(clip, model=model, frames="all")
    assert frames_of(every).frame.tolist() == list(range(25))
    assert every.settings is not None
    assert every.settings.every_frame
    for label, score in plain.scores.items():
        assert every.scores[label] == pytest.approx(score, abs=0.02)
    assert every.people[0].coverage == plain.people[0].coverage
    assert str(clip) in frames_of(recorded).inputs


def test_windows_get_the_same_frames_where_every_frame_is_recorded(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1.0, size=(160, 120), sound=None)
    times = [
        [window.face.times.tolist() for (window,) in extraction.windows() if window.face is not None]
        for extraction in (
            extract(Clip(clip), probe(clip), ("face",), 2.0, 1.0, None, recorder=recorder)
            for recorder in (None, FrameRecorder(every=True))
        )
    ]
    assert times[0] == times[1]
    assert len(times[0][0]) == 13


def test_a_picture_with_two_people(model: mmemo.EmotionModel) -> None:
    both = np.concatenate([portrait(), portrait()[:, ::-1]], axis=1)
    frames = frames_of(mmemo.analyze(both, model=model, frames=True))
    assert sorted(frames.person.tolist()) == [0, 1]
    first, second = (frames.pose[np.argsort(frames.box[:, 0])[place]] for place in (0, 1))
    np.testing.assert_allclose(first * (-1, 1, -1), second, atol=2)  # yaw and roll of a mirror image
    assert frames.rate is None


def test_no_face_is_no_row(model: mmemo.EmotionModel, analyzer: Analyzer, tmp_path: Path) -> None:
    wall = make_clip(tmp_path / "wall.mp4", seconds=1.0, faces=0)
    frames = frames_of(mmemo.analyze(wall, model=analyzer.model, frames=True, transcriber=None))
    assert len(frames) == 0
    assert frames.labels == tuple(model.labels)


def test_scores_of_a_frame_are_under_the_same_prior(model: mmemo.EmotionModel) -> None:
    """Each row is what the face encoder scores that frame by itself, as in a picture."""
    picture = moved_portrait()
    prior = {"neutral": 0.9}
    result = mmemo.analyze(picture, model=model, frames=True, prior=prior)
    np.testing.assert_allclose(frames_of(result).scores[0], list(result.scores.values()), atol=1e-4)


def test_encodings_are_those_without_frames(model: mmemo.EmotionModel) -> None:
    plain, recorded = (Analyzer(model, frames=on).analyze_and_encode(portrait())[1]["face"] for on in (False, True))
    np.testing.assert_allclose(recorded.logits, plain.logits)
    assert recorded.tokens.shape == plain.tokens.shape


def test_what_can_not_be_recorded_is_refused(model: mmemo.EmotionModel) -> None:
    with pytest.raises(ArgumentError, match="modality face"):
        Analyzer(modalities=("text",), frames=True)
    with pytest.raises(ArgumentError, match='True, False or "all"'):
        Analyzer(model, frames="every")  # type: ignore[arg-type]
    assert MAX_RATE == 15  # as the documentation of `frames` has it


def test_a_face_that_is_seen_too_badly_has_no_scores(model: mmemo.EmotionModel) -> None:
    (face,) = FaceFinder().find(portrait())
    recorder = FrameRecorder()
    recorder.add(Sighting(0.0, (300, 300), [replace(face, person=1, quality=0.01), face], 7))
    assert list(recorder.scoring(["window"], model)) == ["window"]
    frames = recorder.frames(model.labels)
    assert (frames.person.tolist(), frames.frame.tolist()) == ([0, 1], [7, 7])
    assert np.isnan(frames.scores).all(axis=1).tolist() == [False, True]
    assert not np.isnan(frames.pose).any()


@pytest.mark.data
def test_what_was_seen_by_eye_in_real_clips(shared_data: Path, model: mmemo.EmotionModel) -> None:
    """Two blinks; one blink; a smile; and a woman at a lectern who looks to the right of the picture."""

    def frames(name: str, start: float = 0.0, end: float | None = None) -> FaceFrames:
        clip = Clip(shared_data / "av" / name, start, end)
        return frames_of(mmemo.analyze(clip, model=model, frames=True))

    def blinks(table: FaceFrames) -> list[float]:
        """When each begins."""
        begins = np.diff(table.blink.astype(int), prepend=0) == 1
        return table.time[begins].tolist()

    assert blinks(frames("ravdess/02-01-01-01-01-01-01.mp4")) == pytest.approx([1.13, 1.8], abs=0.1)
    neutral, happy = (frames(f"crema_d/1001_DFA_{label}_XX.flv") for label in ("NEU", "HAP"))
    assert blinks(neutral) == pytest.approx([0.29], abs=0.1)
    assert happy.action_unit("AU12").max() > 0.7 > 0.5 > neutral.action_unit("AU12").max()
    turned = frames("misc/debate_cut_5s.mp4", 4.2)
    assert turned.pose[:, 0].min() > 20
    assert np.nanmin(turned.gaze[:, 0]) > 10
    assert blinks(turned) == pytest.approx([4.52], abs=0.1)
