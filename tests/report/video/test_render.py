"""Annotated video: frames and sound of the original, with boxes and scores on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mmemo import Analyzer, EmotionResult, media
from mmemo.clip import Clip
from mmemo.errors import ArgumentError, MediaError
from mmemo.evidence import SAMPLE_RATE
from mmemo.faces import FaceFinder
from mmemo.report.style.colors import COLORS, rgb
from mmemo.samples import make_clip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(real: EmotionResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real.save_video(tmp_path_factory.mktemp("video") / "out.mp4")


def test_it_is_h264_with_the_original_times_and_sound(written: Path, clip: Path) -> None:
    before, after = list(media.frames(clip)), list(media.frames(written))
    np.testing.assert_allclose([f.time for f in after], [f.time for f in before], atol=1e-4)
    np.testing.assert_allclose(media.waveform(written), media.waveform(clip), atol=1e-4)  # copied
    with av.open(str(written)) as file:
        assert file.streams.video[0].codec_context.name == "h264"
        assert file.streams.video[0].codec_context.pix_fmt == "yuv420p"
    small = media.probe(clip).video
    assert small is not None
    assert after[0].image.shape[1] == 2 * small.width  # doubled, so that labels can be read
    assert after[0].image.shape[0] > 2 * small.height  # and the strip below


def test_the_box_follows_the_face(written: Path, real: EmotionResult) -> None:
    color = np.array(rgb(COLORS[real.people[0].label]))
    for frame in list(media.frames(written))[10:70:20]:
        left, top, right, bottom = real.people[0].box_at(frame.time)  # type: ignore[misc]
        height, width = 480, 640
        middle = round((top + bottom) / 2 * height)
        for side in (left, right):
            near = frame.image[middle, round(side * width) - 4 : round(side * width) + 5].astype(int)
            assert np.abs(near - color).sum(axis=1).min() < 60


def test_the_picture_between_is_the_original(written: Path, clip: Path) -> None:
    before, after = next(media.frames(clip)).image, next(media.frames(written)).image
    corner = cv2.resize(before, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)[:80, :120].astype(int)
    assert np.abs(after[:80, :120] - corner).mean() < 6


def test_variable_frame_times_stay(analyzer: Analyzer, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", seconds=1.5, variable_rate=True)
    out = analyzer(clip).save_video(tmp_path / "out.mp4")
    times = [frame.time for frame in media.frames(out)]
    np.testing.assert_allclose(times, [frame.time for frame in media.frames(clip)], atol=1e-4)
    assert {0.02, 0.06} == set(np.round(np.diff(times), 3))


def test_sound_and_picture_stay_in_step(analyzer: Analyzer, tmp_path: Path) -> None:
    """The picture changes, and a burst of sound begins, at 1 s; in the written file, too."""
    sound = np.zeros(2 * SAMPLE_RATE, np.float32)
    sound[SAMPLE_RATE : SAMPLE_RATE + 800] = 0.8
    clip = make_clip(tmp_path / "in.mkv", sound=sound, cut=1.0)
    out = analyzer(clip).save_video(tmp_path / "out.mp4")
    for path in (clip, out):
        frames = list(media.frames(path))
        brightness = np.array([frame.image[:100].mean() for frame in frames])
        cut = frames[int(np.abs(np.diff(brightness)).argmax()) + 1].time
        onset = np.flatnonzero(np.abs(media.waveform(path)) > 0.3)[0] / SAMPLE_RATE
        assert cut == pytest.approx(1.0, abs=0.03)
        assert onset == pytest.approx(1.0, abs=0.03)


def test_a_span_begins_at_zero(analyzer: Analyzer, tmp_path: Path, clip: Path) -> None:
    result = analyzer(Clip(clip, start=1.0, end=2.0))
    out = result.save_video(tmp_path / "out.mp4")
    times = [frame.time for frame in media.frames(out)]
    assert len(times) == 25
    assert times[0] == pytest.approx(0.0, abs=0.03)
    assert len(media.waveform(out)) == pytest.approx(SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)


@pytest.mark.parametrize("how", ["blur", "mask"])
def test_no_face_is_left(real: EmotionResult, tmp_path: Path, how: str) -> None:
    """Also where the result knows of none."""
    out = replace(real, people=()).save_video(tmp_path / "out.mp4", anonymize=how)  # type: ignore[arg-type]
    finder = FaceFinder()
    frames = list(media.frames(out))
    assert finder.find(next(media.frames(str(real.source))).image)
    for frame in frames[::6]:
        assert finder.find(frame.image) == []


def test_what_can_not_be_drawn_on_is_refused(analyzer: Analyzer, real: EmotionResult, tmp_path: Path) -> None:
    sound = analyzer(make_clip(tmp_path / "a.wav", picture=False))
    with pytest.raises(ArgumentError, match=r"no video \(audio\)"):
        sound.save_video(tmp_path / "out.mp4")
    with pytest.raises(ArgumentError, match="it would be overwritten"):
        real.save_video(str(real.source))
    with pytest.raises(ArgumentError, match="expected one of"):
        real.save_video(tmp_path / "out.avi")
    with pytest.raises(ArgumentError, match="no folder"):
        real.save_video(tmp_path / "none" / "out.mp4")
    with pytest.raises(ArgumentError, match="blur"):
        real.save_video(tmp_path / "out.mp4", anonymize="pixels")  # type: ignore[arg-type]
    with pytest.raises(MediaError, match="does not exist"):
        replace(real, source=str(tmp_path / "gone.mp4")).save_video(tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_progress_reaches_the_end(real: EmotionResult, tmp_path: Path) -> None:
    shares: list[float] = []
    real.save_video(tmp_path / "out.mp4", progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0, abs=0.05)
