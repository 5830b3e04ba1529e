"""Live sessions: a file, a pipe, an address, and what is pushed; what comes too fast, late, odd or not at all."""

from __future__ import annotations

import asyncio
import csv
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest

import mmemo
from mmemo import Analyzer
from mmemo.errors import ArgumentError, MediaError, MissingStreamError
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.media import Frame, frames, probe, waveform
from mmemo.media.live import Block, LiveSource, Piece, pieces_of
from mmemo.notes import Note
from mmemo.pipeline.live_session import UPDATES, LiveSession
from mmemo.pipeline.live_update import LiveUpdate
from mmemo.samples import make_clip, portrait, sound, speech
from mmemo.speech.line import Line
from mmemo.speech.transcript import Transcript

WALL = np.full((48, 64, 3), 128, np.uint8)


@pytest.fixture(autouse=True)
def all_threads_end() -> Iterator[None]:
    """Whatever a test does to a session, no thread of it goes on."""
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("mmemo-live")] == []


@pytest.fixture(scope="module")
def face(analyzer: Analyzer) -> Analyzer:
    return Analyzer(analyzer.model, ("face",))


@pytest.fixture(scope="module")
def both(analyzer: Analyzer) -> Analyzer:
    return Analyzer(analyzer.model, transcriber=None)


def codes(session: LiveSession) -> list[str]:
    return [note.code for note in session.notes]


def line_of(
    segments: Iterable[tuple[Seconds, np.ndarray]], language: str | None = None
) -> tuple[Transcript, tuple[Note, ...]]:
    """A transcriber that recognizes the same line in each piece of speech."""
    lines = tuple(Line(at, at + len(one) / SAMPLE_RATE, "I am so happy!") for at, one in segments)
    return Transcript(lines, "recognition", "en"), ()


@pytest.mark.slow
def test_a_file_has_the_result_of_its_analysis(both: Analyzer, clip: Path) -> None:
    with mmemo.stream(clip, analyzer=both, keep=True) as session:
        updates = list(session)
        result, expected = session.result(), both(clip)
    assert result.label == expected.label
    assert result.duration == expected.duration
    assert result.speech == expected.speech
    assert [(one.start, one.end) for one in result.segments] == [(one.start, one.end) for one in expected.segments]
    for name in ("face", "voice"):
        assert result.modalities[name].scores == pytest.approx(expected.modalities[name].scores, abs=0.01)
        assert result.modalities[name].coverage == pytest.approx(expected.modalities[name].coverage)
    assert [person.id for person in result.people] == [0]
    assert result.people[0].box_tracks == expected.people[0].box_tracks
    assert mmemo.EmotionResult.from_dict(result.to_dict()).to_dict() == result.to_dict()
    assert sum(update.kind == "face" for update in updates) == pytest.approx(15 * 3, abs=8)
    assert sum(update.kind == "voice" for update in updates) >= 4
    last = updates[-1]
    assert set(last.modalities) == {"face", "voice"}
    assert sum(last.scores.values()) == pytest.approx(1)  # type: ignore[union-attr]
    assert last.people[0].person == 0
    assert last.people[0].label == "happiness"
    assert any(update.speaking for update in updates)
    assert last.to_dict()["people"][0]["label"] == "happiness"
    assert session.dropped == type(session.dropped)()


