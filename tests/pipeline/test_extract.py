"""From real small media to windows of evidence: only what is needed is read, and absences are noted."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmemo import Clip
from mmemo.errors import ArgumentError
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.media import probe, write_video
from mmemo.notes import Note
from mmemo.pipeline.extract import Extraction, extract
from mmemo.samples import make_clip, portrait, sound
from mmemo.speech.line import Line
from mmemo.speech.transcript import Transcript


def opened(clip: Clip, *modalities: str, transcriber: object = None) -> Extraction:
    info = None if clip.path is None else probe(clip.path)
    return extract(clip, info, modalities, 2.0, 1.0, transcriber)  # type: ignore[arg-type]


def codes(extraction: Extraction) -> list[str]:
    return [note.code for note in extraction.notes]


def one_line(
    segments: Iterable[tuple[Seconds, np.ndarray]], language: str | None = None
) -> tuple[Transcript, tuple[Note, ...]]:
    """A transcriber whose words are the length of the sound."""
    lines = tuple(Line(at, at + len(one) / SAMPLE_RATE, f"{len(one)} samples") for at, one in segments)
    return Transcript(lines, "recognition", "en"), (Note("test", "Asked."),)


def test_every_stream_of_a_clip(clip: Path) -> None:
    extraction = opened(Clip(clip, text="One. Two."), "face", "voice", "text")
    progress: list[float] = []
    windows = list(extraction.windows(progress.append))
    assert [(people[0].start, people[0].end) for people in windows] == [(0.0, 2.0), (1.0, 3.0)]
    assert progress == [0.5, 1.0]
    for (window,) in windows:
        assert window.face is not None
        assert window.voice is not None
        assert window.text is not None
        assert window.source == clip
    assert [line.text for line in windows[0][0].text.context] == []  # type: ignore[union-attr]
    (track,) = extraction.box_tracks.tracks(0)
    assert (track.times[0], round(track.times[-1], 2)) == (0.0, 2.96)
    assert codes(extraction) == []


def test_only_what_is_needed_is_read(clip: Path) -> None:
    voice = opened(Clip(clip), "voice")
    assert voice.transcript is None
    assert {people[0].face for people in voice.windows()} == {None}
    text = opened(Clip(clip, text="Good."), "text")
    assert text.sound is None
    assert text.activity is None
    assert {(people[0].face, people[0].voice) for people in text.windows()} == {(None, None)}
    assert codes(voice) == codes(text) == []


def test_a_modality_of_ones_own_may_need_everything(clip: Path) -> None:
    extraction = opened(Clip(clip, text="Good."), "gaze")
    ((first,), *_) = extraction.windows()
    assert first.face is not None
    assert first.voice is not None
    assert first.text is not None


def test_times_of_a_span_are_those_of_the_file(clip: Path) -> None:
    extraction = opened(Clip(clip, 1.0, 2.5), "voice", "text", transcriber=one_line)
    ((window,),) = extraction.windows()
    assert (window.start, window.end) == (1.0, 2.5)
    assert window.voice is not None
    assert len(window.voice.waveform) == 1.5 * SAMPLE_RATE
    assert extraction.activity is not None
    assert 1.0 <= extraction.activity.spans[0][0] < extraction.activity.spans[-1][1] <= 2.5
    assert extraction.transcript is not None
    assert extraction.transcript.lines[0].start == pytest.approx(extraction.activity.spans[0][0], abs=1e-3)
    assert codes(extraction) == ["test"]


def test_sound_in_a_file_of_its_own(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", sound=None)
    voice = write_video(tmp_path / "voice.wav", None, sound("speech", 2.0))
    assert codes(opened(Clip(film), "voice")) == ["no-audio"]
    ((window,),) = opened(Clip(film, audio=voice), "voice").windows()
    assert window.voice is not None


def test_an_image_has_one_window_and_needs_no_thread(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), portrait()[:, :, ::-1])
    threads = set(threading.enumerate())
    extraction = opened(Clip(path), "face", "voice", "text")
    assert set(threading.enumerate()) <= threads
    ((window,),) = extraction.windows()
    assert (window.start, window.end) == (0.0, 0.0)
    assert window.face is not None
    assert window.face.coverage == 1.0
    assert codes(extraction) == []


def test_noise_that_was_taken_out_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "noisy.png"
    face = cv2.resize(portrait(), (96, 96), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0).normal(0, 60, (96, 96, 1))
    cv2.imwrite(str(path), np.clip(face[:, :, ::-1] + noise, 0, 255).astype(np.uint8))
    extraction = opened(Clip(path), "face")
    ((window,),) = extraction.windows()
    assert window.face is not None
    assert codes(extraction) == ["enhanced-faces"]
    assert extraction.notes[0].message.startswith(
        "In 100% of the pictures with a face it was found only after denoising"
    )


def test_text_alone() -> None:
    ((window,),) = opened(Clip(text="Good."), "face", "voice", "text").windows()
    assert window.text is not None
    assert (window.text.text, window.face, window.voice, window.source) == ("Good.", None, None, None)


def test_absences_are_noted(tmp_path: Path) -> None:
    wall = make_clip(tmp_path / "wall.mp4", faces=0, sound="silence")
    extraction = opened(Clip(wall), "face", "voice", "text")
    list(extraction.windows())
    assert sorted(codes(extraction)) == ["no-face", "no-words", "silent-audio"]
    voice = write_video(tmp_path / "voice.wav", None, sound("speech", 2.0))
    assert codes(opened(Clip(voice), "face", "text")) == ["no-video", "no-transcript"]


def test_damage_is_counted_against_the_span(tmp_path: Path, clip: Path) -> None:
    data = bytearray(clip.read_bytes())
    start = data.find(b"mdat") + 9_000
    data[start : start + 3_000] = bytes(3_000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(bytes(data))
    extraction = opened(Clip(path, 0.0, 2.9), "face", "voice")
    list(extraction.windows())
    messages = [note.message for note in extraction.notes if note.code == "damaged"]
    assert messages
    assert all("packets of the" in message for message in messages)


def test_a_span_after_the_end(clip: Path) -> None:
    with pytest.raises(ArgumentError, match="starts at 60"):
        opened(Clip(clip, 60.0), "face")


def test_a_transcriber_that_fails_leaves_no_thread(clip: Path) -> None:
    def fails(segments: object, language: str | None) -> object:
        raise RuntimeError("no words")

    with pytest.raises(RuntimeError, match="no words"):
        opened(Clip(clip), "face", "text", transcriber=fails)
    for thread in threading.enumerate():
        if thread.name == "mmemo-faces":
            thread.join(10)
            assert not thread.is_alive()


def test_more_faces_than_the_limit_are_noted(tmp_path: Path) -> None:
    """In a video and in a picture; not where the number of people was given, which is a limit on purpose."""
    video = make_clip(tmp_path / "three.mp4", seconds=0.3, size=(480, 160), faces=3, sound=None)
    picture = tmp_path / "three.png"
    cv2.imwrite(str(picture), np.concatenate([portrait()[..., ::-1]] * 3, axis=1))
    for path in (video, picture):
        for people, limit, faces, noted in ((None, 2, 2, True), (None, None, 3, False), (2, None, 2, False)):
            extraction = extract(Clip(path), probe(path), ("face",), 2.0, 1.0, None, people, limit)
            assert [len(window) for window in extraction.windows()] == [faces], (path, people, limit)
            assert ("many-faces" in codes(extraction)) == noted, (path, people, limit)


def test_a_face_that_is_not_confirmed_is_left_out_and_noted(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extraction = opened(Clip(clip), "face")
    assert all(people[0].face for people in extraction.windows())
    total, count = extraction.confidence[0]
    assert 0.8 < total / count < 1
    monkeypatch.setattr("mmemo.pipeline.extract.MIN_CONFIDENCE", 0.99)
    extraction = opened(Clip(clip), "face")
    assert not any(people[0].face for people in extraction.windows())
    assert [code for code in codes(extraction) if "face" in code] == ["no-face", "unsure-face"]
    assert not extraction.confidence