@pytest.mark.slow
def test_what_is_pushed_has_the_same_result(both: Analyzer, clip: Path) -> None:
    with mmemo.stream(analyzer=both, keep=True, realtime=False) as session:
        for piece in pieces_of(clip, sees=True, hears=True, max_rate=None, max_side=3840):
            if isinstance(piece, Block):
                session.push_sound((piece.samples * 32_767).astype(np.int16), piece.time)
            else:
                session.push_frame(piece.image[:, :, ::-1], piece.time, color="bgr")
        result = session.result()
    assert result.label == both(clip).label
    assert result.source == f"<live {result.duration:.1f} s>"
    assert set(result.modalities) == {"face", "voice"}
    assert {note.code for note in result.notes} == {"no-transcript"}


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("number", range(12))
def test_each_real_clip_has_the_label_of_its_analysis(analyzer: Analyzer, shared_data: Path, number: int) -> None:
    with (shared_data / "av" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        path = shared_data / "av" / list(csv.DictReader(file))[number]["path"]
    with mmemo.stream(path, analyzer=analyzer, keep=True) as session:
        for _ in session:
            pass
        result, expected = session.result(), analyzer(path)
    assert result.label == expected.label
    assert set(result.modalities) == set(expected.modalities)


@pytest.mark.slow
def test_camera_and_microphone_with_files_in_their_place(both: Analyzer, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1.0, rate=10)
    with mmemo.stream(camera=str(clip), microphone=str(clip), analyzer=both, keep=True) as session:
        kinds = {update.kind for update in session}
        result = session.result()
    assert "face" in kinds
    assert result.label in both.labels
    assert result.source == f"<{clip}, {clip}>"


@pytest.mark.slow
@pytest.mark.parametrize("realtime", [False, True])
def test_what_is_recorded_is_the_clip(both: Analyzer, tmp_path: Path, realtime: bool) -> None:
    clip, out = make_clip(tmp_path / "clip.mp4", seconds=1.5, rate=10), tmp_path / "out.mkv"
    with mmemo.stream(clip, analyzer=both, record=out, realtime=realtime) as session:
        assert not out.exists()
        list(session)
    info = probe(out)
    assert info.video is not None
    assert info.duration == pytest.approx(1.5, abs=0.2)
    assert len(list(frames(out))) + session.dropped.recorded >= 15
    sound = np.abs(waveform(out))
    assert len(sound) / SAMPLE_RATE == pytest.approx(1.5, abs=0.2)
    assert sound.max() == pytest.approx(np.abs(waveform(clip)).max(), rel=0.2)
    assert both(out).label == both(clip).label
    with pytest.raises(ArgumentError, match="read"):
        mmemo.stream(clip, analyzer=both, record=clip)


def test_a_recording_of_one_stream_alone(face: Analyzer, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with mmemo.stream(analyzer=face, record=out, realtime=False) as session:
        for number in range(5):
            session.push_frame(WALL if number < 3 else WALL[:32], 50 + number / 10)
    assert [round(frame.time, 2) for frame in frames(out)] == [0.0, 0.1, 0.2, 0.3, 0.4]
    with mmemo.stream(analyzer=face, record=tmp_path / "empty.mp4"):
        pass
    assert not (tmp_path / "empty.mp4").exists()
    with pytest.raises(ArgumentError, match="expected a file of"):
        mmemo.stream(analyzer=face, record=tmp_path / "out.avi")


@pytest.mark.slow
def test_words_are_recognized_at_pauses(analyzer: Analyzer) -> None:
    reading = Analyzer(analyzer.model, ("voice", "text"), transcriber=line_of)
    with mmemo.stream(analyzer=reading, keep=True, realtime=False) as session:
        updates = push_sound(session, np.concatenate([speech(), np.zeros(24_000, np.float32), speech()]))
        (before,) = [update for update in updates if update.kind == "words"]
        assert before.time == pytest.approx(4.0, abs=0.5)
        assert before.modalities["text"].label == "happiness"
        assert [line.text for line in before.words] == ["I am so happy!"]
        assert "text" not in updates[-1].modalities or updates[-1].time < before.time + 6.5
        result = session.result()
    assert result.transcript is not None
    assert len(result.transcript.lines) == 2
    assert result.modalities["text"].label == "happiness"


def push_sound(session: LiveSession, samples: np.ndarray, start: Seconds = 0.0) -> list[LiveUpdate]:
    updates = []
    for first in range(0, len(samples), 1600):
        session.push_sound(samples[first : first + 1600], start + first / SAMPLE_RATE)
        updates += session.poll()
    return updates


def test_a_session_in_real_time(face: Analyzer) -> None:
    """Pictures are scored in a thread; of those that come too fast the last one counts."""
    picture = cv2.resize(portrait(), (96, 96))
    with mmemo.stream(analyzer=face) as session:
        for number in range(40):
            session.push_frame(picture, number / 10)
        updates = iter(session)
        first = next(updates)
        session.close()
        rest = list(updates)
    assert first.people[0].label == "happiness"
    assert first.latency > 0
    assert session.dropped.frames + 1 + len(rest) >= 39  # what waits at the end is not worked on
    assert session.dropped.frames > 0


def test_async_for(face: Analyzer) -> None:
    async def follow() -> list[float]:
        session, times = mmemo.stream(analyzer=face), []
        session.push_frame(WALL, 1.5)
        async for update in session:
            times.append(update.time)
            if len(times) == 2:
                session.close()
            elif len(times) == 1:
                session.push_frame(WALL, 2.0)
        return times

    assert asyncio.run(follow()) == [1.5, 2.0]


def test_leaving_the_loop_ends_the_session(face: Analyzer) -> None:
    session = mmemo.stream(analyzer=face)
    session.push_frame(WALL, 0.0)
    for update in session:
        assert update.label is None
        break
    with pytest.raises(ArgumentError, match="has ended"):
        session.push_frame(WALL, 1.0)


def test_a_slow_consumer_gets_the_latest_updates(face: Analyzer) -> None:
    with mmemo.stream(analyzer=face, realtime=False) as session:
        for number in range(UPDATES + 10):
            session.push_frame(WALL, number / 10)
        updates = session.poll()
    assert len(updates) == UPDATES
    assert updates[-1].time == (UPDATES + 9) / 10
    assert session.dropped.updates == updates[-1].dropped.updates == 10


def test_120_pictures_a_second_and_one(face: Analyzer) -> None:
    for rate, seconds, most in ((120, 2, 31), (1, 4, 4)):
        with mmemo.stream(analyzer=face, realtime=False) as session:
            for number in range(rate * seconds):
                session.push_frame(WALL, number / rate)
            assert most - 6 < len(session.poll()) <= most
        assert session.dropped.frames == 0


def test_a_clock_that_is_set_back_goes_on(face: Analyzer) -> None:
    with mmemo.stream(analyzer=face, realtime=False) as session:
        for time in (100.0, 100.1, 100.05, 100.1, 3.0, 3.5):  # that of 3.0 is 100.14, too soon after the one before
            session.push_frame(WALL, time)
        assert [update.time for update in session.poll()] == pytest.approx([100.0, 100.1, 100.64])
    assert session.dropped.frames == 2
    assert codes(session) == ["clock"]


def test_pictures_that_change_their_size(face: Analyzer) -> None:
    with mmemo.stream(analyzer=face, realtime=False, keep=True) as session:
        for number in range(20):
            side = 96 if number < 10 else 160
            session.push_frame(cv2.resize(portrait(), (side, side)), number / 10)
        updates = session.poll()
        result = session.result()
    assert all(len(update.people) == 1 for update in updates)
    assert codes(session) == ["frame-size"]
    assert [person.id for person in result.people] == [0]
    assert result.people[0].box == pytest.approx(updates[-1].people[0].box, abs=0.05)


def test_a_stream_that_never_comes_is_noted(both: Analyzer) -> None:
    with mmemo.stream(analyzer=both, realtime=False) as session:
        for number in range(33):
            session.push_frame(WALL, number / 10)
        updates = session.poll()
    assert [note.code for note in updates[0].notes] == []
    assert [note.code for note in updates[-1].notes] == ["no-audio"]
    assert updates[-1].speaking is None


@pytest.mark.slow
def test_sound_without_a_picture(both: Analyzer) -> None:
    with mmemo.stream(analyzer=both, realtime=False, keep=True) as session:
        updates = push_sound(session, sound("speech", 4.0), start=7.0)
        result = session.result()
    assert set(updates[-1].modalities) == {"voice"}
    assert "no-video" in codes(session)
    assert (result.start, result.duration) == (7.0, 4.0)
    assert result.speech is not None
    assert 7.0 <= result.speech[0][0] < 8.0


@pytest.mark.slow
def test_a_long_pause_of_the_sound(analyzer: Analyzer) -> None:
    voice = Analyzer(analyzer.model, ("voice",))
    with mmemo.stream(analyzer=voice, realtime=False, keep=True) as session:
        push_sound(session, sound("speech", 2.5))
        updates = push_sound(session, sound("speech", 2.5), start=60.0)
        result = session.result()
    assert updates[-1].modalities
    assert {one.start for one in result.segments} <= {0.0, 1.0, 2.0, 59.0, 60.0, 61.0, 62.0}
    assert max(one.end for one in result.segments) > 60


def test_a_device_that_is_taken_away(face: Analyzer) -> None:
    def lost(closing: Event) -> Iterator[Piece]:
        for number in range(3):
            yield Frame(number / 10, WALL)
        raise MediaError("The camera gives nothing any more.")

    with LiveSession(face, (LiveSource(lost, "camera"),), keep=True) as session:
        assert [update.kind for update in session] == ["face"] * (3 - session.dropped.frames)
        assert codes(session) == ["device-lost"]
        with pytest.raises(MissingStreamError, match="gives nothing any more"):
            session.result()


def test_a_source_that_gives_nothing_can_be_closed(face: Analyzer) -> None:
    def silent(closing: Event) -> Iterator[Piece]:
        closing.wait()
        yield from ()

    with LiveSession(face, (LiveSource(silent, "camera"),)) as session:
        assert session.poll() == []
    assert list(session) == []


def test_a_camera_or_microphone_that_is_not_there(face: Analyzer, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"The camera .* can't be opened"):
        mmemo.stream(camera="/dev/video99", analyzer=face)
    with pytest.raises(MediaError, match=r"The microphone .* can't be opened.*push_sound"):
        mmemo.stream(microphone="hw:99", analyzer=face)
    with pytest.raises(MediaError, match="does not exist"):
        mmemo.stream(tmp_path / "nowhere.mp4", analyzer=face)
    with pytest.raises(MediaError, match="can't be opened"):
        mmemo.stream("tcp://127.0.0.1:1", analyzer=face)
    with pytest.raises(MediaError, match="no stream that can be opened"):
        mmemo.stream("ftp://127.0.0.1/a.mp4", analyzer=face)


@pytest.fixture(scope="module")
def matroska(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A clip that can be read from its start on, as from a pipe."""
    path = make_clip(tmp_path_factory.mktemp("stream") / "clip.mkv", seconds=1.5, size=(160, 120), rate=10)
    return path.read_bytes()


@pytest.mark.slow
def test_a_named_pipe_whose_writer_goes_away(both: Analyzer, matroska: bytes, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb") as file:
            file.write(matroska[: len(matroska) * 3 // 4])

    writer = threading.Thread(target=write)
    writer.start()
    with mmemo.stream(pipe, analyzer=both) as session:
        updates = list(session)
    writer.join()
    assert any(update.people for update in updates)


@pytest.mark.slow
def test_an_address(both: Analyzer, matroska: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.sendall(matroska)

        serving = threading.Thread(target=serve)
        serving.start()
        with mmemo.stream(f"tcp://127.0.0.1:{server.getsockname()[1]}", analyzer=both, keep=True) as session:
            list(session)
            result = session.result()
        serving.join()
    assert "face" in result.modalities


def test_what_goes_wrong_in_a_thread_is_raised(analyzer: Analyzer) -> None:
    def fails(segments: object, language: str | None = None) -> tuple[Transcript, tuple[Note, ...]]:
        raise RuntimeError("no words")

    reading = Analyzer(analyzer.model, ("text",), transcriber=fails)
    with mmemo.stream(analyzer=reading) as session:
        session.push_sound(np.concatenate([speech()[:24_000], np.zeros(24_000, np.float32)]), 0.0)
        with pytest.raises(RuntimeError, match="no words"):
            list(session)


def test_what_is_not_live_is_refused(face: Analyzer) -> None:
    pytest.importorskip("librosa", reason="needs mmemo[prosody]")
    with pytest.raises(ArgumentError, match="not live"):
        mmemo.stream(analyzer=Analyzer(face.model, prosody=True))


def test_arguments_that_do_not_fit(face: Analyzer, clip: Path) -> None:
    with pytest.raises(ArgumentError, match="not both"):
        mmemo.stream(clip, camera=0, analyzer=face)
    with pytest.raises(ArgumentError, match="can't wait"):
        mmemo.stream(camera=0, realtime=False, analyzer=face)
    with mmemo.stream(analyzer=face) as session:
        with pytest.raises(ArgumentError, match="time in seconds"):
            session.push_frame(WALL, "now")  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match="time in seconds"):
            session.push_frame(WALL, float("nan"))
        with pytest.raises(ArgumentError, match="Expected a picture"):
            session.push_frame(WALL[:, :, :2], 0.0)
        with pytest.raises(ArgumentError, match="keep=True"):
            session.result()
    with mmemo.stream(analyzer=face, keep=True) as session, pytest.raises(ArgumentError, match="Nothing has come"):
        session.result()
